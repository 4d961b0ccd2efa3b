/** Shapes of the ledger's plain answers. What a type of protocol/ covers is verified as JWS instead. */
import { EXIT_CLASSES, objectParts } from "../../protocol/messages";
import { hex32, jws, key32, name, opening, tabled, time, url } from "../../protocol/messages/common";
import { HEX32, NAME } from "../../protocol/names";
import { type Infer, integer, list, literal, nullable, object, optional, record, text } from "../../protocol/shape";

const seq = integer(0, Number.MAX_SAFE_INTEGER);
const shard = integer(0, 999);
const attempt = integer(0, 1_000_000);

export const runState = literal("open", "succeeded", "failed", "cancelled", "expired", "closed");
export type RunState = Infer<typeof runState>;
const workState = literal("waiting", "running", "committed", "failed");
/** `skipped`: the step's condition does not hold, or it waits for a step whose does not. */
const stepState = literal("waiting", "running", "committed", "failed", "skipped");
export type WorkState = Infer<typeof stepState>;

export const keyAnswer = object({ ledgerKey: key32, head: jws });
export const headsAnswer = object({ head: jws, consistency: list(hex32, 128) });
export const registered = object({
  pipelineUid: hex32,
  descriptor: hex32,
  sequence: integer(1, 1_000_000_000),
  head: jws,
});
export const revoked = object({ head: jws });
export const opened = object({ run: hex32, state: runState, head: jws });
export const cancelled = object({ state: runState, head: jws });
export const uploadAnswer = object({
  object: text({ pattern: /^datasets\/[0-9a-f]{64}$/, what: "datasets/<digest>", max: 80 }),
  present: literal(true, false),
  url: optional(url),
  parts: optional(objectParts),
});

export const version = object({
  digest: hex32,
  sequence: integer(1, 1_000_000_000),
  token: tabled,
  state: literal("open", "draining", "closed", "revoked"),
});
export type Version = Infer<typeof version>;
export const versionsAnswer = object({ descriptors: list(version, 1_000_000), head: jws });

const shardStatus = object({
  shard,
  state: workState,
  /** The committed attempt, else the last; 0 before the first. */
  attempt,
  /** Attempts used up. */
  attempts: attempt,
  failures: list(object({ attempt, exitClass: literal(...EXIT_CLASSES) }), 1000),
});
export const runStatus = object({
  run: hex32,
  pipelineUid: hex32,
  descriptor: hex32,
  state: runState,
  openedAt: time,
  endedAt: nullable(time),
  steps: record(NAME, object({ state: stepState, shards: list(shardStatus, 1000) }), 5000),
});
export type RunStatus = Infer<typeof runStatus>;
export const runsAnswer = object({ runs: list(runStatus, 1000) });

const recorded = object({ commit: jws, leaf: seq });
export const runLog = object({
  /** The whole chain of versions, oldest first. */
  descriptors: list(tabled, 1_000_000),
  revocations: list(jws, 1_000_000),
  /** Text that opened the run. */
  request: opening,
  commits: list(recorded, 5_000_000),
  failures: list(recorded, 5_000_000),
  /** Every leaf; `entry` is its canonical JSON, for this pipeline's. */
  entries: list(object({ entry: optional(text({ max: 4000 })), hash: hex32 }), Number.MAX_SAFE_INTEGER),
  head: jws,
  /** Digest of a ciphertext → where to read it, for objects that are still there. */
  objects: record(HEX32, url, 5_000_000),
});
export type RunLog = Infer<typeof runLog>;

export const ledgerEvent = object({
  /** Position in the log. */
  seq,
  kind: name,
  run: nullable(hex32),
  step: nullable(name),
  shard: nullable(shard),
  attempt: nullable(attempt),
  /** State of the run when the event was sent. */
  state: nullable(runState),
});
export type LedgerEvent = Infer<typeof ledgerEvent>;

export const refusal = object({ error: object({ code: text({ max: 60 }), message: text({ max: 4000 }) }) });
