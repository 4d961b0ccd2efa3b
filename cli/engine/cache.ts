import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { isAlive } from "../../relying-party/dev/process";
import { packageRoot } from "./package-root";
import { ENGINE_VERSION } from "./versions";

/** Longer than any maker may take, in milliseconds. */
const LOCK_LIFETIME_MS = 45 * 60_000;

/** What is kept between projects and can be made again: SEALFLOW_CACHE, else ~/.cache/sealflow (XDG_CACHE_HOME). */
export function cacheRoot(env: NodeJS.ProcessEnv = process.env): string {
  if (env.SEALFLOW_CACHE) return resolve(env.SEALFLOW_CACHE);
  return join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "sealflow");
}

/** For this user only, where it is not there yet. */
export function makeCache(cache: string): void {
  mkdirSync(dirname(cache), { recursive: true });
  mkdirSync(cache, { recursive: true, mode: 0o700 });
}

/** Folder of the engine pinned by this package; another pin or platform is another folder. */
export function engineFolder(cache: string): string {
  const hash = createHash("sha256").update(`${ENGINE_VERSION}\n${process.platform}-${process.arch}\n`);
  for (const file of ["go.mod", "go.sum"]) hash.update(readFileSync(join(packageRoot(), "tools", "pulumi", file)));
  return join(cache, "engine", hash.digest("hex").slice(0, 16));
}

export function cachedEngine(folder: string): string | undefined {
  const pulumi = join(folder, "bin", "pulumi");
  return existsSync(pulumi) ? pulumi : undefined;
}

/**
 * Lets `make` fill a fresh folder beside `folder` and moves it into place whole, so that an interrupted build leaves
 * nothing that looks finished. Call it under lockFolder: what an interrupted call left behind is removed.
 */
export async function fillFolder(folder: string, make: (fresh: string) => Promise<void>): Promise<void> {
  const parent = dirname(folder);
  mkdirSync(parent, { recursive: true });
  const prefix = `${basename(folder)}.making-`;
  for (const name of readdirSync(parent)) {
    if (name.startsWith(prefix)) rmSync(join(parent, name), { recursive: true, force: true });
  }
  const fresh = mkdtempSync(join(parent, prefix));
  try {
    await make(fresh);
    rmSync(folder, { recursive: true, force: true }); // one that could not be used
    renameSync(fresh, folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/**
 * One maker at a time: calls `onWait` and waits while another live process holds the lock.
 * @returns the function that gives the lock back
 */
export async function lockFolder(folder: string, onWait: (pid: number) => void): Promise<() => void> {
  mkdirSync(dirname(folder), { recursive: true });
  const file = `${folder}.lock`;
  for (;;) {
    try {
      writeFileSync(file, String(process.pid), { flag: "wx" });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const pid = holder(file);
    if ((pid !== undefined && !isAlive(pid)) || isOld(file)) rmSync(file, { force: true });
    else {
      if (pid !== undefined) onWait(pid);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

/** The lock of a process with a number that another one has by now. */
function isOld(file: string): boolean {
  return Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > LOCK_LIFETIME_MS;
}

function holder(file: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(file, "utf8"), 10);
    return Number.isNaN(pid) ? undefined : pid;
  } catch {
    return undefined;
  }
}
