/** Files of the state folder: folders 0700, files 0600, written beside their place and renamed. */
import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import * as path from "node:path";
import { isName } from "../protocol/names";
import { quoted } from "../protocol/quoted";
import { ProviderError } from "./server/errors";

/** A reader sees the old bytes or the new ones, never half; also after a crash. */
export function writePrivate(file: string, text: string): void {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const beside = `${file}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    const handle = openSync(beside, "wx", 0o600);
    try {
      writeSync(handle, text);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(beside, file);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
}

/** undefined when there is no such file. */
export function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * Where a pipeline's files of one kind lie: `<home>/<kind>/<stack>/`. Names come out of the stack's state, too, which
 * nothing checked again, and what is there is overwritten and removed.
 * @throws ProviderError INPUT
 */
export function stackFolder(
  home: string,
  kind: string,
  { stack, pipeline }: { stack: string; pipeline: string },
): string {
  for (const [what, name] of Object.entries({ stack, pipeline })) {
    if (typeof name !== "string" || !isName(name)) throw foreign(`${what} ${quoted(String(name))}`);
  }
  return path.join(home, kind, stack);
}

/** A folder right below `<home>/<kind>`, by its path out of the stack's state. @throws ProviderError INPUT */
export function ownFolder(home: string, kind: string, folder: string): string {
  const name = path.relative(path.join(home, kind), folder);
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) throw foreign(quoted(folder));
  return folder;
}

const foreign = (what: string): ProviderError =>
  new ProviderError(
    "INPUT",
    `the stack's state names ${what}, which this provider did not make. Look who changed the state`,
  );
