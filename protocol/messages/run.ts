/** Run request (JWS `sealflow-run+jwt`, signed by a run key): runId = SHA-256 of its compact text. */
import { NAME } from "../names";
import { type Infer, integer, list, literal, nullable, object, optional, record, text } from "../shape";
import { hex32, jwe, jws, key32, nonce32, objectRef, reason, size, tabled, time } from "./common";

/** One object that another pipeline released, with all that proves it to a guest. */
export const runImport = object({
  /** The producer's run. */
  run: hex32,
  /** The producer's version, signed by its owner, with the row of the step that released. */
  descriptor: tabled,
  /** The counted commit that released the object: receipt and the key wrapped to this pipeline. */
  commit: jws,
  object: objectRef,
  /** Where the commit stands in the producer's log, and its audit path to `head`. */
  leaf: integer(0, Number.MAX_SAFE_INTEGER),
  leafBytes: text({ max: 4000 }),
  inclusion: list(hex32, 64),
  /** Signed head of the producer's ledger. */
  head: jws,
});
export type RunImport = Infer<typeof runImport>;

export const runRequest = object({
  v: literal(1),
  pipelineUid: hex32,
  /** jwsDigest of the version. */
  descriptor: hex32,
  /** Which of the descriptor's runKeys signed. */
  runKey: key32,
  /** Pipeline input → ciphertext digest; must equal the descriptor's. */
  inputs: record(NAME, hex32, 1000),
  /** Table. Step → JWE (context `sealflow-parameters|<pipelineUid>|<step>`) of canonical JSON parameters. */
  parameters: record(NAME, jwe, 5000),
  /** Pipeline input → the release that this run reads. Absent when the pipeline imports none. */
  imports: optional(record(NAME, runImport, 100)),
  nonce: nonce32,
  /** Last ledger head the requester saw (JWS); null only if none ever. */
  head: nullable(jws),
  issuedAt: time,
  /** The request must reach the ledger before this time. */
  expiresAt: time,
});
export type RunRequest = Infer<typeof runRequest>;

/** JWE context of a step's parameters. */
export const parameterContext = (pipelineUid: string, step: string): string =>
  `sealflow-parameters|${pipelineUid}|${step}`;
/** JWE context of the run secret in a claim answer; `claim` = jwsDigest of the claim. */
export const runSecretContext = (run: string, claim: string): string => `sealflow-run-secret|${run}|${claim}`;
export const releaseContext = (run: string, release: string): string => `sealflow-release|${run}|${release}`;
/** Reserved release of every attempt's log, to `owner` only: `commit.releases.log`. No pipeline may name a release so. */
export const LOG_RELEASE = "log";
/** The log's place in `releaseContext`: not a valid name, so no release of a pipeline can stand in for it. */
export const logRelease = (step: string, shard: number, attempt: number): string => `log:${step}:${shard}:${attempt}`;

/** JWS `sealflow-cancel+jwt`, by a run key or the owner. */
export const cancelRequest = object({
  v: literal(1),
  pipelineUid: hex32,
  run: hex32,
  /** Signer: a run key or the owner's key. */
  by: key32,
  reason,
  nonce: nonce32,
  issuedAt: time,
});
export type CancelRequest = Infer<typeof cancelRequest>;

/** Bearer token for reads, JWS `sealflow-read+jwt`, by a run key or the owner of the pipeline. */
export const readToken = object({
  v: literal(1),
  /** Of the ledger that it is for. */
  ledgerKey: key32,
  pipelineUid: hex32,
  by: key32,
  issuedAt: time,
  /** At most 15 minutes after issuedAt. */
  expiresAt: time,
  nonce: nonce32,
});
export type ReadToken = Infer<typeof readToken>;

/**
 * Asks for an upload URL of a dataset object, JWS `sealflow-upload+jwt`, by the owner key inside; or by a run key of the
 * pipeline, which may add objects (imported releases) and delete none.
 */
export const uploadRequest = object({
  v: literal(1),
  /** Of the ledger that it is for. */
  ledgerKey: key32,
  ownerPublicKey: key32,
  /** The signer, when it is not the owner: a run key of the newest version of `pipelineUid`. */
  by: optional(key32),
  pipelineUid: optional(hex32),
  action: literal("put", "delete"),
  /** SHA-256 of the ciphertext; the object becomes `datasets/<digest>`. */
  digest: hex32,
  size,
  issuedAt: time,
  nonce: nonce32,
});
export type UploadRequest = Infer<typeof uploadRequest>;
