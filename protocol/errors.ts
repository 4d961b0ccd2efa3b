/** Base of every error that a caller may want to tell apart. `code` never changes its meaning; messages may. */
export class SealflowError<Code extends string = string> extends Error {
  readonly code: Code;

  /** @param message names the place, what was found and what to do; never a key, token or plaintext. */
  constructor(code: Code, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/**
 * Append only. SHAPE: a message is not of its form. SIGNATURE: a signature does not verify. TYPE: a JWS of another
 * type. KEY: a key is malformed. CLAIM_MISMATCH: an answer belongs to another question. LOG_PROOF: a log proof fails.
 * EXPIRED: past its own `exp`.
 */
export type ProtocolCode = "SHAPE" | "SIGNATURE" | "TYPE" | "KEY" | "CLAIM_MISMATCH" | "LOG_PROOF" | "EXPIRED";

/** A message or key that does not hold. Never retry with the same bytes. */
export class ProtocolError extends SealflowError<ProtocolCode> {}
