/** The local backend: Job manifests of the deployed pipeline, run by the simulated node. */
import * as path from "node:path";
import { runWorkload, type StepEvent } from "../../untrusted/backend-local";
import { createNode } from "../../untrusted/node";
import type { Backend, Phase } from "./backend";

export const localBackend: Backend = async ({ home, deployed, run, onProgress, onNote, signal }) => {
  const { connection } = deployed;
  const node = createNode({ home, connection });
  const failures: string[] = [];
  const ends = await runWorkload({
    folder: path.join(home, "backend", connection.stack, connection.name),
    node,
    run,
    signal,
    onEvent: (event) => {
      const phase = phaseOf(event);
      if (phase) onProgress({ step: event.step, shard: event.shard, attempt: event.attempt, phase, ...detail(event) });
      if (event.stage === "failed") failures.push(`${event.step}: ${event.detail ?? "failed"}`);
    },
  });
  if (ends.some(({ mode }) => mode === "process")) {
    onNote("guests ran as plain child processes: this machine gives no namespaces");
  }
  for (const failure of failures) onNote(failure);
};

const detail = ({ detail }: StepEvent) => (detail === undefined ? {} : { detail });

/** `done` says only that the guest is gone; how it ended comes as an event of its own. */
const phaseOf = ({ stage }: StepEvent): Phase | undefined => (stage === "done" ? undefined : stage);
