import type { Context } from "../context";
import { EXIT } from "../exit-codes";
import { type FetchChoice, fetchInto } from "../support/fetch";
import { withLedger } from "../support/ledger";
import { type Choice, choosePipeline } from "../support/pipelines";
import { reportLines } from "../support/report";
import { findRun } from "../support/runs";

/** `sealflow fetch [run]`: the verifiable folder, verified, and its releases opened. */
export async function fetch(context: Context, run: string | undefined, options: Choice & FetchChoice): Promise<number> {
  const deployed = choosePipeline(context.home, options);
  return withLedger(context, deployed, async (session) => {
    const id = await findRun(session, deployed, run);
    const { dir, report, released } = await fetchInto(context, deployed, session, id, options);
    const files = Object.fromEntries(Object.entries(released).map(([name, file]) => [name, context.show(file)]));
    context.result({ dir, report, released }, [
      ...reportLines(report),
      `folder: ${context.show(dir)}`,
      ...Object.entries(files).map(([name, file]) => `released ${name}: ${file}`),
    ]);
    return report.ok ? EXIT.ok : EXIT.verification;
  });
}
