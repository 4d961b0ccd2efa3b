/** Files by which `keys backup` and `keys restore` talk to the provider, in `.sealflow/keys/<stack>/`. */
import { existsSync, readFileSync, rmSync } from "node:fs";
import * as path from "node:path";
import { literal, object, parse, text } from "../../protocol/shape";
import { KeyError, parseRoot, publicFacts, readPrivateFile, writePrivateFile } from "../keys";
import { type KeyBackup, keyBackup } from "./backup";
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
  const damaged = () => new BackupError("BACKUP_FORM", `${file}: damaged. Run \`sealflow keys restore\` again`);
  let read: KeyBackup;
  try {
    read = parse(keyBackup, JSON.parse(readPrivateFile(file, "restored root")), "restored root");
  } catch (error) {
    if (error instanceof KeyError) throw error;
    throw damaged(); // the cause could quote the content
  }
  const facts = publicFacts(parseRoot(read.root, file), read.stackUuid, read.pipeline);
  const fits = facts.pipelineUid === read.pipelineUid && read.pipeline === place.pipeline && read.stack === place.stack;
  if (!fits) throw damaged();
  return read;
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
export const backedUp = (place: Place): string | undefined => recordOf(place)?.fingerprint;

/** @returns the id of the pipeline that was backed up from here. */
export const backedUpPipeline = (place: Place): string | undefined => recordOf(place)?.pipelineUid;

function recordOf(place: Place): { pipelineUid: string; fingerprint: string } | undefined {
  try {
    return parse(backupRecord, JSON.parse(readFileSync(fileOf(place, "backup"), "utf8")), "backup record");
  } catch {
    return undefined; // a reminder too many does no harm
  }
}
