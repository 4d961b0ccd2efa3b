/** Entries of the ledger's log: canonical JSON, hashed as RFC 6962 leaves in the order of `seq`. */
import { utf8 } from "../bytes";
import { jcs } from "../canonical";
import { type Infer, integer, literal, nullable, object, optional } from "../shape";
import { hex32, name, time } from "./common";

export const LOG_KINDS = [
  "descriptor",
  "revoke",
  "run",
  "attempt",
  "commit",
  "failure",
  "cancel",
  "expire",
  "close",
] as const;

export const logEntry = object({
  v: literal(1),
  seq: integer(0, Number.MAX_SAFE_INTEGER),
  kind: literal(...LOG_KINDS),
  pipelineUid: hex32,
  /** `seq` of this pipeline's entry before; null for its first. So none of them can be passed off as another pipeline's. */
  previous: nullable(integer(0, Number.MAX_SAFE_INTEGER)),
  /** What is recorded: jwsDigest (descriptor, revoke, cancel), runId (run), receiptDigest (commit, failure), jwsDigest of the claim (attempt), the run (expire, close). */
  digest: hex32,
  run: optional(hex32),
  step: optional(name),
  shard: optional(integer(0, 999)),
  attempt: optional(integer(1, 1_000_000)),
  /** jwsDigest of the version, when a slot of a schedule opened the run: no request names it. */
  version: optional(hex32),
  /** SHA-256 of canonical JSON of the commit's {outputs, log, releases}: binds what the receipt does not hold. */
  content: optional(hex32),
  at: time,
});
export type LogEntry = Infer<typeof logEntry>;
export const leafBytes = (entry: LogEntry): Uint8Array => utf8(jcs(entry));
