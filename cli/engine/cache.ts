import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { packageRoot } from "./package-root";
import { ENGINE_VERSION } from "./versions";

/** What is kept between projects and can be made again: SEALFLOW_CACHE, else ~/.cache/sealflow (XDG_CACHE_HOME). */
export function cacheRoot(env: NodeJS.ProcessEnv = process.env): string {
  if (env.SEALFLOW_CACHE) return env.SEALFLOW_CACHE;
  return join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "sealflow");
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
 * nothing that looks finished. When another process was faster, its result stays.
 */
export async function fillFolder(folder: string, make: (fresh: string) => Promise<void>): Promise<void> {
  mkdirSync(join(folder, ".."), { recursive: true });
  const fresh = mkdtempSync(`${folder}.making-`);
  try {
    await make(fresh);
    try {
      renameSync(fresh, folder);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if ((code !== "ENOTEMPTY" && code !== "EEXIST") || cachedEngine(folder) === undefined) throw error;
    }
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/**
 * One maker at a time: calls `onWait` and waits while another live process holds the lock.
 * @returns the function that gives the lock back
 */
export async function lockFolder(folder: string, onWait: (pid: number) => void): Promise<() => void> {
  mkdirSync(join(folder, ".."), { recursive: true });
  const file = `${folder}.lock`;
  for (;;) {
    try {
      writeFileSync(file, String(process.pid), { flag: "wx" });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const pid = holder(file);
    if (pid !== undefined && !isAlive(pid)) rmSync(file, { force: true });
    else {
      if (pid !== undefined) onWait(pid);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

function holder(file: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(file, "utf8"), 10);
    return Number.isNaN(pid) ? undefined : pid;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
