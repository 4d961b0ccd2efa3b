import { SealflowError } from "../../protocol/errors";

/**
 * Append only. KEY_MISSING: no key where the source says. KEY_FORM: what is there is not such a key. KEY_OTHER: a key
 * of another pipeline or generation. KEY_MODE: a private key file that others can read. KEY_EXISTS: another key is
 * already there, and keys are never overwritten.
 */
export type KeyCode = "KEY_MISSING" | "KEY_FORM" | "KEY_OTHER" | "KEY_MODE" | "KEY_EXISTS";
export class KeyError extends SealflowError<KeyCode> {}
