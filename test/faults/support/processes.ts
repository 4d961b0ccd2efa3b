/** Processes of this machine: whose children they are, and ending one of them without warning. */
import { readdirSync, readFileSync } from "node:fs";

interface Entry {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

function entries(): Entry[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, "utf8");
        const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
        const command = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ");
        return [{ pid: Number(name), parent, command }];
      } catch {
        // It has ended meanwhile.
        return [];
      }
    });
}

/** All below a process, nearest first. */
export function descendants(of: number): Entry[] {
  const all = entries();
  const found: Entry[] = [];
  let level = [of];
  while (level.length > 0) {
    const children = all.filter(({ parent }) => level.includes(parent));
    found.push(...children);
    level = children.map(({ pid }) => pid);
  }
  return found;
}

/** SIGKILL to the nearest descendants whose command line fits. @returns how many. */
export function killBelow(of: number, command: RegExp): number {
  const [first, ...more] = descendants(of).filter((entry) => command.test(entry.command));
  const same = first ? [first, ...more.filter(({ parent }) => parent === first.parent)] : [];
  for (const { pid } of same) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }
  return same.length;
}
