import * as path from "node:path";
import type { Context } from "../context";
import { EXIT } from "../exit-codes";
import type { Backend } from "../run/backend";
import { chooseBackend } from "../run/choose";
import { executeRun } from "../run/execute";
import { parseFolders } from "../run/imports";
import type { RunSummary } from "../run/summary";
import { withLedger } from "../support/ledger";
import { type Choice, choiceOf, choosePipeline } from "../support/pipelines";
import { shortRun } from "../support/runs";

export interface RunOptions extends Choice {
  readonly params?: string;
  readonly resume?: string | true;
  /** `<input>=<run folder>` each. */
  readonly from?: readonly string[];
  readonly backend?: string;
}

/** `sealflow run`: opens a run with the caller's run key and has the pipeline's backend carry it out. */
export async function run(context: Context, options: RunOptions, local: Backend): Promise<number> {
  const deployed = choosePipeline(context.home, options);
  const backend = chooseBackend(deployed.connection, options.backend, local);
  const params = options.params === undefined ? undefined : path.resolve(context.io.cwd, options.params);
  return withLedger(context, deployed, async (session) => {
    const summary = await executeRun(context, deployed, session, backend, {
      params,
      resume: options.resume,
      from: parseFolders(options.from, context.io.cwd),
    });
    context.result(summary, runLines(summary, choiceOf(context.home, deployed.connection)));
    if (summary.detached && summary.state === "open") return EXIT.interrupted;
    return summary.state === "succeeded" ? EXIT.ok : EXIT.run;
  });
}

/** What became of a run, and what to do next. @param choice as choiceOf gives it. */
export function runLines({ run, state, seconds, steps, detached, refused }: RunSummary, choice = ""): string[] {
  const id = shortRun(run);
  const [status, resume, cancel, fetch, logs] = [
    `status ${id}`,
    `run --resume ${id}`,
    `cancel ${id}`,
    `fetch ${id}`,
    `logs --run ${id}`,
  ].map((command) => `npx sealflow ${command}${choice}`);
  if (detached && state === "open") {
    return [
      `run ${run} goes on on the cluster`,
      `how it stands: ${status}; follow it again: ${resume}; end it: ${cancel}`,
    ];
  }
  const end = `run ${run}: ${state} after ${seconds.toFixed(1)} s`;
  if (state === "succeeded") return [end, `next: ${fetch}`];
  const left = steps.filter((step) => step.state !== "committed").map((step) => `  ${step.name}: ${step.state}`);
  const again = refused && `step ${refused.step} was refused (${refused.reason}) and would be again: ${cancel}`;
  const goOn = `it can go on: ${resume}; or be given up: ${cancel}`;
  return [end, ...left, ...(state === "open" ? [again ?? goOn] : []), `what the programs printed: ${logs}`];
}
