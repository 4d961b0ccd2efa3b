/** What every part of the ledger works with. Clock and randomness come from outside, for tests. */
import type { Database } from "./database/open";
import type { Feed } from "./feed";
import type { Signer } from "./signer";
import type { ObjectStore } from "./store/types";

export interface Context {
  readonly db: Database;
  readonly store: ObjectStore;
  readonly signer: Signer;
  /** Seconds since 1970. */
  readonly now: () => number;
  readonly random: (bytes: number) => Uint8Array;
  readonly feed: Feed;
  /** Aborted when the ledger closes: long answers end. */
  readonly closing: AbortSignal;
  /** Ed25519 keys of the owners that may register and upload; undefined: anyone may. */
  readonly owners: ReadonlySet<string> | undefined;
}

/** Clocks may differ by this much, seconds. */
export const SKEW_SECONDS = 300;
/** A signed request without its own expiry is accepted for this long, seconds. */
export const REQUEST_SECONDS = 900;
/** A run request may be made at most this long before it reaches the ledger, seconds. */
export const RUN_REQUEST_SECONDS = 86_400;
