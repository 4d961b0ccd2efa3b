/** Calls of a registry's API, one method each (source: OCI distribution specification 1.1). Nothing here keeps files. */
import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { sha256hex } from "../../protocol/crypto";
import type { ImageName, Repository } from "../../protocol/image-reference";
import { MEDIA } from "../../protocol/oci";
import { Authorizations, type Right } from "./authorization";
import { type CredentialSource, fileCredentials } from "./credentials";
import { RegistryError } from "./errors";
import { Http, type HttpOptions, readText } from "./http";
import { Passing, retryAfter, retrying } from "./retry";

const MANIFEST_TYPES = [MEDIA.index, MEDIA.manifest, MEDIA.dockerIndex, MEDIA.dockerManifest].join(", ");

export interface RegistryOptions extends HttpOptions {
  /** Default: the auth files and credential helpers of Docker and Podman. */
  readonly credentials?: CredentialSource;
}

export interface FoundManifest {
  readonly bytes: Buffer;
  readonly mediaType: string;
  /** 64 hex. */
  readonly digest: string;
}

export interface Call {
  readonly method: string;
  /** Below the repository (`blobs/sha256:…`), or a URL that the registry gave. */
  readonly target: string | URL;
  readonly rights: readonly Right[];
  /** Repositories that are read too, for a mount. */
  readonly alsoPull?: readonly string[];
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: () => AsyncIterable<Uint8Array>;
  /** Statuses that are an answer; every other one is an error. */
  readonly accept: readonly number[];
  /** Names the call in errors. */
  readonly what: string;
  /** Default true: network errors, 5xx and 429 are tried again. */
  readonly retry?: boolean;
}

export class RegistryClient {
  readonly signal: AbortSignal | undefined;
  readonly #http: Http;
  readonly #authorizations: Authorizations;

  constructor(options: RegistryOptions = {}) {
    this.signal = options.signal;
    this.#http = new Http(options);
    this.#authorizations = new Authorizations(this.#http, options.credentials ?? fileCredentials());
  }

  close(): void {
    this.#http.close();
  }

  /** What a tag or digest names. Tags are believed for nothing: they tell people a digest, and where signatures are. @throws RegistryError. */
  async manifest({ host, repository, tag, digest }: ImageName): Promise<FoundManifest> {
    const name = digest === undefined ? (tag ?? "latest") : `sha256:${digest}`;
    const what = `${host}/${repository}${digest === undefined ? ":" : "@"}${name}`;
    const read = async (): Promise<FoundManifest> => {
      const answer = await this.#answered(
        { host, repository },
        {
          method: "GET",
          target: `manifests/${name}`,
          rights: ["pull"],
          headers: { accept: MANIFEST_TYPES },
          accept: [200],
          what,
        },
      );
      const bytes = await readText(answer);
      const mediaType = answer.headers["content-type"]?.split(";")[0]?.trim() ?? "";
      return { bytes, mediaType, digest: sha256hex(bytes) };
    };
    const found = await retrying(what, this.signal, read);
    if (digest !== undefined && found.digest !== digest) {
      throw new RegistryError("CONTENT", `${what}: the registry sent other bytes`);
    }
    return found;
  }

  /** Whether a manifest is there. @param digest 64 hex. */
  async hasManifest(at: Repository, digest: string): Promise<boolean> {
    return this.#there(at, `manifests/sha256:${digest}`, { accept: MANIFEST_TYPES });
  }

  /** Whether a blob is there. @param digest 64 hex. */
  async hasBlob(at: Repository, digest: string): Promise<boolean> {
    return this.#there(at, `blobs/sha256:${digest}`, {});
  }

  /**
   * @param digest what the registry must find it to have, 64 hex.
   * @param tag name that it gets instead, for readers who know no digest; the last one that was put has it.
   */
  async putManifest(at: Repository, { bytes, mediaType, digest }: FoundManifest, tag?: string): Promise<void> {
    const answer = await this.call(at, {
      method: "PUT",
      target: `manifests/${tag ?? `sha256:${digest}`}`,
      rights: ["pull", "push"],
      headers: { "content-type": mediaType, "content-length": bytes.length },
      body: async function* () {
        yield bytes;
      },
      accept: [200, 201],
      what: `${at.host}/${at.repository}@sha256:${digest}`,
    });
    answer.resume();
  }

  /**
   * Removes a manifest; its blobs stay until the registry collects them. Not there is fine.
   * @throws RegistryError REFUSED where the registry does not delete.
   */
  async deleteManifest(at: Repository, digest: string): Promise<void> {
    const answer = await this.call(at, {
      method: "DELETE",
      target: `manifests/sha256:${digest}`,
      rights: ["pull", "push", "delete"],
      accept: [200, 202, 204, 404],
      what: `${at.host}/${at.repository}@sha256:${digest}: deletion`,
    });
    answer.resume();
  }

  /** A small blob, whole. @throws RegistryError; REFUSED when it is longer than `MAX_TEXT`. */
  async document(at: Repository, digest: string): Promise<Buffer> {
    const what = `${at.host}/${at.repository}: blob sha256:${digest}`;
    const bytes = await retrying(what, this.signal, async () => readText((await this.blob(at, digest, 0)).body));
    if (sha256hex(bytes) !== digest) throw new RegistryError("CONTENT", `${what}: the registry sent other bytes`);
    return bytes;
  }

  /** The bytes of a blob from `from` on, as the registry sends them: whoever reads them checks the digest. */
  async blob(at: Repository, digest: string, from: number): Promise<{ body: IncomingMessage; from: number }> {
    const body = await this.#answered(at, {
      method: "GET",
      target: `blobs/sha256:${digest}`,
      rights: ["pull"],
      headers: from > 0 ? { range: `bytes=${from}-` } : {},
      accept: [200, 206],
      what: `${at.host}/${at.repository}: blob sha256:${digest}`,
    });
    // A registry without ranges sends all of it.
    return { body, from: body.statusCode === 206 ? from : 0 };
  }

  /** One call with retries. The caller reads or discards the body. @throws RegistryError. */
  call(at: Repository, call: Call): Promise<IncomingMessage> {
    if (call.retry === false) return this.#answered(at, call);
    return retrying(call.what, this.signal, () => this.#answered(at, call));
  }

  /** Absolute or relative to the registry. @throws RegistryError PLAIN_HTTP, REFUSED. */
  locate(at: Repository, location: string | undefined): URL {
    try {
      const url = new URL(location ?? "", this.#http.baseOf(at.host));
      if (location === undefined) throw new Error("none");
      this.#http.requireAllowed(url);
      return url;
    } catch (error) {
      if (error instanceof RegistryError) throw error;
      throw new RegistryError("REFUSED", `${at.host}/${at.repository}: an answer without a place to upload to`);
    }
  }

  async #there(at: Repository, target: string, headers: OutgoingHttpHeaders): Promise<boolean> {
    const what = `${at.host}/${at.repository}: ${target}`;
    const answer = await this.call(at, { method: "HEAD", target, rights: ["pull"], headers, accept: [200, 404], what });
    answer.resume();
    return answer.statusCode === 200;
  }

  /** @throws RegistryError for what is final, anything else for what may pass. */
  async #answered(at: Repository, call: Call): Promise<IncomingMessage> {
    const base = this.#http.baseOf(at.host);
    const { target, method, body, rights, alsoPull = [] } = call;
    const url = typeof target === "string" ? new URL(`/v2/${at.repository}/${target}`, base) : target;
    // Uploads may be sent to another host by the registry; that one gets no credentials.
    const own = url.origin === base.origin;
    const scopes = [
      `repository:${at.repository}:${[...rights].sort().join(",")}`,
      ...alsoPull.map((other) => `repository:${other}:pull`),
    ];
    const send = (authorization: string | undefined) =>
      this.#http.exchange({
        method,
        url,
        headers: { ...call.headers, ...(own && authorization !== undefined ? { authorization } : {}) },
        ...(body ? { body } : {}),
      });
    let answer = await send(this.#authorizations.known(at.host, scopes));
    if (answer.statusCode === 401 && own) {
      answer.resume();
      this.#authorizations.forget(at.host, scopes);
      const header = answer.headers["www-authenticate"];
      const authorization = await this.#authorizations.answer(at.host, at.repository, scopes, header);
      if (authorization !== undefined) answer = await send(authorization);
    }
    if (call.accept.includes(answer.statusCode ?? 0)) return answer;
    throw await refusal(answer, call.what, at.host);
  }
}

async function refusal(answer: IncomingMessage, what: string, host: string): Promise<Error> {
  const status = answer.statusCode ?? 0;
  const code = errorCodeOf(await readText(answer).catch(() => Buffer.alloc(0)));
  const said = `${what}: the registry answered ${status}${code === undefined ? "" : ` ${code}`}`;
  if (status >= 500 || status === 429 || status === 408)
    return new Passing(said, retryAfter(answer.headers["retry-after"]));
  if (status === 401)
    return new RegistryError("DENIED", `${said}. Log in to ${host} (docker login, podman login), or check the login`);
  if (status === 403) return new RegistryError("DENIED", `${said}. The login has not enough rights`);
  if (status === 404) return new RegistryError("NOT_FOUND", `${said}. Check the name, and that the login may see it`);
  return new RegistryError("REFUSED", said);
}

/** The registry's own word, when it is one. */
function errorCodeOf(text: Buffer): string | undefined {
  try {
    const code = (JSON.parse(text.toString("utf8")) as { errors?: { code?: unknown }[] }).errors?.[0]?.code;
    return typeof code === "string" && /^[A-Z_]{1,40}$/.test(code) ? code : undefined;
  } catch {
    return undefined;
  }
}
