/** A guest commits an attempt (JWS `sealflow-commit+jwt`, step key); the ledger answers (JWS `sealflow-commit-answer+jwt`). */
import { NAME } from "../names";
import { type Infer, integer, literal, object, optional, record } from "../shape";
import { hex32, jwe, jws, name, nonce32, objectRef, reason } from "./common";
import { dsse } from "./receipt";

export const commit = object({
  v: literal(1),
  pipelineUid: hex32,
  run: hex32,
  step: name,
  shard: integer(0, 999),
  attempt: integer(1, 1_000_000),
  programId: hex32,
  /** `failed`: the receipt says how; nothing is counted, outputs are empty, and releases hold `log` alone. */
  outcome: literal("ok", "failed"),
  outputs: record(NAME, objectRef, 200),
  log: objectRef,
  /** Declassified output → its bit, as in the receipt. Absent when there are none. */
  declassified: optional(record(NAME, literal(true, false), 200)),
  receipt: dsse,
  /** Release → recipient → JWE of the object key (context `releaseContext`); and `log` → `owner`, see docs/design/spine.md. */
  releases: record(NAME, record(NAME, jwe, 100), 100),
  nonce: nonce32,
});
export type Commit = Infer<typeof commit>;

export const commitAnswer = object({
  v: literal(1),
  /** jwsDigest of the commit. */
  commit: hex32,
  /** `superseded`: another attempt of this shard was first. `recorded`: a failed attempt was noted. */
  status: literal("committed", "recorded", "superseded", "refused"),
  refusal: optional(
    literal("RUN_CLOSED", "VERSION_CLOSED", "REVOKED", "ATTEMPT_UNKNOWN", "RECEIPT_MISMATCH", "OBJECT_MISSING"),
  ),
  detail: optional(reason),
  head: optional(jws),
});
export type CommitAnswer = Infer<typeof commitAnswer>;
export type CommitRefusal = NonNullable<CommitAnswer["refusal"]>;

/** Step id used in hashes and errors. */
export const attemptName = (c: Pick<Commit, "step" | "shard" | "attempt">): string =>
  `${c.step}[${c.shard}] attempt ${c.attempt}`;
