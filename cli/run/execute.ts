/** Opens a run (or goes on with one), has a backend carry it out, and asks the ledger what became of it. */
import { randomBytes } from "node:crypto";
import { openRunRequest } from "../../owner/run-request";
import { jwsDigest } from "../../protocol/jws";
import type { Descriptor } from "../../protocol/messages";
import type { RunStatus } from "../../relying-party/ledger-client";
import type { Context } from "../context";
import { CliError } from "../errors";
import type { LedgerSession } from "../support/ledger";
import { choiceOf, type Deployed, versionOf } from "../support/pipelines";
import { findRun, shortRun } from "../support/runs";
import type { Backend, Refused } from "./backend";
import { type Folders, pinImports } from "./imports";
import { orderedSteps } from "./order";
import { runParameters } from "./parameters";
import { type Progress, progressOn } from "./progress";
import { type RunSummary, writeSummary } from "./summary";

export interface ExecuteOptions {
  /** File with {"<step>": {…}}. */
  readonly params?: string | undefined;
  /** Id or first digits of an open run to go on with; true: the newest open one. */
  readonly resume?: string | true | undefined;
  /** Run folders of other pipelines whose releases are read. */
  readonly from?: Folders | undefined;
  /** Text that opens the run instead of a request signed here: a slot of a schedule. */
  readonly opening?: string | undefined;
}

/** @throws CliError, RunRequestError, LedgerRefusal …; a run that failed is a summary, not an exception. */
export async function executeRun(
  context: Context,
  deployed: Deployed,
  session: LedgerSession,
  backend: Backend,
  options: ExecuteOptions,
): Promise<RunSummary> {
  const descriptor = await versionOf(deployed);
  const started = Date.now();
  const { run, done } = await openOrResume(context, deployed, descriptor, session, options);
  const steps = stepsOf(descriptor);
  const progress = progressOn(context.io.stderr, steps);
  progress.note(`run ${shortRun(run)} of ${deployed.connection.stack}/${deployed.connection.name} is open`);
  let end: Awaited<ReturnType<Backend>>;
  let refused: Refused | undefined;
  /** A run that was opened and is left: otherwise each repetition would leave another. */
  const left = (): void => {
    const [id, choice] = [shortRun(run), choiceOf(context.home, deployed.connection)];
    context.say(
      `run ${id} stays open. Go on: npx sealflow run --resume ${id}${choice}; give it up: npx sealflow cancel ${id}${choice}`,
    );
    if (!context.io.signal.aborted) return;
    context.say("a step that was at work has used an attempt up; without another (its retry.limit) it will be refused");
  };
  try {
    end = await backend({
      home: context.home,
      env: context.io.env,
      deployed,
      session,
      run,
      steps,
      done,
      onProgress: (step) => progress.update(step),
      onNote: (line) => progress.note(line),
      onRefused: (found) => {
        refused ??= found;
      },
      signal: context.io.signal,
    });
  } catch (error) {
    left();
    throw error;
  } finally {
    progress.end();
  }
  if (end !== "detached" && context.io.signal.aborted) {
    left();
    context.io.signal.throwIfAborted();
  }
  const status = await session.ledger.run(run, await session.read());
  await session.advance();
  const made = summaryOf(deployed, descriptor, status, progress, (Date.now() - started) / 1000, end === "detached");
  const summary = refused && status.state === "open" ? { ...made, refused } : made;
  writeSummary(context.home, summary);
  return summary;
}

const stepsOf = (d: Descriptor): Map<string, number> =>
  new Map(orderedSteps(d).map((name) => [name, d.steps[name]?.limits.shards ?? 1]));

async function openOrResume(
  context: Context,
  deployed: Deployed,
  descriptor: Descriptor,
  session: LedgerSession,
  { params, resume, from = new Map(), opening }: ExecuteOptions,
): Promise<Started> {
  if (resume !== undefined) return resumable(deployed, session, resume);
  if (opening !== undefined) {
    const opened = await session.ledger.openRun(opening);
    await session.advance();
    return { run: opened.run, done: new Map() };
  }
  const { token, run } = await openRunRequest({
    token: deployed.connection.descriptor,
    descriptor,
    runKey: session.runKey,
    parameters: runParameters(context.home, deployed.connection, params, (line) => context.say(line)),
    imports: await pinImports(context, session, descriptor, from),
    head: session.head.token,
    now: context.io.now(),
    random: randomBytes(32),
  });
  await session.ledger.openRun(token);
  await session.advance();
  return { run, done: new Map() };
}

interface Started {
  readonly run: string;
  readonly done: ReadonlyMap<string, number>;
}

async function resumable(deployed: Deployed, session: LedgerSession, wanted: string | true): Promise<Started> {
  const run = wanted === true ? await newestOpen(deployed, session) : await findRun(session, deployed, wanted);
  const { state, steps, descriptor } = await session.ledger.run(run, await session.read());
  if (state !== "open")
    throw new CliError("NO_RUN", `run ${shortRun(run)} is ${state}: only an open run can be resumed`);
  if (descriptor !== jwsDigest(deployed.connection.descriptor)) {
    throw new CliError(
      "NO_RUN",
      `run ${shortRun(run)} belongs to another version of the pipeline than the one deployed here; ` +
        "start a new run, or deploy that version again",
    );
  }
  const committed = ({ shards }: RunStatus["steps"][string]) => shards.filter((s) => s.state === "committed").length;
  return { run, done: new Map(Object.entries(steps).map(([name, step]) => [name, committed(step)])) };
}

async function newestOpen({ connection: c }: Deployed, { ledger, read }: LedgerSession): Promise<string> {
  const runs = await ledger.runs(c.pipelineUid, await read());
  const open = runs.find(({ state }) => state === "open");
  if (open) return open.run;
  throw new CliError("NO_RUN", `pipeline "${c.name}" has no open run. Start one with: sealflow run`);
}

function summaryOf(
  deployed: Deployed,
  descriptor: Descriptor,
  status: RunStatus,
  progress: Progress,
  seconds: number,
  detached: boolean,
): RunSummary {
  const { stack, name, pipelineUid } = deployed.connection;
  const times = new Map(progress.states().map((s) => [s.name, s.seconds]));
  return {
    version: 1,
    stack,
    pipeline: name,
    pipelineUid,
    run: status.run,
    state: status.state,
    seconds: round(seconds),
    steps: orderedSteps(descriptor).map((step) => ({
      name: step,
      state: status.steps[step]?.state ?? "waiting",
      seconds: round(times.get(step) ?? 0),
      identity: descriptor.steps[step]?.identity ?? "",
    })),
    released: {},
    receiptsVerified: null,
    receiptsExpected: Object.entries(descriptor.steps)
      .filter(([step]) => status.steps[step]?.state !== "skipped")
      .reduce((n, [, { limits }]) => n + limits.shards, 0),
    folder: null,
    ...(detached ? { detached } : {}),
  };
}

const round = (seconds: number): number => Math.round(seconds * 100) / 100;
