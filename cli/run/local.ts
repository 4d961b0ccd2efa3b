/** The local backend: Job manifests of the deployed pipeline, run by the simulated node on this machine. */
import * as path from "node:path";
import { devStoreOrigin } from "../../relying-party/dev";
import { runWorkload, type StepEnd, type StepEvent } from "../../untrusted/backend-local";
import { createNode } from "../../untrusted/node";
import type { Backend, Phase } from "./backend";

export const localBackend: Backend = async ({ home, deployed, run, done, onProgress, onNote, onRefused, signal }) => {
  const { stack, name, kbsUrl, ledgerUrl } = deployed.connection;
  const storeUrl = devStoreOrigin(home);
  const ends = await runWorkload({
    folder: path.join(home, "backend", stack, name),
    node: createNode({ home, connection: { kbsUrl, ledgerUrl }, ...(storeUrl === undefined ? {} : { storeUrl }) }),
    run,
    done,
    onEvent: ({ step, shard, attempt, stage, detail }) => {
      const phase = phaseOf(stage);
      if (phase) onProgress({ step, shard, attempt, phase, ...(detail === undefined ? {} : { detail }) });
    },
    signal,
  });
  for (const line of notes(ends, stack)) onNote(line);
  const refused = ends.find(({ final }) => final);
  if (refused) onRefused?.({ step: refused.step, reason: refused.reason ?? "refused" });
  return "ended";
};

/** `done` is only the guest's end; how it ended follows at once. */
const phaseOf = (stage: StepEvent["stage"]): Phase | undefined => (stage === "done" ? undefined : stage);

function notes(ends: readonly StepEnd[], stack: string): string[] {
  const lines: string[] = [];
  if (ends.some(({ mode }) => mode === "process")) {
    lines.push("guests ran as child processes: this machine lets nobody make namespaces, so nothing kept them apart");
  }
  if (ends.some(({ reason }) => reason?.includes("ISOLATION"))) {
    lines.push(
      "no program was started: it could not be kept apart from the runner that holds its keys. To accept that on this " +
        `machine: npx sealflow pulumi -- config set --stack ${stack} trustPrograms "<reason>", then npx sealflow up`,
    );
  }
  return lines;
}
