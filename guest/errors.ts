/** Why the runner stops. The exit code is visible to the platform; the code word is fixed; details go to the log only. */
import { SealflowError } from "../protocol/errors";

/** DESIGN §5: 10 retryable, 20 refused, 30 integrity, 31 freshness, 32 format, 40 program, 41 timeout, 50 internal. */
export const EXIT = {
  ok: 0,
  retry: 10,
  refused: 20,
  integrity: 30,
  freshness: 31,
  format: 32,
  program: 40,
  timeout: 41,
  internal: 50,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/**
 * Append only. Each word has one exit code. They are printed, so they say what failed and never with which data.
 * What each means and what to do: docs/design/runner-codes.md.
 */
export const CODES = {
  KBS_UNREACHABLE: EXIT.retry,
  LEDGER_UNREACHABLE: EXIT.retry,
  STORE_UNREACHABLE: EXIT.retry,
  STORE_FULL: EXIT.retry,
  NOT_READY: EXIT.retry,
  NO_OPEN_RUN: EXIT.retry,
  PIPELINE_UNKNOWN: EXIT.retry,
  ENVIRONMENT: EXIT.refused,
  RESOURCE: EXIT.refused,
  OWNER_KEY: EXIT.refused,
  BUNDLE_DENIED: EXIT.refused,
  BUNDLE_SIGNATURE: EXIT.refused,
  BUNDLE_PROGRAM: EXIT.refused,
  SCRATCH: EXIT.refused,
  ISOLATION: EXIT.refused,
  EGRESS: EXIT.refused,
  INPUT_RECEIPT: EXIT.integrity,
  INPUT_DIGEST: EXIT.integrity,
  INPUT_SEAL: EXIT.integrity,
  INPUT_KEY: EXIT.integrity,
  IMPORT: EXIT.integrity,
  CONDITION: EXIT.integrity,
  PARAMETERS: EXIT.integrity,
  ANSWER: EXIT.freshness,
  DESCRIPTOR: EXIT.freshness,
  REQUEST: EXIT.freshness,
  LOG_PROOF: EXIT.freshness,
  ATTEMPT: EXIT.freshness,
  CLAIM_REFUSED: EXIT.freshness,
  VERSION_CLOSED: EXIT.freshness,
  REVOKED: EXIT.freshness,
  RUN_CLOSED: EXIT.freshness,
  ATTEMPTS_EXHAUSTED: EXIT.freshness,
  COMMIT_REFUSED: EXIT.freshness,
  FORMAT: EXIT.format,
  OUTPUT_MISSING: EXIT.program,
  OUTPUT_KIND: EXIT.program,
  OUTPUT_BIT: EXIT.program,
  PROGRAM: EXIT.program,
  TIMEOUT: EXIT.timeout,
  INTERNAL: EXIT.internal,
} as const;
export type RunnerCode = keyof typeof CODES;

export class RunnerError extends SealflowError<RunnerCode> {
  get exit(): ExitCode {
    return CODES[this.code];
  }
}

/** Anything thrown, as a RunnerError; what was not foreseen is INTERNAL. */
export function asRunnerError(error: unknown): RunnerError {
  if (error instanceof RunnerError) return error;
  const message = error instanceof Error ? `${error.name}: ${error.message}` : "unknown error";
  return new RunnerError("INTERNAL", message, { cause: error });
}

/** Runs `check`; whatever it throws becomes a RunnerError of this code, but a RunnerError passes. */
export async function refuseWith<T>(code: RunnerCode, what: string, check: () => T | Promise<T>): Promise<T> {
  try {
    return await check();
  } catch (error) {
    if (error instanceof RunnerError) throw error;
    throw new RunnerError(code, `${what}: ${error instanceof Error ? error.message : "unknown error"}`, {
      cause: error,
    });
  }
}
