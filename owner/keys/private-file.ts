/** Files that hold a private key: mode 0600, written whole or not at all. */
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { KeyError } from "./errors";

/** @param what names the content in errors. @throws KeyError KEY_MISSING or KEY_MODE. */
export function readPrivateFile(file: string, what: string): string {
  let fd: number;
  try {
    fd = openSync(file, "r");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    throw new KeyError("KEY_MISSING", `${file}: no such file; it must hold the ${what}`, { cause });
  }
  try {
    const { mode } = fstatSync(fd);
    if (process.platform !== "win32" && (mode & 0o077) !== 0) {
      const found = (mode & 0o777).toString(8).padStart(4, "0");
      throw new KeyError("KEY_MODE", `${file}: mode ${found}: others can read the ${what}. Run: chmod 600 ${file}`);
    }
    return readFileSync(fd, "utf8");
  } finally {
    closeSync(fd);
  }
}

/** Replaces the file in one step; its folder is created with mode 0700. */
export function writePrivateFile(file: string, content: string): void {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.${process.pid}.tmp`;
  rmSync(temporary, { force: true }); // left by a process of the same number that was killed
  try {
    writeFileSync(temporary, content, { mode: 0o600, flag: "wx" });
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
