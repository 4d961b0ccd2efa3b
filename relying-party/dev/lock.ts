/**
 * One relying party per state folder. The lock is an open SQLite transaction, so the kernel drops it with the process,
 * however that ends; holder.json beside it only says who has it.
 */
import { closeSync, openSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { integer, object, optional, parse, text } from "../../protocol/shape";
import { DevError } from "./errors";
import { type DevPaths, readIfThere, writePrivate } from "./files";
import { isAlive, startTime } from "./process";

const holderShape = object({
  pid: integer(1, 2 ** 31),
  /** Of the process, in the kernel's units; absent where it is not known. */
  startTime: optional(text({ max: 40 })),
  /** ISO 8601, for people. */
  since: text({ max: 40 }),
});

export interface Holder {
  readonly pid: number;
  readonly startTime?: string;
  readonly since: string;
}

export interface Lock {
  release(): void;
}

/** @throws DevError RUNNING, naming the holder. */
export function takeLock(paths: DevPaths): Lock {
  const db = tryLock(paths);
  if (!db) {
    const holder = currentHolder(paths);
    const who = holder ? `process ${holder.pid}, since ${holder.since}` : "another process";
    throw new DevError(
      "RUNNING",
      `a relying party already serves ${paths.home} (${who}); use it, or stop it with "sealflow dev --stop"`,
    );
  }
  const started = startTime(process.pid);
  const holder: Holder = {
    pid: process.pid,
    ...(started === undefined ? {} : { startTime: started }),
    since: new Date().toISOString(),
  };
  writePrivate(paths.holder, JSON.stringify(holder));
  return {
    release: () => {
      rmSync(paths.holder, { force: true });
      db.close();
    },
  };
}

/** The process that holds the lock now; undefined when none does. */
export function currentHolder(paths: DevPaths): Holder | undefined {
  const text = readIfThere(paths.holder);
  if (text === undefined) return undefined;
  let holder: Holder;
  try {
    holder = parse(holderShape, JSON.parse(text), paths.holder) as Holder;
  } catch {
    // Only told, never relied on: the lock itself decides.
    return undefined;
  }
  // A process that was killed leaves the file; its pid may belong to another one by now.
  return isAlive(holder.pid) && startTime(holder.pid) === holder.startTime ? holder : undefined;
}

function tryLock(paths: DevPaths): DatabaseSync | undefined {
  closeSync(openSync(paths.lock, "a", 0o600));
  const db = new DatabaseSync(paths.lock, { timeout: 0 });
  try {
    db.exec("pragma journal_mode = delete; begin exclusive");
    return db;
  } catch (error) {
    db.close();
    if (((error as { errcode?: number }).errcode ?? 0) % 256 === 5) return undefined;
    throw error;
  }
}
