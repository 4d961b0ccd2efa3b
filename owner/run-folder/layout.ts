/**
 * The verifiable folder of one run. Text files end with one line feed; JSON is canonical, so every byte counts.
 *
 *   manifest.json                        run, pipeline, SHA-256 and size of every other file
 *   request.jws                          the run request; the run's id is its SHA-256
 *   descriptors/<sequence>.jws           every version of the pipeline, from the first
 *   revocations/<digest>.jws             the owner's revocations
 *   commits/<step>.<shard>.<attempt>.jws counted commits, each with its receipt
 *   failures/<step>.<shard>.<attempt>.jws attempts that reported a failure
 *   log.jsonl                            every leaf of the ledger's log: {"entry"} for this pipeline's, else {"hash"}
 *   head.jws                             the ledger's signed head over exactly these leaves
 *   objects/<sha256>                     ciphertexts
 *   released/<release>[/<shard>]         plaintext of releases, opened with the recipient's key; not covered by receipts
 */
import { createHash } from "node:crypto";
import { createReadStream, readdirSync } from "node:fs";
import * as path from "node:path";
import { jcs } from "../../protocol/canonical";
import { SealflowError } from "../../protocol/errors";
import { hex32, size } from "../../protocol/messages/common";
import { type Infer, literal, object, record } from "../../protocol/shape";

export const MANIFEST = "manifest.json";
export const REQUEST = "request.jws";
export const LOG = "log.jsonl";
export const HEAD = "head.jws";
export const descriptorFile = (sequence: number): string => `descriptors/${sequence}.jws`;
export const revocationFile = (digest: string): string => `revocations/${digest}.jws`;
export const commitFile = (c: Place): string => `commits/${c.step}.${c.shard}.${c.attempt}.jws`;
export const failureFile = (c: Place): string => `failures/${c.step}.${c.shard}.${c.attempt}.jws`;
export const objectFile = (digest: string): string => `objects/${digest}`;
/** @param shards of the step that makes the output. */
export const releasedFile = (release: string, shard: number, shards: number): string =>
  shards === 1 ? `released/${release}` : `released/${release}/${shard}`;

/** Whether a run folder may hold a file of this name. */
export const isKnownFile = (file: string): boolean =>
  [MANIFEST, REQUEST, LOG, HEAD].includes(file) || KNOWN.some((pattern) => pattern.test(file));

const KNOWN = [
  /^descriptors\/[1-9][0-9]{0,9}\.jws$/,
  /^revocations\/[0-9a-f]{64}\.jws$/,
  /^(?:commits|failures)\/[a-z0-9-]{1,40}\.(?:0|[1-9][0-9]{0,2})\.[1-9][0-9]{0,6}\.jws$/,
  /^objects\/[0-9a-f]{64}$/,
  /^released\/[a-z0-9-]{1,40}(?:\/(?:0|[1-9][0-9]{0,2}))?$/,
];

interface Place {
  readonly step: string;
  readonly shard: number;
  readonly attempt: number;
}

/**
 * Append only. FOLDER_MISSING: there is no run folder. FOLDER_EXPORT: the ledger's export does not hold together.
 * FOLDER_TAKEN: something else is where a run folder shall be written.
 */
export type RunFolderCode = "FOLDER_MISSING" | "FOLDER_EXPORT" | "FOLDER_TAKEN";
export class RunFolderError extends SealflowError<RunFolderCode> {}

const FILE = /^[a-z0-9][a-z0-9./-]*$/;
export const manifest = object({
  v: literal(1),
  run: hex32,
  pipelineUid: hex32,
  files: record(FILE, object({ sha256: hex32, size }), 1_000_000),
});
export type Manifest = Infer<typeof manifest>;

export const manifestText = (m: Manifest): string => `${jcs(m)}\n`;

/** Relative paths of all files below, sorted, `/` between names. Links and other special files are listed too. */
export function listFiles(dir: string, below = ""): string[] {
  const files: string[] = [];
  for (const entry of readdirSync(path.join(dir, below), { withFileTypes: true })) {
    const file = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) files.push(...listFiles(dir, file));
    else files.push(file);
  }
  return files.sort();
}

export async function digestFile(file: string): Promise<{ sha256: string; size: number }> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { sha256: hash.digest("hex"), size: bytes };
}
