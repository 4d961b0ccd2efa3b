/** Errors as Trustee's KBS answers them: kbs/src/error.rs of confidential-containers/trustee, v0.21 and v0.22. */

const TYPE = "https://github.com/confidential-containers/kbs/errors";

export type KbsErrorType =
  | "AdminAuthAccess"
  | "AdminAuthInitialization"
  | "AttestationError"
  | "InvalidRequestPath"
  | "PluginInternalError"
  | "PluginNotFound"
  | "PolicyDeny"
  | "PolicyEngineError"
  | "RvpsError"
  | "TokenNotFound"
  | "TokenVerifierError";

export class KbsRefusal extends Error {
  /** @param detail what the client sees. @param options.cause for the log only. */
  constructor(
    readonly type: KbsErrorType,
    readonly detail: string,
    options?: { cause?: unknown },
  ) {
    super(`${type}: ${detail}`, options);
  }

  /** 401 for everything but unknown paths; clients tell cases apart by `type`. */
  get status(): number {
    return this.type === "InvalidRequestPath" || this.type === "PluginNotFound" ? 404 : 401;
  }

  response(): Response {
    return new Response(JSON.stringify({ type: `${TYPE}/${this.type}`, detail: this.detail }), { status: this.status });
  }
}

export const attestFailed = (cause: unknown): KbsRefusal =>
  new KbsRefusal("AttestationError", "Attestation error: RCAR handshake Attest failed", { cause });
export const authFailed = (why: string): KbsRefusal =>
  new KbsRefusal("AttestationError", `Attestation error: RCAR handshake Auth failed: ${why}`);
export const setPolicyFailed = (why: string): KbsRefusal =>
  new KbsRefusal("AttestationError", `Attestation error: Set Attestation Policy failed: ${why}`);
export const pluginFailed = (cause?: unknown): KbsRefusal =>
  new KbsRefusal("PluginInternalError", "Plugin internal error", { cause });
export const rvpsFailed = (why: string): KbsRefusal => new KbsRefusal("RvpsError", `RVPS configuration failed: ${why}`);
