/** A guest asks for work (JWS `sealflow-claim+jwt`, step key) and the ledger answers (JWS `sealflow-claim-answer+jwt`). */
import { NAME } from "../names";
import { type Infer, integer, list, literal, nullable, object, optional, record, text } from "../shape";
import { edge, hex32, jwe, jws, key32, name, nonce32, objectRef, opening, reason, tabled, time, url } from "./common";
import { dsse } from "./receipt";

export const claim = object({
  v: literal(1),
  pipelineUid: hex32,
  step: name,
  programId: hex32,
  /** jwsDigest of the bundle the guest holds. */
  bundle: hex32,
  /** From SEALFLOW_RUN: chooses among open runs, proves nothing. */
  runHint: nullable(hex32),
  nonce: nonce32,
  /** Fresh X25519 key; the run secret comes encrypted to it. */
  ephemeralKey: key32,
});
export type Claim = Infer<typeof claim>;

/** One committed object that a step reads, with all that proves it. */
export const claimInput = object({
  edge,
  shard: integer(0, 999),
  attempt: integer(1, 1_000_000),
  object: objectRef,
  url,
  /** Producer's signed receipt; its subject digest must equal `object.digest`. */
  receipt: dsse,
  /** Where the commit stands in the log, and its audit path to the answer's head. */
  leaf: integer(0, Number.MAX_SAFE_INTEGER),
  leafBytes: text({ max: 4000 }),
  inclusion: list(hex32, 64),
  /** Proof that the answer's head extends the head in the receipt: who served the producer serves the reader. */
  consistency: list(hex32, 64),
});

/** The commit that decided that a step with a condition runs, with all that proves it. */
export const claimCondition = object({
  attempt: integer(1, 1_000_000),
  receipt: dsse,
  /** As of an input. */
  leaf: integer(0, Number.MAX_SAFE_INTEGER),
  leafBytes: text({ max: 4000 }),
  inclusion: list(hex32, 64),
  consistency: list(hex32, 64),
});
export type ClaimCondition = Infer<typeof claimCondition>;

/** The ledger has said no; `retry`: a later claim may be answered otherwise. */
export const REFUSALS = [
  "PIPELINE_UNKNOWN",
  "VERSION_CLOSED",
  "REVOKED",
  "RUN_UNKNOWN",
  "RUN_CLOSED",
  "ATTEMPTS_EXHAUSTED",
  "NO_OPEN_RUN",
] as const;

export const claimAnswer = object({
  v: literal(1),
  /** jwsDigest of the claim: binds the answer to the guest's nonce. */
  claim: hex32,
  /** `skipped`: the step's condition does not hold, or it waits for a step whose does not. */
  status: literal("go", "wait", "superseded", "skipped", "refused"),
  refusal: optional(literal(...REFUSALS)),
  detail: optional(reason),
  retryAfterMs: optional(integer(50, 600_000)),
  /** Everything below only with `go`. */
  go: optional(
    object({
      run: hex32,
      /** What opened the run, with the row of this step's parameters, or the neighbours that prove there are none. */
      request: opening,
      /** The run's version, with the rows of this step and of the steps it waits for. */
      descriptor: tabled,
      attempt: integer(1, 1_000_000),
      shard: integer(0, 999),
      runSecret: jwe,
      /** Input name → objects (one, or one per shard with collect). */
      inputs: record(NAME, list(claimInput, 1000), 200),
      /** Present exactly when the step has a condition. */
      condition: optional(claimCondition),
      /** Input name → where the ciphertext of the dataset or of the imported release is. */
      datasets: record(NAME, object({ url }), 200),
      /** Output name → where to put the ciphertext; `log` apart. */
      uploads: record(NAME, object({ object: text({ max: 200 }), url }), 200),
      log: object({ object: text({ max: 200 }), url }),
      head: jws,
      /** From the request's head to `head`; empty if the request had none. */
      consistency: list(hex32, 64),
    }),
  ),
});
export type ClaimAnswer = Infer<typeof claimAnswer>;
export type ClaimInput = Infer<typeof claimInput>;
export type ClaimGo = NonNullable<ClaimAnswer["go"]>;

/** Signed head of the log: JWS `sealflow-head+jwt`. */
export const head = object({
  v: literal(1),
  ledgerKey: key32,
  size: integer(0, Number.MAX_SAFE_INTEGER),
  root: hex32,
  at: time,
});
export type Head = Infer<typeof head>;
