import * as path from "node:path";
import type { Context } from "../context";
import { EXIT } from "../exit-codes";
import type { Backend } from "../run/backend";
import { executeRun } from "../run/execute";
import { withLedger } from "../support/ledger";
import { type Choice, choosePipeline } from "../support/pipelines";
import { shortRun } from "../support/runs";

export interface RunOptions extends Choice {
  readonly params?: string;
  readonly resume?: string;
}

/** `sealflow run`: opens a run with the caller's run key and carries it out on this machine. */
export async function run(context: Context, options: RunOptions, backend: Backend): Promise<number> {
  const deployed = choosePipeline(context.home, options);
  const params = options.params === undefined ? undefined : path.resolve(context.io.cwd, options.params);
  return withLedger(context, deployed, async (session) => {
    const summary = await executeRun(context, deployed, session, backend, { params, resume: options.resume });
    const ok = summary.state === "succeeded";
    context.result(summary, [
      `run ${summary.run}: ${summary.state} after ${summary.seconds.toFixed(1)} s`,
      ...(ok
        ? [`next: npx sealflow fetch ${shortRun(summary.run)}`]
        : summary.steps.filter((s) => s.state !== "committed").map((s) => `  ${s.name}: ${s.state}`)),
      ...(ok ? [] : [`what the programs printed: npx sealflow logs --run ${shortRun(summary.run)}`]),
    ]);
    return ok ? EXIT.ok : EXIT.run;
  });
}
