/** The host's requests to a step's guest, to be changed before the agent policy decides on them. */
import {
  containerRequest,
  INITDATA_ANNOTATION,
  type KubernetesJob,
  loadAgentPolicy,
  parseInitdata,
  parseInitdataAnnotation,
  podRequests,
} from "../../../policy";
import type { World } from "../types";

// biome-ignore lint/suspicious/noExplicitAny: attackers write what no type allows
export type Loose = Record<string, any>;

export interface Pod {
  readonly job: KubernetesJob;
  readonly sandbox: Loose;
  readonly files: Loose[];
  readonly pause: Loose;
  readonly step: Loose;
  /** Further containers and requests, after the step's start. */
  readonly after: [name: string, request: Loose][];
  /** Instead of CreateSandbox, files, pause, step: names of requests in another order. */
  order?: readonly ("sandbox" | "files" | "pause" | "step")[];
}

const ids = { sandboxId: "a".repeat(64), containerId: "b".repeat(64), podUid: "0b6b9e2e-8d0e-4b7e-9a0e-3f1a2b3c4d5e" };

export function podOf(world: World, step = world.target.consumer): Pod {
  const job = world.job(step) as KubernetesJob;
  const requests = structuredClone(podRequests(job, { podName: "victim", namespace: "default", ...ids }));
  return { job, ...(requests as unknown as Omit<Pod, "job" | "after">), after: [] };
}

/** @returns `POLICY` when the guest's own policy refuses one of them, else `ADMITTED`. */
export function decide({ job, sandbox, files, pause, step, after, order }: Pod): string {
  const annotation = job.spec.template.metadata.annotations[INITDATA_ANNOTATION] ?? "";
  const policy = loadAgentPolicy(parseInitdata(parseInitdataAnnotation(annotation)).data["policy.rego"] ?? "");
  const parts: Record<string, [string, Loose][]> = {
    sandbox: [["CreateSandboxRequest", sandbox]],
    files: files.map((file) => ["CopyFileRequest", file]),
    pause: [
      ["CreateContainerRequest", pause],
      ["StartContainerRequest", containerRequest("StartContainerRequest", pause.container_id)],
    ],
    step: [
      ["CreateContainerRequest", step],
      ["StartContainerRequest", containerRequest("StartContainerRequest", step.container_id)],
    ],
  };
  const all = [...(order ?? ["sandbox", "files", "pause", "step"]).flatMap((name) => parts[name] ?? []), ...after];
  return all.every(([name, request]) => policy.evaluate(name, request).allowed) ? "ADMITTED" : "POLICY";
}

/** Each change on a pod of its own; the unchanged one must be admitted, or the others show nothing. */
export function decideAll(world: World, changes: Readonly<Record<string, (pod: Pod) => void>>) {
  if (decide(podOf(world)) !== "ADMITTED") throw new Error("the guest's policy refuses even the honest requests");
  return Object.entries(changes).map(([tried, change]) => {
    const pod = podOf(world);
    change(pod);
    return { tried, ended: decide(pod) };
  });
}
