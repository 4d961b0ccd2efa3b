/** What this machine gives right now, and what a command takes of it. */
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { loadavg } from "node:os";

/** Others use the cores: then the clock measures them, and CPU time is the better measure of a program. */
export const isBusy = (): boolean => (loadavg()[0] ?? 0) > 0.7;

export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

export interface Spent {
  /** By the clock. */
  readonly seconds: number;
  /** CPU seconds of all threads, user and system. */
  readonly cpu: number;
}

/** Runs a command to its end. @throws Error with what it wrote to stderr, when it fails. */
export function spentOn(command: string, args: readonly string[]): Spent {
  const started = process.hrtime.bigint();
  const { status, stdout, stderr } = spawnSync("sh", ["-c", '"$@" > /dev/null && times', "sh", command, ...args], {
    encoding: "utf8",
  });
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
  // Second line: user and system time of the shell's children.
  const parts = [...(stdout.trim().split("\n")[1] ?? "").matchAll(/(\d+)m([\d.]+)s/g)];
  return { seconds, cpu: parts.reduce((sum, [, minutes, rest]) => sum + Number(minutes) * 60 + Number(rest), 0) };
}

/**
 * CPU seconds of a process, user and system, of all its threads; the kernel counts hundredths.
 * @param process its id, or `self/task/<thread>` for one thread
 * @returns undefined when it has ended
 */
export function cpuSecondsOf(process: number | string): number | undefined {
  return secondsAt(statOf(process), 11);
}

/** CPU seconds of this process's children that have ended, and of theirs. */
export const cpuSecondsOfEnded = (): number => secondsAt(statOf("self"), 13) ?? 0;

/** Fields of `stat` behind the command's name, which may hold anything; none when the process has ended. */
export function statOf(process: number | string): string[] {
  try {
    const stat = readFileSync(`/proc/${process}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return [];
  }
}

const secondsAt = (fields: readonly string[], at: number): number | undefined =>
  fields.length === 0 ? undefined : (Number(fields[at]) + Number(fields[at + 1])) / 100;

/** MB/s of `openssl speed` on one core, blocks of 1 MiB. @param busy CPU time instead of the clock. */
export function opensslRate(algorithm: string, busy: boolean): number {
  const text = execFileSync(
    "openssl",
    ["speed", ...(busy ? [] : ["-elapsed"]), "-mr", "-seconds", "2", "-bytes", "1048576", "-evp", algorithm],
    { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
  );
  const found = /^\+F:[^\n]*:([0-9.]+)\s*$/m.exec(text)?.[1];
  if (!found) throw new Error(`openssl speed ${algorithm} printed no result`);
  return Number(found) / 1e6;
}
