/** The development KBS as one function from request to answer; the caller brings HTTPS. */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { fromBase64, fromBase64url } from "../../protocol/bytes";
import { sealKbsJwe, teePubKey } from "../../protocol/rcar";
import { parse } from "../../protocol/shape";
import { type AdminRules, adminCheck } from "./admin";
import { handshakes, SESSION_COOKIE } from "./attestation";
import { KbsRefusal, pluginFailed, rvpsFailed, setPolicyFailed } from "./errors";
import { policies } from "./policies";
import { openStore } from "./store";
import { tokenIssuer } from "./token";

export type { AdminRules } from "./admin";

export interface DevKbsOptions {
  /** Folder of the database; made when missing. */
  readonly dir: string;
  /** Who may call the admin endpoints. */
  readonly admin: AdminRules;
  /** Milliseconds since 1970; default the clock. */
  readonly now?: () => number;
  /** Gets the cause of every refusal, which clients do not see; never a key or a token. */
  readonly onRefusal?: (type: string, cause: unknown) => void;
}

export interface DevKbs {
  handle(request: Request): Promise<Response>;
  close(): void;
}

const PREFIX = "/kbs/v0/";
/** Trustee's default `payload_request_size`. */
const MAX_BODY = 2 * 1024 * 1024;
const DRAIN_BODY = 16 * MAX_BODY;
const SEGMENT = /^[a-zA-Z0-9_-]+[a-zA-Z0-9_.-]*$/;

export function createDevKbs({ dir, admin: rulesOfAdmin, now = Date.now, onRefusal }: DevKbsOptions): DevKbs {
  const admin = adminCheck(rulesOfAdmin, now);
  const store = openStore(dir);
  const rules = policies(store);
  const tokens = tokenIssuer(store, now);
  const sessions = handshakes(rules, tokens, now);

  async function route(request: Request, url: URL): Promise<Response> {
    if (!url.pathname.startsWith(PREFIX)) return new Response(null, { status: 404 });
    const [plugin = "", ...rest] = url.pathname.slice(PREFIX.length).split("/").map(decodeURIComponent);
    const { method } = request;
    const builtin = `${method} ${plugin}`;
    switch (builtin) {
      case "POST auth":
        return sessions.auth(await jsonBody(request));
      case "POST attest":
        return sessions.attest(await jsonBody(request), cookie(request));
      case "POST attestation-policy": {
        await admin(request, "attestation-policy");
        const { policy_id, policy } = asObject(await jsonBody(request));
        if (typeof policy_id !== "string") throw setPolicyFailed("parse set policy request");
        rules.setAttestationPolicy(
          policy_id,
          policyText(policy, () => setPolicyFailed("parse set policy request")),
        );
        return new Response(null);
      }
      case "POST resource-policy": {
        await admin(request, "resource-policy");
        const { policy } = asObject(await jsonBody(request));
        rules.setResourcePolicy(
          policyText(policy, () => new KbsRefusal("PolicyEngineError", "Policy engine error: request")),
        );
        return new Response(null);
      }
      case "GET resource-policy":
        await admin(request, "resource-policy");
        return Response.json(rules.resourcePolicyIds());
      case "POST reference-value":
        await admin(request, "reference-value");
        register(await jsonBody(request));
        return new Response(null, { headers: { "content-type": "application/json" } });
      case "GET reference-value": {
        await admin(request, "reference-value");
        const kept = store.get("reference_value", rest.join("/"));
        if (!kept) throw rvpsFailed("Failed to get reference_values: No reference value found for the given id");
        return Response.json((JSON.parse(Buffer.from(kept).toString("utf8")) as { value: unknown }).value);
      }
    }
    if (plugin !== "resource") throw new KbsRefusal("PluginNotFound", `Plugin ${plugin.slice(0, 100)} not found`);
    if (method === "GET") return release(request, url, rest);
    await admin(request, undefined);
    const path = resourcePath(rest);
    if (method === "POST") store.set("repository", path, await bytesBody(request));
    else if (method !== "DELETE" || !store.delete("repository", path)) throw pluginFailed(new Error(`no ${path}`));
    return new Response(null, { headers: { "content-type": "text/xml" } });
  }

  /** A resource for a guest: token, policy, then the resource itself, in Trustee's order. */
  async function release(request: Request, url: URL, path: string[]): Promise<Response> {
    const token = sessions.tokenOf(cookie(request)) ?? bearer(request);
    if (token === undefined) throw new KbsRefusal("TokenNotFound", "Attestation Token not found");
    const claims = await tokens.verify(token);
    const data = { plugin: "resource", "resource-path": path, query: Object.fromEntries(url.searchParams) };
    if (!rules.allows(data, claims)) throw new KbsRefusal("PolicyDeny", "Access denied by policy");
    const secret = store.get("repository", resourcePath(path));
    if (!secret) throw pluginFailed(new Error(`no ${path.join("/")}`));
    const jwe = sealKbsJwe(teeKeyOf(claims), secret, {
      ephemeral: generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
      contentKey: randomBytes(32),
      iv: randomBytes(12),
    });
    return Response.json(jwe);
  }

  /** RVPS message of type `sample`. Not atomic over several ids, as in Trustee. */
  function register(body: unknown): void {
    const failed = (why: string) => rvpsFailed(`Failed to register reference value: ${why}`);
    const { version, type, payload } = asObject(body);
    if (version !== "0.1.0" || type !== "sample" || typeof payload !== "string") throw failed("unsupported message");
    let values: Record<string, unknown>;
    try {
      values = asObject(JSON.parse(Buffer.from(fromBase64(payload)).toString("utf8")));
    } catch {
      throw failed("payload is not base64 of a JSON object");
    }
    const expiration = `${new Date(now() + 365 * 86_400_000).toISOString().slice(0, 19)}Z`;
    for (const [name, value] of Object.entries(values)) {
      if (!/^[A-Za-z0-9._/-]{1,255}$/.test(name)) throw failed("malformed key");
      store.set("reference_value", name, Buffer.from(JSON.stringify({ version: "0.1.0", name, expiration, value })));
    }
  }

  return {
    async handle(request) {
      const url = new URL(request.url);
      if (url.pathname === "/healthz" && request.method === "GET") return new Response("ok");
      try {
        return await route(request, url);
      } catch (error) {
        if (error instanceof Response) return error;
        if (error instanceof KbsRefusal) {
          onRefusal?.(error.type, error.cause);
          return error.response();
        }
        onRefusal?.("internal", error);
        return pluginFailed().response();
      }
    },
    close: () => store.close(),
  };
}

function resourcePath(segments: readonly string[]): string {
  if (segments.length !== 3 || !segments.every((s) => SEGMENT.test(s))) throw pluginFailed(new Error("resource path"));
  return segments.join("/");
}

/** The first built-in pointer of Trustee that CoCo tokens have. */
function teeKeyOf(claims: unknown) {
  type Claims = { submods?: { cpu0?: Record<string, { runtime_data_claims?: Record<string, unknown> }> } };
  const evidence = (claims as Claims).submods?.cpu0?.["ear.veraison.annotated-evidence"];
  try {
    return parse(teePubKey, evidence?.runtime_data_claims?.["tee-pubkey"], "tee-pubkey");
  } catch (cause) {
    throw new KbsRefusal("TokenVerifierError", "Token Verifier error", { cause });
  }
}

function policyText(encoded: unknown, refusal: () => KbsRefusal): string {
  if (typeof encoded !== "string") throw refusal();
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(fromBase64url(encoded));
  } catch {
    throw refusal();
  }
}

/** Reads to the end also what is too large, so that the client sees the answer. @throws Response 413, as actix. */
async function bytesBody(request: Request): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size <= MAX_BODY) chunks.push(chunk);
    else if (size > DRAIN_BODY) break;
  }
  if (size > MAX_BODY) throw new Response("A payload reached size limit.", { status: 413 });
  return Buffer.concat(chunks);
}

/** undefined when it is not JSON, which no shape takes. */
async function jsonBody(request: Request): Promise<unknown> {
  const text = Buffer.from(await bytesBody(request)).toString("utf8");
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const asObject = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};

const bearer = (request: Request): string | undefined =>
  /^Bearer (\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];

function cookie(request: Request): string | undefined {
  const cookies = (request.headers.get("cookie") ?? "").split(/;\s*/);
  return cookies.find((c) => c.startsWith(`${SESSION_COOKIE}=`))?.slice(SESSION_COOKIE.length + 1);
}
