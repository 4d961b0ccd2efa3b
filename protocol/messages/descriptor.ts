/** The public, owner-signed description of one pipeline version: JWS `sealflow-descriptor+jwt`. */
import { NAME } from "../names";
import { type Infer, integer, list, literal, nullable, object, optional, record, text } from "../shape";
import {
  condition,
  edge,
  format,
  hex32,
  identity,
  inputs,
  key32,
  name,
  nonce32,
  outputs,
  reason,
  size,
} from "./common";
import { limits } from "./program";

export const descriptorStep = object({
  programId: hex32,
  identity,
  /** jwsDigest of the bundle. */
  bundle: hex32,
  /** Ed25519, verifies claims, commits and receipts. */
  publicKey: key32,
  /** X25519, parameters are encrypted to it. */
  parameterKey: key32,
  inputs,
  outputs,
  limits,
  exitClass: literal("visible", "hidden"),
  /** Absent: the step always runs. */
  when: optional(condition),
  trustProgram: optional(reason),
  acceptRollback: optional(reason),
});

/** A pipeline input pinned at this version. */
export const descriptorDataset = object({
  format,
  id: name,
  /** Keyed digest of the content (owner's), which selects the key. */
  contentDigest: hex32,
  /** SHA-256 and size of the ciphertext, and its name in the object store. */
  digest: hex32,
  size,
  object: text({ pattern: /^datasets\/[0-9a-f]{64}$/, what: "datasets/<digest>", max: 80 }),
});

export const descriptor = object({
  v: literal(1),
  pipelineUid: hex32,
  name,
  stackUuid: text({ pattern: /^[0-9a-f]{32}$/, what: "32 hex digits", max: 32 }),
  ownerPublicKey: key32,
  ns: name,
  generation: integer(1, 1_000_000),
  /** Counts up by one with every registered version. */
  sequence: integer(1, 1_000_000_000),
  /** jwsDigest of the version before; null for the first. */
  predecessor: nullable(hex32),
  ledgerKey: key32,
  /** Ed25519 keys that may open and cancel runs. */
  runKeys: list(key32, 100),
  /** X25519 keys that releases are wrapped to; `owner` is always there. */
  recipients: record(NAME, key32, 100),
  /** Table: a guest gets its own row and its producers'. */
  steps: record(NAME, descriptorStep, 5000),
  datasets: record(NAME, descriptorDataset, 1000),
  /** Release name → edge and recipients. */
  releases: record(NAME, object({ from: edge, recipients: list(name, 100) }), 1000),
  /** Schedule → jwsDigest of the schedule whose slots may open runs of this version. */
  schedules: optional(record(NAME, hex32, 100)),
  /** Seconds that open runs of the predecessor may go on. */
  drainSeconds: integer(0, 31_536_000),
  /** Seconds after its opening when a run expires: its secrets are deleted, what was not released cannot be read again. */
  runSeconds: integer(60, 315_360_000),
});

export type Descriptor = Infer<typeof descriptor>;
export type DescriptorStep = Infer<typeof descriptorStep>;
export type DescriptorDataset = Infer<typeof descriptorDataset>;

/** Owner's order to close a pipeline for good, or one of its versions: JWS `sealflow-revoke+jwt`. */
export const revoke = object({
  v: literal(1),
  /** Of the ledger that it is for; another one refuses it, whoever shows it there. */
  ledgerKey: key32,
  pipelineUid: hex32,
  ownerPublicKey: key32,
  /** jwsDigest of the version; null: every version, and no new one. */
  descriptor: nullable(hex32),
  /** With `descriptor: null`: the objects of all its runs are deleted too, releases among them. */
  deleteObjects: optional(literal(true)),
  reason,
  nonce: nonce32,
});
export type Revoke = Infer<typeof revoke>;
