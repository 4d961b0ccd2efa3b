import { SealflowError } from "../../../protocol/errors";

/**
 * Append only. INITDATA: not usable. POLICY: the agent policy refuses a request. IMAGE_MISSING: no such image.
 * IMAGE: its bytes are not what its digests say, or unsafe to unpack. KEY_DENIED: the KBS gives no key to this guest.
 * KBS_UNREACHABLE: retry. UNSUPPORTED: this machine or manifest cannot be simulated.
 */
export type GuestCode =
  | "INITDATA"
  | "POLICY"
  | "IMAGE_MISSING"
  | "IMAGE"
  | "KEY_DENIED"
  | "KBS_UNREACHABLE"
  | "UNSUPPORTED"
  | "INTERNAL";

export class GuestError extends SealflowError<GuestCode> {
  /** As the runner's: 10 retry, 20 refused, 50 internal. */
  get exit(): number {
    if (this.code === "KBS_UNREACHABLE") return 10;
    return this.code === "INTERNAL" ? 50 : 20;
  }
}

export function asGuestError(error: unknown): GuestError {
  if (error instanceof GuestError) return error;
  const message = error instanceof Error ? error.message : "unknown error";
  return new GuestError("INTERNAL", message, { cause: error });
}
