/** Questions to /proc about other processes. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { RunnerError } from "../errors";

const CAP_SYS_ADMIN = 21n;
const GONE_MS = 30_000;

/** Whether this process holds CAP_SYS_ADMIN. */
export function hasSysAdmin(): boolean {
  const caps = /^CapEff:\s*([0-9a-f]+)$/m.exec(read("/proc/self/status") ?? "")?.[1];
  return caps !== undefined && ((BigInt(`0x${caps}`) >> CAP_SYS_ADMIN) & 1n) === 1n;
}

/** Whether the user namespace of this process has one uid only: that of an ordinary user who made it. */
export function hasOneUid(): boolean {
  const ranges = (read("/proc/self/uid_map") ?? "").trim().split("\n");
  return ranges.length === 1 && ranges[0]?.trim().split(/\s+/)[2] === "1";
}

export interface ProcessId {
  readonly pid: number;
  /** Start time in clock ticks: with the pid it names one process only. */
  readonly started: string;
}

/** undefined when there is no such process, or it is a zombie: then nothing of it runs any more. */
export function identify(pid: number): ProcessId | undefined {
  const stat = read(`/proc/${pid}/stat`);
  // "pid (name) state ppid …": the name may hold anything, so fields count from its last parenthesis.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (!fields || fields[0] === "Z" || fields[0] === "X") return undefined;
  return { pid, started: fields[19] ?? "" };
}

/**
 * Kills the first process of a PID namespace and waits until it is gone. The kernel lets it go only after every other
 * process of the namespace, so afterwards nothing of the program runs.
 * @throws RunnerError INTERNAL when it does not end.
 */
export async function endNamespace(init: ProcessId): Promise<void> {
  const until = performance.now() + GONE_MS;
  for (let pause = 2; ; pause = Math.min(pause * 2, 100)) {
    const now = identify(init.pid);
    if (!now || now.started !== init.started) return;
    kill(init.pid);
    if (performance.now() > until) throw new RunnerError("INTERNAL", "the program's processes do not end");
    await sleep(pause);
  }
}

/** SIGKILL; a process that is gone is fine. @param pid negative: its process group. */
export function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
