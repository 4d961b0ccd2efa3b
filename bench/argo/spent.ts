/** CPU time of the cluster's programs, and of what the node of this process has started and seen end. */
import { readdirSync, readFileSync } from "node:fs";

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
    // User and system time of children that have ended.
    "executors and steps": hundredths(fieldsOf("self"), 13) / 100,
  };
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const part = PROGRAMS[read(`/proc/${pid}/comm`).trim() as keyof typeof PROGRAMS];
    if (part === undefined || !read(`/proc/${pid}/cmdline`).includes(folder)) continue;
    all[part] += hundredths(fieldsOf(pid), 11) / 100;
  }
  return all;
}

export const since = (before: Spent, now: Spent): Spent =>
  Object.fromEntries(Object.entries(now).map(([part, value]) => [part, value - before[part as Part]])) as Spent;

const hundredths = (fields: readonly string[], at: number): number =>
  Number(fields[at] ?? 0) + Number(fields[at + 1] ?? 0);

/** Fields of `stat` behind the command's name, which may hold anything. */
function fieldsOf(pid: string): string[] {
  const stat = read(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
