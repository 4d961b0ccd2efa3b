/** Exit codes of every command; documented in docs/cli.md, never renumbered. */
import { SealflowError } from "../protocol/errors";

export const EXIT = {
  ok: 0,
  /** Wrong arguments, a missing or damaged file of the caller, a wrong key. */
  usage: 1,
  /** `verify`, `fetch`, `start`: the folder does not hold what its signatures promise. */
  verification: 2,
  /** The run failed, was cancelled, expired or closed. */
  run: 3,
  /** The relying party does not answer; try again. */
  unreachable: 4,
  /** The relying party refused, or says what contradicts its own signatures (a rolled-back or another ledger). */
  refused: 5,
  /** The deployment failed, or there is no Pulumi engine. */
  deployment: 6,
  /** A bug or a broken machine: the message has the stack. */
  internal: 70,
  interrupted: 130,
} as const;

/** Codes by which errors of any folder tell what kind they are. Everything else with a code is wrong usage. */
const BY_CODE: Readonly<Record<string, number>> = {
  UNREACHABLE: EXIT.unreachable,
  TIMEOUT: EXIT.unreachable,
  BUSY: EXIT.unreachable,
  START_FAILED: EXIT.unreachable,
  STOP_FAILED: EXIT.unreachable,
  NOT_RUNNING: EXIT.unreachable,
  PORT_TAKEN: EXIT.unreachable,
  API_UNREACHABLE: EXIT.unreachable,
  API_REFUSED: EXIT.refused,
  ENGINE_UNAVAILABLE: EXIT.deployment,
  CACHE_SHARED: EXIT.deployment,
  PASSPHRASE_MODE: EXIT.deployment,
  DEPLOYMENT: EXIT.deployment,
  TLS: EXIT.refused,
  LOG_PROOF: EXIT.refused,
  ROLLBACK: EXIT.refused,
  CLAIM_MISMATCH: EXIT.refused,
  SIGNATURE: EXIT.refused,
  FOLDER_EXPORT: EXIT.refused,
  RELEASE_KEY: EXIT.verification,
  OBJECT_DIGEST: EXIT.verification,
  STREAM_AUTH: EXIT.verification,
  STREAM_HEADER: EXIT.verification,
  LOG_FORM: EXIT.verification,
};

export interface Explained {
  /** Exit code. */
  readonly code: number;
  /** What to print: the message alone when it was written for the user. */
  readonly text: string;
  /** With `--json`: the error's own code and message. */
  readonly error: { readonly code: string; readonly message: string };
}

export function explain(error: unknown): Explained {
  if (error instanceof SealflowError) {
    const { code: name, message } = error;
    const refused = error.name === "LedgerRefusal" ? EXIT.refused : EXIT.usage;
    return { code: BY_CODE[name] ?? refused, text: `${message} [${name}]`, error: { code: name, message } };
  }
  if ((error as { name?: string } | undefined)?.name === "AbortError") {
    return { code: EXIT.interrupted, text: "interrupted", error: { code: "INTERRUPTED", message: "interrupted" } };
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const message = error instanceof Error ? error.message : text;
  return { code: EXIT.internal, text, error: { code: "INTERNAL", message } };
}
