/** Secrets that are made once in the ledger's folder: 32 bytes, base64url, mode 0600. */
import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, statSync, unlinkSync, writeSync } from "node:fs";
import { base64url, fromBase64url } from "../../protocol/bytes";
import { LedgerError } from "./errors";

/** Reads the secret, or makes it. Two processes that start at once get the same one. @throws LedgerError CORRUPT. */
export function loadOrMakeSecret(path: string, random: (bytes: number) => Uint8Array): Uint8Array {
  const known = read(path);
  if (known) return known;
  // Written whole beside its place, then linked there: link fails if another process was first.
  const temporary = `${path}.${randomBytes(6).toString("hex")}`;
  const file = openSync(temporary, "wx", 0o600);
  try {
    writeSync(file, base64url(random(32)));
    fsyncSync(file);
    closeSync(file);
    linkSync(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    unlinkSync(temporary);
  }
  const made = read(path);
  if (!made) throw new LedgerError("CORRUPT", `${path}: vanished while it was being made`);
  return made;
}

function read(path: string): Uint8Array | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  if ((statSync(path).mode & 0o077) !== 0) {
    throw new LedgerError("CORRUPT", `${path}: other users can read this key; set its mode to 0600`);
  }
  try {
    const bytes = fromBase64url(text.trim());
    if (bytes.length === 32) return bytes;
  } catch {
    // Falls through: the same error for every malformed file.
  }
  throw new LedgerError("CORRUPT", `${path}: not a key of 32 bytes; restore it from a backup`);
}
