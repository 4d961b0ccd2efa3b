import {
  CPU_POLICY_ID,
  GPU_POLICY_ID,
  POLICY_SLOTS,
  type PolicyMode,
  type PolicySlot,
  policyIn,
  REVOKED,
} from "../../policy";
import { base64, base64url, utf8 } from "../../protocol/bytes";
import { type HttpAnswer, HttpsClient } from "../http/client";
import type { Routes } from "../http/routes";
import { type CanaryReport, runCanary } from "./canary";
import { fromAnswer, fromHttp, KbsError, problemOf } from "./errors";

export interface KbsAdminOptions {
  /** Base URL, such as `https://127.0.0.1:8443`. */
  readonly url: string;
  /** The only CA believed, PEM. */
  readonly caPem: string;
  /** Admin bearer token, or how to get a short-lived one for each call: `adminTokens`. */
  readonly token: string | (() => string | Promise<string>);
  /** Which attestation policy belongs there. Default development: the KBS accepts simulated guests. */
  readonly mode?: PolicyMode;
  /** Milliseconds; default 15 000. */
  readonly timeoutMs?: number;
  /** Other ways to the KBS. Default: as the URL says. */
  readonly routes?: Routes;
  /** Keep connections for the next client of the same KBS. Default false. */
  readonly share?: boolean;
}

/** Admin calls to a KBS. All are idempotent, so they are repeated after network errors. Close it at the end. */
export class KbsAdmin {
  readonly #http: HttpsClient;
  readonly #token: KbsAdminOptions["token"];
  readonly #mode: PolicyMode;

  constructor({ url, caPem, token, mode = "development", timeoutMs = 15_000, routes, share = false }: KbsAdminOptions) {
    this.#http = new HttpsClient({ url, caPem, timeoutMs, share, ...(routes ? { routes } : {}) });
    this.#token = token;
    this.#mode = mode;
  }

  /** Stores or overwrites a resource. @param path `repository/type/tag`. @throws KbsError. */
  async putResource(path: string, bytes: Uint8Array): Promise<void> {
    await this.#ok(`resource ${path}`, "POST", `resource/${path}`, bytes);
  }

  /**
   * Deletes a resource.
   * @returns false when there was none. @throws KbsError.
   */
  async deleteResource(path: string): Promise<boolean> {
    const what = `resource ${path}`;
    const answer = await this.#call(what, "DELETE", `resource/${path}`);
    if (answer.status === 200) return true;
    // "No such resource" is told like any other fault; after an admin call that succeeds it can mean nothing else.
    if (problemOf(answer).type !== "PluginInternalError") throw fromAnswer(what, answer);
    await this.checkAccess();
    return false;
  }

  /** Registers the grant of one identity. @param id of `grantId`. @param value of `grantValue`. @throws KbsError. */
  async putGrant(id: string, value: unknown): Promise<void> {
    await this.putReferenceValue(id, value);
  }

  /** New tokens get nothing; tokens already issued live on for about six minutes. @throws KbsError. */
  async revokeGrant(id: string): Promise<void> {
    await this.putReferenceValue(id, REVOKED);
  }

  /** Registers one reference value; an existing one is replaced. @throws KbsError. */
  async putReferenceValue(id: string, value: unknown): Promise<void> {
    const payload = base64(utf8(JSON.stringify({ [id]: value })));
    const message = { version: "0.1.0", type: "sample", payload };
    await this.#ok(`reference value ${id}`, "POST", "reference-value", message);
  }

  /** @returns the value, or undefined when it is not registered. @throws KbsError. */
  async referenceValue(id: string): Promise<unknown> {
    const what = `reference value ${id}`;
    const answer = await this.#call(what, "GET", `reference-value/${id}`);
    if (answer.status === 200) return JSON.parse(answer.body.toString("utf8"));
    const error = fromAnswer(what, answer);
    if (error.code === "NOT_FOUND") return undefined;
    throw error;
  }

  /** Installs the shipped resource and attestation policies, over whatever was there. @throws KbsError. */
  async putPolicies(): Promise<void> {
    // The resource policy goes last: until it is there, nothing is released by the others.
    for (const slot of POLICY_SLOTS) await this.putPolicy(slot);
  }

  /** Installs one of them. @throws KbsError. */
  async putPolicy(slot: PolicySlot): Promise<void> {
    const policy = base64url(utf8(policyIn(slot, this.#mode).text));
    if (slot === "resource") return this.#ok("resource policy", "POST", "resource-policy", { policy });
    const policy_id = slot === "attestation-cpu" ? CPU_POLICY_ID : GPU_POLICY_ID;
    await this.#ok("attestation policy", "POST", "attestation-policy", { type: "rego", policy_id, policy });
  }

  /** Succeeds when the KBS is up and takes the token. @throws KbsError DOWN, NOT_ALLOWED or NOT_TRUSTED. */
  async checkAccess(): Promise<void> {
    await this.#ok("admin access", "GET", "resource-policy");
  }

  /**
   * Checks by a simulated handshake that the installed policies are Sealflow's and work; policies cannot be read back.
   * @param mode `any`: whichever of the two attestation policies is there. Default: the client's.
   * @throws KbsError POLICIES with what is wrong, or the error of a call.
   */
  async canary(mode: PolicyMode | "any" = this.#mode): Promise<CanaryReport> {
    return runCanary(this, this.#http, mode);
  }

  close(): void {
    this.#http.close();
  }

  async #ok(what: string, method: string, path: string, body?: Uint8Array | object): Promise<void> {
    const answer = await this.#call(what, method, path, body);
    if (answer.status !== 200) throw fromAnswer(what, answer);
  }

  async #call(what: string, method: string, path: string, body?: Uint8Array | object): Promise<HttpAnswer> {
    if (!/^[A-Za-z0-9._/-]+$/.test(path))
      throw new KbsError("BAD_REQUEST", `${what}: a character that a path cannot have`);
    const token = typeof this.#token === "string" ? this.#token : await this.#token();
    const binary = body instanceof Uint8Array;
    const type = binary ? "application/octet-stream" : "application/json";
    try {
      return await this.#http.call(method, `/kbs/v0/${path}`, {
        headers: { authorization: `Bearer ${token}`, ...(body ? { "content-type": type } : {}) },
        ...(body ? { body: binary ? body : JSON.stringify(body) } : {}),
        retry: true,
      });
    } catch (error) {
      throw fromHttp(what, error);
    }
  }
}
