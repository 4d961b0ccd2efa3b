import { SealflowError } from "../../protocol/errors";

/**
 * Append only. INPUT: an input is wrong; the message names it. SOURCE: a file or folder is missing or unreadable.
 * RELYING_PARTY_UNKNOWN: no connection file or admin token. RELYING_PARTY_UNREACHABLE: no answer; retry when it runs.
 * CANCELLED: the engine stopped the operation; retry. LEDGER_BEHIND: the ledger knows less than the stack remembers, or something else.
 * UNSUPPORTED: a call that this provider does not offer. NOT_READY: what was waited for is not there; the message says
 * what is missing.
 */
export type ProviderCode =
  | "INPUT"
  | "SOURCE"
  | "RELYING_PARTY_UNKNOWN"
  | "RELYING_PARTY_UNREACHABLE"
  | "CANCELLED"
  | "LEDGER_BEHIND"
  | "UNSUPPORTED"
  | "NOT_READY";

/** What the engine shows to the user. */
export class ProviderError extends SealflowError<ProviderCode> {}
