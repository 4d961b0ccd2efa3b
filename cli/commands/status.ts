import { jwsDigest } from "../../protocol/jws";
import type { Context } from "../context";
import { EXIT } from "../exit-codes";
import { withLedger } from "../support/ledger";
import { type Choice, choosePipeline, versionOf } from "../support/pipelines";
import { findRun, shortRun, statusLines } from "../support/runs";

const SHOWN_RUNS = 10;

/** `sealflow status [run]`: the pipeline's version and newest runs, or one run's steps. */
export async function status(context: Context, run: string | undefined, choice: Choice): Promise<number> {
  const deployed = choosePipeline(context.home, choice);
  const { connection: c } = deployed;
  return withLedger(context, deployed, async (session) => {
    if (run !== undefined) {
      const id = await findRun(session, deployed, run);
      const found = await session.ledger.run(id, await session.read());
      context.result(found, [`run ${found.run}: ${found.state}`, ...statusLines(found)]);
      return EXIT.ok;
    }
    const { descriptors } = await session.ledger.pipeline(c.pipelineUid, await session.read());
    const here = await versionOf(deployed);
    const known = descriptors.find((v) => v.digest === jwsDigest(c.descriptor));
    const runs = await session.ledger.runs(c.pipelineUid, await session.read());
    const version = { sequence: here.sequence, digest: jwsDigest(c.descriptor), state: known?.state ?? "unknown" };
    const ledger = { size: session.head.size, root: session.head.root, at: session.head.at };
    context.result({ stack: c.stack, pipeline: c.name, pipelineUid: c.pipelineUid, version, ledger, runs }, [
      `pipeline ${c.stack}/${c.name}, version ${version.sequence} (${version.state})`,
      `steps: ${Object.keys(here.steps).join(", ")}`,
      runs.length === 0 ? "no runs yet. Start one with: sealflow run" : "runs, newest first:",
      ...runs.slice(0, SHOWN_RUNS).map((r) => `  ${shortRun(r.run)}  ${r.state.padEnd(9)}  ${time(r.openedAt)}`),
      ...(runs.length > SHOWN_RUNS ? [`  … and ${runs.length - SHOWN_RUNS} more`] : []),
    ]);
    return EXIT.ok;
  });
}

const time = (seconds: number): string => new Date(seconds * 1000).toISOString().replace(".000", "");
