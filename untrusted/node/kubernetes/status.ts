/** What a kubelet reports of a pod, from the states of its containers. */
import { ADDRESS } from "./fields";
import type { ContainerState, Pod } from "./types";

export interface PodReport {
  readonly states: ReadonlyMap<string, ContainerState>;
  readonly ready: ReadonlySet<string>;
  readonly restarts: ReadonlyMap<string, number>;
  readonly startTime: string;
  /** Why the pod as a whole failed, such as DeadlineExceeded. */
  readonly failed?: { readonly reason: string; readonly message: string };
}

export type Phase = "Pending" | "Running" | "Succeeded" | "Failed";

export function phaseOf({ spec }: Pod, { states, failed }: PodReport): Phase {
  if (failed) return "Failed";
  const of = (name: string) => states.get(name) ?? { waiting: { reason: "PodInitializing" } };
  const again = spec.restartPolicy ?? "Always";
  const ended = (state: ContainerState) => ("terminated" in state ? state.terminated.exitCode : undefined);
  const inits = (spec.initContainers ?? []).map(({ name }) => ended(of(name)));
  if (again === "Never" && inits.some((code) => code !== undefined && code !== 0)) return "Failed";
  if (inits.some((code) => code !== 0)) return "Pending";
  const mains = spec.containers.map(({ name }) => of(name));
  if (mains.every((state) => "waiting" in state)) return "Pending";
  const codes = mains.map(ended);
  if (again === "Always" || codes.includes(undefined)) return "Running";
  if (codes.every((code) => code === 0)) return "Succeeded";
  return again === "Never" ? "Failed" : "Running";
}

/** The `status` for a merge patch. */
export function statusOf(pod: Pod, report: PodReport, now: string) {
  const phase = phaseOf(pod, report);
  const { states, ready, restarts, startTime, failed } = report;
  const lines = (containers: readonly { name: string; image: string }[]) =>
    containers.map(({ name, image }) => {
      const state = states.get(name) ?? { waiting: { reason: "PodInitializing" } };
      return {
        name,
        image,
        imageID: image,
        containerID: `sealflow://${pod.metadata.uid}-${name}`,
        state,
        ready: "running" in state && ready.has(name),
        started: "running" in state,
        restartCount: restarts.get(name) ?? 0,
      };
    });
  const over = phase === "Succeeded" || phase === "Failed";
  const allReady = phase === "Running" && pod.spec.containers.every(({ name }) => ready.has(name));
  const condition = (type: string, holds: boolean) => ({
    type,
    status: holds ? "True" : "False",
    lastTransitionTime: now,
    ...(!holds && over ? { reason: phase === "Succeeded" ? "PodCompleted" : "PodFailed" } : {}),
  });
  return {
    phase,
    startTime,
    hostIP: ADDRESS,
    hostIPs: [{ ip: ADDRESS }],
    podIP: ADDRESS,
    podIPs: [{ ip: ADDRESS }],
    ...(failed ?? {}),
    initContainerStatuses: lines(pod.spec.initContainers ?? []),
    containerStatuses: lines(pod.spec.containers),
    conditions: [
      condition("PodScheduled", true),
      condition("Initialized", phase !== "Pending"),
      condition("ContainersReady", allReady),
      condition("Ready", allReady),
    ],
  };
}
