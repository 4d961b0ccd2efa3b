/** Which processes run: a pid alone may have been given to another one since. */
import { readFileSync } from "node:fs";

/** Of a running process, in clock ticks; "0" where there is no /proc; undefined when there is no such process. */
export function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name of the program, in brackets, may contain spaces; field 22 is the 20th after it.
    const [state, ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // One that has ended stays there until somebody asks for it, which in containers process 1 often does not.
    return state === "Z" || state === "X" ? undefined : fields[18];
  } catch {
    if (process.platform === "linux") return undefined;
    try {
      process.kill(pid, 0);
      return "0";
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "EPERM" ? "0" : undefined;
    }
  }
}

export const isAlive = (pid: number): boolean => startTime(pid) !== undefined;
