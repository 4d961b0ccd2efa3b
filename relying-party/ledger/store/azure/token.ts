/**
 * Access tokens of Microsoft Entra for storage: by workload identity (AKS puts a signed token of the service account into a
 * file) or by the managed identity of a VM. There are no account keys and no client secrets. Tokens stay in this process.
 * Sources: OAuth 2.0 client credentials with a federated credential; Azure Instance Metadata Service.
 */
import { readFileSync } from "node:fs";
import { LedgerError } from "../../errors";
import { noCredentials } from "../call";
import { endpointOf } from "../query";

export interface EntraToken {
  readonly token: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

type Env = Readonly<Record<string, string | undefined>>;

const SCOPE = "https://storage.azure.com/";
const METADATA = "http://169.254.169.254";
const AUTHORITY = "https://login.microsoftonline.com/";
const CALL_MS = 5000;
/** Asked for again this long before they end, milliseconds. */
const MARGIN_MS = 5 * 60_000;

/** Gives a token that still holds for a while. @throws LedgerError naming every way that was tried. */
export function entraTokens(env: Env = process.env): () => Promise<string> {
  let held: Promise<EntraToken> | undefined;
  let until = 0;
  return async () => {
    if (held && Date.now() < until) return (await held).token;
    held = find(env);
    until = Number.POSITIVE_INFINITY;
    try {
      const { token, expiresAt } = await held;
      const left = expiresAt - Date.now();
      until = Date.now() + Math.max(left - MARGIN_MS, left / 2);
      return token;
    } catch (error) {
      held = undefined;
      throw error;
    }
  };
}

async function find(env: Env): Promise<EntraToken> {
  const found = (await fromWorkloadIdentity(env)) ?? (await fromInstance(env));
  if (found) return found;
  throw new LedgerError(
    "STORE_REFUSED",
    "object store: no identity. Run with workload identity (AZURE_CLIENT_ID, AZURE_TENANT_ID and " +
      "AZURE_FEDERATED_TOKEN_FILE), or on a VM with a managed identity",
  );
}

async function fromWorkloadIdentity(env: Env): Promise<EntraToken | undefined> {
  const { AZURE_FEDERATED_TOKEN_FILE: file, AZURE_CLIENT_ID: client, AZURE_TENANT_ID: tenant } = env;
  if (!file || !client || !tenant) return undefined;
  const problems: string[] = [];
  const authority = endpointOf("AZURE_AUTHORITY_HOST", env.AZURE_AUTHORITY_HOST || AUTHORITY, problems);
  if (!authority) throw new LedgerError("STORE_REFUSED", `object store: ${problems.join("; ")}`);
  const url = `${authority.href.replace(/\/+$/, "")}/${encodeURIComponent(tenant)}/oauth2/v2.0/token`;
  const body = new URLSearchParams({
    grant_type: "client_credentials",
    client_id: client,
    scope: `${SCOPE}.default`,
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    // Read anew each time: the kubelet renews it.
    client_assertion: readFileSync(file, "utf8").trim(),
  });
  const answer = await fetch(url, { method: "POST", body, redirect: "error", signal: AbortSignal.timeout(CALL_MS) });
  return tokenOf(`workload identity ${client}`, answer);
}

async function fromInstance(env: Env): Promise<EntraToken | undefined> {
  const url = new URL(`${env.AZURE_POD_IDENTITY_AUTHORITY_HOST || METADATA}/metadata/identity/oauth2/token`);
  url.searchParams.set("api-version", "2018-02-01");
  url.searchParams.set("resource", SCOPE);
  if (env.AZURE_CLIENT_ID) url.searchParams.set("client_id", env.AZURE_CLIENT_ID);
  const asked = { headers: { metadata: "true" }, signal: AbortSignal.timeout(2000) };
  // Not on such a machine.
  const answer = await fetch(url, asked).catch(() => undefined);
  return answer && tokenOf("managed identity", answer);
}

/** @throws LedgerError with Microsoft's code, which holds no secret. */
async function tokenOf(from: string, answer: Response): Promise<EntraToken> {
  const text = await answer.text();
  const said = (() => {
    try {
      return JSON.parse(text) as Readonly<Record<string, unknown>>;
    } catch {
      return {};
    }
  })();
  if (!answer.ok || typeof said.access_token !== "string") {
    const code = typeof said.error === "string" ? ` ${said.error.slice(0, 60)}` : "";
    throw noCredentials(answer.status, `${from}: no token:${code}`);
  }
  const seconds = Number(said.expires_in);
  return { token: said.access_token, expiresAt: Date.now() + 1000 * (Number.isFinite(seconds) ? seconds : 300) };
}
