/**
 * Access tokens of Microsoft Entra for storage: by workload identity (AKS puts a signed token of the service account into a
 * file) or by the managed identity of a VM. There are no account keys and no client secrets. Tokens stay in this process.
 * Sources: OAuth 2.0 client credentials with a federated credential; Azure Instance Metadata Service.
 */
import { LedgerError } from "../../errors";
import { askIssuer, firstOf, issuedFile, jsonOf, type Looked, refused, wordOf } from "../issuer";
import { endpointOf } from "../query";
import { type Held, renewed } from "../renewed";

type Env = Readonly<Record<string, string | undefined>>;

const SCOPE = "https://storage.azure.com/";
const METADATA = "http://169.254.169.254";
const AUTHORITY = "https://login.microsoftonline.com/";
/** Not on such a machine nobody answers, milliseconds. */
const METADATA_MS = 2000;
/** Asked for again this long before they end, milliseconds. */
const MARGIN_MS = 5 * 60_000;
/** Of an answer that does not say, seconds. */
const SHORT = 300;
/** The metadata service asks to be tried again with these besides 429 and 5xx: it is updated, or not ready yet. */
const PASSING = new Set([404, 410]);

/** Gives a token that still holds for a while. @throws LedgerError naming every way that was tried. */
export const entraTokens = (env: Env = process.env, now: () => number = Date.now): (() => Promise<string>) =>
  renewed(
    () => firstOf("identity", [() => fromWorkloadIdentity(env, now), () => fromInstance(env, now)]),
    MARGIN_MS,
    now,
  );

async function fromWorkloadIdentity(env: Env, now: () => number): Promise<Looked<string>> {
  const { AZURE_FEDERATED_TOKEN_FILE: file, AZURE_CLIENT_ID: client, AZURE_TENANT_ID: tenant } = env;
  if (!file || !client || !tenant) {
    return { nothing: "AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE (not all set)" };
  }
  const what = `workload identity ${client}`;
  const problems: string[] = [];
  const authority = endpointOf("AZURE_AUTHORITY_HOST", env.AZURE_AUTHORITY_HOST || AUTHORITY, problems);
  if (!authority) throw new LedgerError("STORE_REFUSED", `object store: ${what}: ${problems.join("; ")}`);
  const url = `${authority.href.replace(/\/+$/, "")}/${encodeURIComponent(tenant)}/oauth2/v2.0/token`;
  const body = new URLSearchParams({
    grant_type: "client_credentials",
    client_id: client,
    scope: `${SCOPE}.default`,
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    // Read anew each time: the kubelet renews it.
    client_assertion: issuedFile(what, "AZURE_FEDERATED_TOKEN_FILE", file),
  });
  return tokenOf(what, await askIssuer(what, url, { method: "POST", body }), now);
}

async function fromInstance(env: Env, now: () => number): Promise<Looked<string>> {
  const base = env.AZURE_POD_IDENTITY_AUTHORITY_HOST || METADATA;
  const url = new URL(`${base}/metadata/identity/oauth2/token`);
  url.searchParams.set("api-version", "2018-02-01");
  url.searchParams.set("resource", SCOPE);
  // A machine with several identities gives none without a choice.
  if (env.AZURE_CLIENT_ID) url.searchParams.set("client_id", env.AZURE_CLIENT_ID);
  const what = "managed identity";
  const asked = { headers: { metadata: "true" }, timeoutMs: METADATA_MS };
  const answer = await askIssuer(what, url.href, asked).catch(() => undefined);
  if (!answer) return { nothing: `${what} (${base} does not answer)` };
  return tokenOf(what, answer, now, PASSING);
}

/** @throws LedgerError with Microsoft's code, which holds no secret. */
async function tokenOf(
  from: string,
  answer: Response,
  now: () => number,
  passing: ReadonlySet<number> = new Set(),
): Promise<Held<string>> {
  const said = await jsonOf(answer);
  if (!answer.ok || typeof said.access_token !== "string") {
    const later = passing.has(answer.status) || answer.status >= 500 || answer.status === 429;
    throw refused(answer.status, `${from}: no token: ${wordOf(said.error)}`.replace(/: $/, ""), later);
  }
  const seconds = Number(said.expires_in);
  return { value: said.access_token, expiresAt: now() + 1000 * (Number.isFinite(seconds) ? seconds : SHORT) };
}
