/** The relying party as a background process: start, status, stop. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type Connection, connection as connectionShape } from "../../protocol/connection";
import { parse } from "../../protocol/shape";
import { HttpsClient } from "../http/client";
import { DevError } from "./errors";
import { type DevPaths, devPaths, privateDir, readIfThere } from "./files";
import { currentHolder, type Holder } from "./lock";
import { isAlive } from "./process";

const START_MS = 30_000;
const STOP_MS = 10_000;
const POLL_MS = 50;

export interface DevStatus {
  /** A process holds the folder's lock. */
  readonly running: boolean;
  /** Its ledger answers. */
  readonly ready: boolean;
  readonly pid?: number;
  /** ISO 8601. */
  readonly since?: string;
  readonly connection?: Connection;
}

export interface DetachedOptions {
  readonly home: string;
  /** Program and arguments of a process that calls `startDev` for this home and stays, such as `node sealflow.js dev`. */
  readonly launcher: readonly [string, ...string[]];
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Milliseconds until it must answer; default 30 000. */
  readonly timeoutMs?: number;
}

/** Is it there, and does it answer? */
export async function devStatus({ home }: { home: string }): Promise<DevStatus> {
  const paths = devPaths(home);
  const holder = currentHolder(paths);
  if (!holder) return { running: false, ready: false };
  const connection = readConnection(paths);
  const ready = connection !== undefined && (await answers(connection));
  return {
    running: true,
    ready,
    pid: holder.pid,
    since: holder.since,
    ...(connection ? { connection } : {}),
  };
}

/**
 * Starts the launcher in the background unless the relying party is running, and waits until it answers. Its output
 * goes to dev/log.
 * @throws DevError START_FAILED with the last lines of the log.
 */
export async function startDevDetached(
  options: DetachedOptions,
): Promise<{ connection: Connection; pid: number; started: boolean }> {
  const paths = devPaths(options.home);
  privateDir(paths.home);
  privateDir(paths.dev);
  const deadline = Date.now() + (options.timeoutMs ?? START_MS);
  const child = currentHolder(paths) ? undefined : launch(paths, options);
  try {
    for (;;) {
      const status = await devStatus(options);
      if (status.ready && status.connection && status.pid !== undefined) {
        // A launcher may start the real process; one that has ended lost against another start.
        const started = child !== undefined && child.exitCode === null;
        return { connection: status.connection, pid: status.pid, started };
      }
      // Another start may have won; then ours ends with RUNNING, and the winner is waited for.
      const ended = child !== undefined && child.exitCode !== null;
      if (ended && !status.running) throw failed(paths, `ended with status ${child.exitCode}`);
      if (Date.now() > deadline) throw failed(paths, "did not answer in time");
      await sleep(POLL_MS);
    }
  } catch (error) {
    if (child) endGroup(child);
    throw error;
  } finally {
    child?.unref();
  }
}

/**
 * Stops the background process, and waits until it is gone.
 * @returns false when none was running. @throws DevError STOP_FAILED.
 */
export async function stopDev({ home }: { home: string }): Promise<boolean> {
  const paths = devPaths(home);
  const holder = currentHolder(paths);
  if (!holder) return false;
  if (holder.pid === process.pid) throw new DevError("STOP_FAILED", "the relying party runs in this very process");
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    if (isSame(holder, currentHolder(paths))) process.kill(holder.pid, signal);
    for (const deadline = Date.now() + STOP_MS; Date.now() < deadline; await sleep(POLL_MS)) {
      if (!isAlive(holder.pid) || !isSame(holder, currentHolder(paths))) return true;
    }
  }
  throw new DevError("STOP_FAILED", `process ${holder.pid} does not end`);
}

const isSame = (a: Holder, b: Holder | undefined): boolean => a.pid === b?.pid && a.startTime === b.startTime;

function launch(paths: DevPaths, { launcher: [program, ...args], cwd, env }: DetachedOptions): ChildProcess {
  const log = openSync(paths.log, "a", 0o600);
  try {
    const child = spawn(program, args, {
      detached: true,
      stdio: ["ignore", log, log],
      ...(cwd === undefined ? {} : { cwd }),
      ...(env === undefined ? {} : { env }),
    });
    // Reported through the exit code that never comes: a program that cannot be started has none.
    child.once("error", () => Object.assign(child, { exitCode: child.exitCode ?? 127 }));
    return child;
  } finally {
    closeSync(log);
  }
}

/** The launcher and what it has started: it was detached, so it leads a group of its own. */
function endGroup({ pid, exitCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null) return;
  try {
    process.kill(-pid, "SIGTERM");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function failed(paths: DevPaths, what: string): DevError {
  const last = readFileSync(paths.log, "utf8").trim().split("\n").slice(-5).join("\n  ");
  return new DevError("START_FAILED", `the relying party ${what}; the end of ${paths.log}:\n  ${last}`);
}

function readConnection(paths: DevPaths): Connection | undefined {
  const text = readIfThere(paths.connection);
  if (text === undefined) return undefined;
  try {
    return parse(connectionShape, JSON.parse(text), paths.connection);
  } catch (cause) {
    throw new DevError("STATE", `${paths.connection} is damaged; remove it and start again`, { cause });
  }
}

async function answers({ ledgerUrl, caPem }: Connection): Promise<boolean> {
  const client = new HttpsClient({ url: ledgerUrl, caPem, timeoutMs: 2000, retries: 0 });
  try {
    return (await client.call("GET", "/readyz")).status === 200;
  } catch {
    return false;
  } finally {
    client.close();
  }
}
