/** Every refusal that the ledger answers with, and the one map from codes to HTTP statuses. */
import { SealflowError } from "../../protocol/errors";

/**
 * Append only; a code never changes its meaning. Statuses of 500 and above: retry later with the same bytes.
 * MEDIA_TYPE, TOO_LARGE, SHAPE: the request is malformed. TOKEN_MISSING: a read without a bearer token.
 * SIGNATURE: a signature does not verify with the key that must have signed. FORBIDDEN: verified, but not entitled.
 * CLOCK: issued or expiring outside the window around the ledger's clock. SEQUENCE: a version does not follow the last.
 * LEDGER_KEY: signed for another ledger. DESCRIPTOR: contradicts itself. INPUTS: a run request does not repeat the
 * version's inputs. ROLLBACK: the caller has seen a head that this log does not extend. VERSION_CLOSED, PIPELINE_CLOSED,
 * REVOKED: no new run. OBJECT_MISSING: an input's ciphertext is not in the store. OBJECT_CONFLICT: other bytes are
 * already there. INTERRUPTED: an upload broke off; repeat it. OBJECT_IN_USE: an open version needs it. STORE_FULL: no space left. BUSY: another writer holds the
 * database. SCHEDULE: no open version lists the schedule, or the slot is none of its cron expression's. SLOT_TIME: the
 * slot's time has not come, or is over. STORE_REFUSED: the object store does not let this ledger work in it: its
 * credentials or rights are wrong. STORE_URL: at start, the store's URL cannot be used. GENERATION: a version's keys are
 * of an earlier generation than its predecessor's. STORE_ANSWER: the object store answers at more length than a store does,
 * or without end. CORRUPT: the state folder contradicts itself, see the message.
 */
export type LedgerCode =
  | "MEDIA_TYPE"
  | "TOO_LARGE"
  | "SHAPE"
  | "TOKEN_MISSING"
  | "SIGNATURE"
  | "FORBIDDEN"
  | "CLOCK"
  | "NOT_FOUND"
  | "PIPELINE_UNKNOWN"
  | "RUN_UNKNOWN"
  | "OBJECT_UNKNOWN"
  | "SEQUENCE"
  | "LEDGER_KEY"
  | "DESCRIPTOR"
  | "INPUTS"
  | "ROLLBACK"
  | "VERSION_CLOSED"
  | "PIPELINE_CLOSED"
  | "REVOKED"
  | "RUN_CLOSED"
  | "OBJECT_MISSING"
  | "OBJECT_CONFLICT"
  | "OBJECT_IN_USE"
  | "RANGE"
  | "INTERRUPTED"
  | "INTERNAL"
  | "CORRUPT"
  | "BUSY"
  | "STORE_FULL"
  | "SCHEDULE"
  | "SLOT_TIME"
  | "STORE_REFUSED"
  | "STORE_URL"
  | "GENERATION"
  | "STORE_ANSWER";

export const STATUS: Readonly<Record<LedgerCode, number>> = {
  MEDIA_TYPE: 415,
  TOO_LARGE: 413,
  SHAPE: 400,
  DESCRIPTOR: 400,
  INPUTS: 400,
  TOKEN_MISSING: 401,
  SIGNATURE: 403,
  FORBIDDEN: 403,
  CLOCK: 403,
  NOT_FOUND: 404,
  PIPELINE_UNKNOWN: 404,
  RUN_UNKNOWN: 404,
  OBJECT_UNKNOWN: 404,
  SEQUENCE: 409,
  LEDGER_KEY: 409,
  ROLLBACK: 409,
  VERSION_CLOSED: 409,
  PIPELINE_CLOSED: 409,
  REVOKED: 409,
  RUN_CLOSED: 409,
  OBJECT_MISSING: 409,
  OBJECT_CONFLICT: 409,
  OBJECT_IN_USE: 409,
  RANGE: 416,
  INTERRUPTED: 400,
  INTERNAL: 500,
  CORRUPT: 500,
  BUSY: 503,
  STORE_FULL: 507,
  SCHEDULE: 409,
  SLOT_TIME: 409,
  STORE_REFUSED: 502,
  STORE_URL: 500,
  GENERATION: 409,
  STORE_ANSWER: 502,
};

export class LedgerError extends SealflowError<LedgerCode> {}
