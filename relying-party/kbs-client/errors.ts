import { SealflowError } from "../../protocol/errors";
import { type HttpAnswer, HttpError } from "../http/client";

/**
 * Append only. NOT_FOUND: there is no such resource or value. NOT_ALLOWED: the admin token or its role is refused.
 * DOWN: the KBS does not answer or fails by itself; retry. BAD_REQUEST: it refused what was sent; never retry.
 * NOT_TRUSTED: the server is not the one whose CA is pinned. DENIED: a guest was refused a resource or a token.
 * POLICIES: Sealflow's policies are not installed, or do not work. ADMIN_KEY: there is no usable admin key here.
 */
export type KbsCode =
  | "NOT_FOUND"
  | "NOT_ALLOWED"
  | "DOWN"
  | "BAD_REQUEST"
  | "NOT_TRUSTED"
  | "DENIED"
  | "POLICIES"
  | "ADMIN_KEY";

export class KbsError extends SealflowError<KbsCode> {
  /** Last part of the KBS's error type, such as `PolicyDeny`; undefined when there was no such answer. */
  readonly kbsType: string | undefined;
  constructor(code: KbsCode, message: string, options: { cause?: unknown; kbsType?: string | undefined } = {}) {
    super(code, message, options);
    this.kbsType = options.kbsType;
  }
}

/** @param what the call in words, such as `resource a/b/c`. */
export function fromHttp(what: string, error: unknown): unknown {
  if (!(error instanceof HttpError)) return error;
  if (error.code === "TLS") return new KbsError("NOT_TRUSTED", `${what}: ${error.message}`, { cause: error });
  if (error.code === "UNREACHABLE" || error.code === "TIMEOUT") {
    const message = `${what}: ${error.message}; start the KBS (locally: npx sealflow dev) and try again`;
    return new KbsError("DOWN", message, { cause: error });
  }
  return new KbsError("BAD_REQUEST", `${what}: ${error.message}`, { cause: error });
}

/** Type and detail of an error body; tolerant, since the body may be a proxy's. */
export function problemOf(answer: HttpAnswer): { type: string; detail: string } {
  try {
    const { type, detail } = JSON.parse(answer.body.toString("utf8")) as { type?: unknown; detail?: unknown };
    return { type: String(type).split("/").at(-1) ?? "", detail: String(detail).slice(0, 300) };
  } catch {
    return { type: "", detail: "" };
  }
}

const ADMIN = ["AdminAuthAccess", "AdminAuthInitialization"];
const GUEST = ["PolicyDeny", "TokenNotFound", "TokenVerifierError"];

/** Trustee says which of the two it was in words only. */
function refusedAdmin(detail: string): string {
  if (/Role .* not allowed for path/.test(detail)) {
    return `the admin token's role may not call this (${detail}). Add the path to the role's rule in the KBS's admin.authorization`;
  }
  const compare = "the KBS's admin.authentication must have this admin key's public key, issuer and audience";
  return `the KBS refuses the admin token (${detail || "no reason given"}): ${compare}, and both clocks must be right`;
}

/** The KBS answers 401 to nearly everything, so cases are told apart by the type of the error, not by the status. */
export function fromAnswer(what: string, answer: HttpAnswer): KbsError {
  const { type, detail } = problemOf(answer);
  const said = detail ? `${type}: ${detail}` : `status ${answer.status}`;
  const make = (code: KbsCode, message: string) =>
    new KbsError(code, `${what}: ${message}`, { kbsType: type || undefined });
  if (ADMIN.includes(type)) return make("NOT_ALLOWED", refusedAdmin(detail));
  if (GUEST.includes(type)) return make("DENIED", `the KBS refuses this guest (${said})`);
  if (type === "RvpsError" && detail.includes("No reference value found")) return make("NOT_FOUND", "not registered");
  if (answer.status >= 500) return make("DOWN", `the KBS fails (${said}); try again`);
  if (answer.status === 413) return make("BAD_REQUEST", "larger than the KBS takes");
  if (type === "PluginNotFound") return make("BAD_REQUEST", `this KBS does not offer it (${said})`);
  return make("BAD_REQUEST", `the KBS refuses it (${said}); its log has the cause`);
}
