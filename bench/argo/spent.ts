/** CPU time of the cluster's programs, and of what the node of this process has started and seen end. */
import { readdirSync, readFileSync } from "node:fs";
import { cpuSecondsOf, cpuSecondsOfEnded } from "../support/machine";

/** As the kernel cuts their names. */
const PROGRAMS = {
  "workflow-contro": "controller",
  "kube-apiserver": "API server and etcd",
  etcd: "API server and etcd",
  "kube-controller": "Kubernetes' controllers and scheduler",
  "kube-scheduler": "Kubernetes' controllers and scheduler",
} as const;
export type Part = (typeof PROGRAMS)[keyof typeof PROGRAMS] | "executors and steps";
export type Spent = Record<Part, number>;

/** @param folder of the cluster: others may run beside it. */
export function cpuSeconds(folder: string): Spent {
  const all: Spent = {
    controller: 0,
    "API server and etcd": 0,
    "Kubernetes' controllers and scheduler": 0,
    "executors and steps": cpuSecondsOfEnded(),
  };
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const part = PROGRAMS[read(`/proc/${pid}/comm`).trim() as keyof typeof PROGRAMS];
    if (part === undefined || !read(`/proc/${pid}/cmdline`).includes(folder)) continue;
    all[part] += cpuSecondsOf(pid) ?? 0;
  }
  return all;
}

export const since = (before: Spent, now: Spent): Spent =>
  Object.fromEntries(Object.entries(now).map(([part, value]) => [part, value - before[part as Part]])) as Spent;

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
