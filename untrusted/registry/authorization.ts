/**
 * What stands in the Authorization header: Basic, or a token of the service that the registry's challenge names
 * (sources: distribution's "Token Authentication Specification" and "OAuth2 Token Authentication"; RFC 9110 section 11).
 */
import type { CredentialSource, Credentials } from "./credentials";
import { RegistryError } from "./errors";
import { type Http, readText } from "./http";
import { Passing, retryAfter } from "./retry";

/** What is wanted from a repository. */
export type Right = "pull" | "push" | "delete";

export interface Challenge {
  /** Lower-case. */
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** A token is renewed this long before it ends, milliseconds. */
const MARGIN_MS = 10_000;
/** The specification's default when the service names no lifetime, seconds. */
const DEFAULT_LIFETIME = 60;

/** One registry's authorizations; kept in memory only. */
export class Authorizations {
  readonly #tokens = new Map<string, { header: string; until: number }>();

  constructor(
    private readonly http: Http,
    private readonly credentials: CredentialSource,
  ) {}

  /** What an earlier challenge led to, if it still holds. */
  known(host: string, scopes: readonly string[]): string | undefined {
    const found = this.#tokens.get(keyOf(host, scopes));
    return found && found.until > Date.now() ? found.header : undefined;
  }

  forget(host: string, scopes: readonly string[]): void {
    this.#tokens.delete(keyOf(host, scopes));
  }

  /**
   * Answers a 401.
   * @returns the header, or undefined when there is nothing to answer with.
   * @throws RegistryError CREDENTIALS, DENIED; Passing when the token service is busy.
   */
  async answer(
    host: string,
    repository: string,
    scopes: readonly string[],
    header: string | undefined,
  ): Promise<string | undefined> {
    const challenges = parseChallenges(header ?? "");
    const credentials = await this.credentials(host, repository);
    const bearer = challenges.find((c) => c.scheme === "bearer");
    const found = bearer
      ? await this.#token(host, bearer, scopes, credentials)
      : challenges.some((c) => c.scheme === "basic") && credentials && "password" in credentials
        ? { header: basic(credentials), until: Number.POSITIVE_INFINITY }
        : undefined;
    if (found) this.#tokens.set(keyOf(host, scopes), found);
    return found?.header;
  }

  async #token(
    host: string,
    { parameters }: Challenge,
    scopes: readonly string[],
    credentials: Credentials | undefined,
  ): Promise<{ header: string; until: number }> {
    const realm = this.#realm(host, parameters.realm);
    const service = parameters.service;
    const wanted = [...new Set([...scopes, ...(parameters.scope ?? "").split(" ").filter((s) => s !== "")])];
    const exchange =
      credentials && "identityToken" in credentials
        ? byIdentityToken(realm, service, wanted, credentials.identityToken)
        : byPassword(realm, service, wanted, credentials);
    const answer = await this.http.exchange(exchange);
    const status = answer.statusCode ?? 0;
    const text = await readText(answer);
    if (status >= 500 || status === 429) {
      throw new Passing(`token service ${realm.host} answered ${status}`, retryAfter(answer.headers["retry-after"]));
    }
    if (status !== 200) {
      const remedy = credentials ? "The stored login is refused: log in again" : `Log in to ${host} first`;
      throw new RegistryError("DENIED", `${host}: token service ${realm.host} answered ${status}. ${remedy}`);
    }
    const { token, seconds } = tokenOf(text, realm.host);
    return { header: `Bearer ${token}`, until: Date.now() + seconds * 1000 - MARGIN_MS };
  }

  /** The service may have another name than the registry, so it must at least be the one that TLS says it is. */
  #realm(host: string, text: string | undefined): URL {
    let realm: URL;
    try {
      realm = new URL(text ?? "");
    } catch {
      throw new RegistryError("REFUSED", `${host}: its challenge names no token service`);
    }
    this.http.requireAllowed(realm);
    return realm;
  }
}

const keyOf = (host: string, scopes: readonly string[]): string => `${host} ${[...scopes].sort().join(" ")}`;

const basic = ({ username, password }: { username: string; password: string }): string =>
  `Basic ${Buffer.from(`${username}:${password}`, "utf8").toString("base64")}`;

function byPassword(realm: URL, service: string | undefined, scopes: string[], credentials: Credentials | undefined) {
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set("service", service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  const headers =
    credentials && "password" in credentials ? { authorization: basic(credentials) } : ({} as Record<string, string>);
  return { method: "GET", url, headers };
}

function byIdentityToken(url: URL, service: string | undefined, scopes: string[], token: string) {
  const form = new URLSearchParams({ grant_type: "refresh_token", client_id: "sealflow", refresh_token: token });
  if (service !== undefined) form.set("service", service);
  form.set("scope", scopes.join(" "));
  const bytes = Buffer.from(form.toString(), "utf8");
  const headers = { "content-type": "application/x-www-form-urlencoded", "content-length": bytes.length };
  return {
    method: "POST",
    url,
    headers,
    async *body() {
      yield bytes;
    },
  };
}

function tokenOf(text: Buffer, host: string): { token: string; seconds: number } {
  try {
    const answer = JSON.parse(text.toString("utf8")) as Record<string, unknown>;
    const token = answer.token ?? answer.access_token;
    const seconds = answer.expires_in ?? DEFAULT_LIFETIME;
    // A header's value: anything else could end the header and begin another.
    if (typeof token === "string" && /^[\x21-\x7e]+$/.test(token) && typeof seconds === "number") {
      return { token, seconds };
    }
  } catch {
    // Said below, without what was read.
  }
  throw new RegistryError("REFUSED", `token service ${host}: its answer holds no token`);
}

/** Several challenges in one header: `Bearer realm="…",service="…", Basic realm="…"`. */
export function parseChallenges(header: string): Challenge[] {
  const found: { scheme: string; parameters: Record<string, string> }[] = [];
  const pattern = /([A-Za-z][A-Za-z0-9_-]*)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?\s*,?\s*/y;
  for (let match = pattern.exec(header); match; match = pattern.exec(header)) {
    const [, name = "", quoted, plain] = match;
    const value = quoted?.replace(/\\(.)/g, "$1") ?? plain;
    const last = found.at(-1);
    if (value === undefined) found.push({ scheme: name.toLowerCase(), parameters: Object.create(null) });
    else if (last) last.parameters[name.toLowerCase()] = value;
  }
  return found;
}
