/**
 * Programs are run out of the cache, and what Node compiled is run unread. So nobody else may be able to put them there:
 * neither in the folder nor by exchanging one of those above it.
 */
import { lstatSync, realpathSync, type Stats, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { EngineError } from "./types";

const OTHERS_WRITE = 0o002;
const STICKY = 0o1000;

/**
 * @param path need not exist; then the nearest folder above it that does counts. @param what names it in the error.
 * @throws EngineError CACHE_SHARED
 */
export function requireOwn(path: string, what: string): void {
  if (process.getuid === undefined) return; // no such modes
  const found = whoElse(nearest(resolve(path)), process.getuid());
  if (found === undefined) return;
  throw new EngineError(
    "CACHE_SHARED",
    `${what} ${path}: ${found}, and what lies there is run. Name a folder of your own in SEALFLOW_CACHE, or take the right away`,
  );
}

/** The real place of what exists of a path. */
function nearest(path: string): string {
  for (let at = path; ; at = dirname(at)) {
    if (lstatSync(at, { throwIfNoEntry: false }) !== undefined) return realpathSync(at);
    if (at === dirname(at)) return at;
  }
}

function whoElse(path: string, self: number): string | undefined {
  for (let at = path, leaf = true; ; at = dirname(at), leaf = false) {
    const stat = statSync(at);
    if (stat.uid !== self && stat.uid !== 0) return `${at} belongs to another user (${stat.uid})`;
    if (isOpen(stat, leaf)) return `everybody may write in ${at}`;
    if (at === dirname(at)) return undefined;
  }
}

/** In a folder such as /tmp only the owner of what lies there can exchange it; new names anybody can take. */
const isOpen = ({ mode }: Stats, leaf: boolean): boolean =>
  (mode & OTHERS_WRITE) !== 0 && (leaf || (mode & STICKY) === 0);
