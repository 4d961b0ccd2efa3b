/** Argo Workflows as backend: submits a run's Workflow and follows it. What has run is the ledger's word, not the engine's. */
import type { LedgerEvent, RunStatus } from "../../relying-party/ledger-client";
import { followWorkflow, submitRun, type WorkflowState } from "../../untrusted/backend-argo";
import { KubernetesClient, readKubeconfig } from "../../untrusted/kubernetes";
import { CliError } from "../errors";
import type { Backend, BackendRun, Phase, StepProgress } from "./backend";

export const argoBackend: Backend = async (options) => {
  const { env, deployed, run, done, steps, onNote, signal } = options;
  const at = deployed.connection.backend;
  if (at?.kind !== "argo")
    throw new CliError("NO_WORKLOAD", `pipeline "${deployed.connection.name}" is not on a cluster`);
  const client = new KubernetesClient(readKubeconfig(env));
  const over = new AbortController();
  const until = AbortSignal.any([signal, over.signal]);
  let following: Promise<unknown> = Promise.resolve();
  try {
    const { name, isNew } = await submitRun({ client, at, run, done, steps });
    const what = isNew ? "was submitted" : "works on this run already";
    onNote(`workflow ${at.namespace}/${name} ${what}. Ctrl-C detaches; the run goes on`);
    const ended = new Promise<void>((resolve) => {
      following = followLedger(options, until, resolve);
    });
    const engine = followWorkflow({ client, at, name, signal: until, onNote });
    engine.catch(() => {}); // after the ledger's word nobody waits for it any more
    // A failed ledger stream ends the race as well; the engine alone may go on for as long as it wants.
    await Promise.race([ended, engine.then((state) => onNote(engineNote(name, state))), following.then(() => ended)]);
  } catch (error) {
    if (signal.aborted) return "detached";
    throw error;
  } finally {
    over.abort();
    await following.catch(() => {});
    client.close();
  }
  return signal.aborted ? "detached" : "ended";
};

function engineNote(name: string, state: WorkflowState | undefined): string {
  if (state === undefined) return `workflow ${name} was deleted`;
  const { phase, message } = state;
  return `workflow ${name}: ${phase}${phase === "Succeeded" || message === undefined ? "" : `: ${message}`}`;
}

/** Tells what the ledger records of the run, from where it stands now until it has ended. */
async function followLedger(options: BackendRun, signal: AbortSignal, onEnd: () => void): Promise<void> {
  const { session, run, deployed, onProgress } = options;
  const { ledger, read, head } = session;
  const status = await ledger.run(run, await read());
  for (const progress of progressNow(status)) onProgress(progress);
  if (status.state !== "open") return onEnd();
  const onEvent = (event: LedgerEvent): void => {
    if (event.run !== run) return;
    const progress = progressOf(event);
    if (progress) onProgress(progress);
    if (event.state !== null && event.state !== "open") onEnd();
  };
  await ledger.events(deployed.connection.pipelineUid, read, onEvent, signal, Math.max(0, head.size - 1));
}

const PHASE_OF_STATE: Readonly<Record<string, Phase>> = {
  waiting: "waiting",
  running: "running",
  committed: "committed",
  failed: "retrying",
};

function progressNow({ steps }: RunStatus): StepProgress[] {
  return Object.entries(steps).flatMap(([step, { shards }]) =>
    shards
      .filter(({ attempts }) => attempts > 0)
      .map(({ shard, state, attempt }) => ({ step, shard, attempt, phase: PHASE_OF_STATE[state] ?? "waiting" })),
  );
}

const PHASE_OF_KIND: Readonly<Record<string, Phase>> = { attempt: "running", commit: "committed", failure: "retrying" };

function progressOf({ kind, step, shard, attempt }: LedgerEvent): StepProgress | undefined {
  const phase = PHASE_OF_KIND[kind];
  if (phase === undefined || step === null || shard === null || attempt === null) return undefined;
  return { step, shard, attempt, phase };
}
