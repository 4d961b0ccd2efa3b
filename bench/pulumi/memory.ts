/** Memory and CPU time of a process's children and theirs, by the kernel's own books. */
import { readdirSync, readFileSync } from "node:fs";
import { cpuSecondsOf, statOf } from "../support/machine";

const EVERY_MS = 250;

export interface Peak {
  /** MiB at the worst moment, pages that several processes share once; CPU seconds of all, as last seen. */
  stop(): { memoryMiB: number; cpu: number };
}

/** @param parent whose descendants count; itself and those that were there before do not. */
export function watchMemory(parent: number): Peak {
  const before = new Set(descendants(parent));
  let most = 0;
  const cpu = new Map<number, number>();
  const look = () => {
    const now = descendants(parent).filter((pid) => !before.has(pid));
    for (const pid of now) cpu.set(pid, Math.max(cpu.get(pid) ?? 0, cpuSecondsOf(pid) ?? 0));
    most = Math.max(
      most,
      now.map(proportionalMiB).reduce((a, b) => a + b, 0),
    );
  };
  const timer = setInterval(look, EVERY_MS);
  return {
    stop() {
      clearInterval(timer);
      return { memoryMiB: most, cpu: [...cpu.values()].reduce((a, b) => a + b, 0) };
    },
  };
}

function descendants(parent: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const of = Number(statOf(name)[1]);
    children.set(of, [...(children.get(of) ?? []), Number(name)]);
  }
  const found: number[] = [];
  for (const queue = [...(children.get(parent) ?? [])]; queue.length > 0; ) {
    const pid = queue.pop() as number;
    found.push(pid);
    queue.push(...(children.get(pid) ?? []));
  }
  return found;
}

const proportionalMiB = (pid: number): number =>
  Number(/^Pss:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0) / 1024;

/** "" for a process that has ended meanwhile. */
function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
