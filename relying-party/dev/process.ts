/** Which process is which: a pid alone may have been given to another one since. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Fields of /proc/<pid>/stat from the third on; none where /proc does not tell. */
function statOf(pid: number): string[] {
  const stat = read(`/proc/${pid}/stat`);
  // The name of the program, in brackets, may contain spaces.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

/** Whether it has ended; its entry stays until somebody asks for it, which in containers process 1 often does not. */
const hasEnded = ([state]: string[]): boolean => state === "Z" || state === "X";

/** When a process was started, in the kernel's own units; undefined where /proc does not tell, and of one that has ended. */
export function startTime(pid: number): string | undefined {
  const stat = statOf(pid);
  return hasEnded(stat) ? undefined : stat[19];
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !hasEnded(statOf(pid));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Who listens on a TCP port of this machine: "name (pid n)"; undefined when it cannot be found out. Linux only. */
export function holderOfPort(port: number): string | undefined {
  const sockets = new Set(["/proc/net/tcp", "/proc/net/tcp6"].flatMap((table) => listeners(table, port)));
  if (sockets.size === 0) return undefined;
  for (const pid of list("/proc").filter((name) => /^\d+$/.test(name))) {
    for (const fd of list(`/proc/${pid}/fd`)) {
      if (sockets.has(link(`/proc/${pid}/fd/${fd}`))) return `${nameOf(pid)} (pid ${pid})`;
    }
  }
  return undefined;
}

/** Sockets in state LISTEN (0A) on the port, as /proc/<pid>/fd names them. */
function listeners(table: string, port: number): string[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  return read(table)
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((f) => f[1]?.endsWith(`:${wanted}`) && f[3] === "0A")
    .map((f) => `socket:[${f[9]}]`);
}

const nameOf = (pid: string): string => read(`/proc/${pid}/comm`).trim() || "a process";

// Processes come and go, and those of other users are closed to us: an empty answer is the right one.
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
