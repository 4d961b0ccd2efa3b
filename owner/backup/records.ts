/** Files by which `keys backup` and `keys restore` talk to the provider, in `.sealflow/keys/<stack>/`. */
import { existsSync, readFileSync, rmSync } from "node:fs";
import * as path from "node:path";
import { literal, object, parse, text } from "../../protocol/shape";
import { parseRoot, publicFacts, readPrivateFile, writePrivateFile } from "../keys";
import type { KeyBackup } from "./backup";
import { BackupError } from "./errors";

export interface Place {
  /** `.sealflow` of the project. */
  readonly home: string;
  readonly stack: string;
  readonly pipeline: string;
}

const fileOf = ({ home, stack, pipeline }: Place, what: string): string =>
  path.join(home, "keys", stack, `${pipeline}.${what}.json`);

/** Leaves the keys for the next `up` to adopt: private, 0600, removed when they are adopted. @returns the file. */
export function writeRestored(home: string, backup: KeyBackup): string {
  const file = fileOf({ home, ...backup }, "restored");
  writePrivateFile(file, `${JSON.stringify(backup)}\n`);
  return file;
}

/** @throws KeyError, BackupError when the file is there and cannot be used. */
export function readRestored(place: Place): KeyBackup | undefined {
  const file = fileOf(place, "restored");
  if (!existsSync(file)) return undefined;
  const { stackUuid, root, pipelineUid, pipeline, stack } = JSON.parse(readPrivateFile(file, "restored root"));
  const facts = publicFacts(parseRoot(String(root), file), String(stackUuid), String(pipeline));
  if (facts.pipelineUid !== pipelineUid || pipeline !== place.pipeline || stack !== place.stack) {
    throw new BackupError("BACKUP_FORM", `${file}: damaged. Run \`sealflow keys restore\` again`);
  }
  return { v: 1, pipeline, stack, stackUuid, pipelineUid, root };
}

export const removeRestored = (place: Place): void => rmSync(fileOf(place, "restored"), { force: true });

const backupRecord = object({ v: literal(1), pipelineUid: text({ max: 64 }), fingerprint: text({ max: 64 }) });

/** Remembers that a backup of these keys exists; public. @returns the file. */
export function writeBackupRecord(place: Place, keys: { pipelineUid: string; fingerprint: string }): string {
  const file = fileOf(place, "backup");
  const { pipelineUid, fingerprint } = keys;
  writePrivateFile(file, `${JSON.stringify({ v: 1, pipelineUid, fingerprint })}\n`);
  return file;
}

/** @returns the fingerprint of the root that was backed up; undefined: none was, as far as this machine knows. */
export function backedUp(place: Place): string | undefined {
  const file = fileOf(place, "backup");
  try {
    return parse(backupRecord, JSON.parse(readFileSync(file, "utf8")), "backup record").fingerprint;
  } catch {
    return undefined; // a reminder too many does no harm
  }
}
