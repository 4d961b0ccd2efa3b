/** One HTTP exchange with a registry: TLS with its CA, idle limit, redirects that leave credentials behind. */
import { once } from "node:events";
import {
  type IncomingMessage,
  type OutgoingHttpHeaders,
  Agent as PlainAgent,
  request as plainRequest,
} from "node:http";
import { Agent, request as tlsRequest } from "node:https";
import { pipeline } from "node:stream/promises";
import { rootCertificates } from "node:tls";
import { RegistryError } from "./errors";

/** No byte for this long ends an exchange, milliseconds. */
const IDLE_MS = 60_000;
const MAX_REDIRECTS = 5;
/** Tokens, error texts and manifests are read whole, bytes. */
export const MAX_TEXT = 4 * 1024 * 1024;
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

export interface HttpOptions {
  /** PEM of a CA that is believed besides the public ones. Default: Node's own roots (NODE_EXTRA_CA_CERTS works). */
  readonly caPem?: string;
  /** Hosts (`host` or `host:port`) that may be spoken to without TLS. Default: only addresses of this machine. */
  readonly plainHttp?: readonly string[];
  readonly signal?: AbortSignal;
}

export interface Exchange {
  readonly method: string;
  readonly url: URL;
  readonly headers?: OutgoingHttpHeaders;
  /** Called once for each try. Its `content-length` stands in `headers`. */
  readonly body?: () => AsyncIterable<Uint8Array>;
}

export class Http {
  readonly #agent: Agent;
  readonly #plain = new PlainAgent({ keepAlive: true });
  readonly #options: HttpOptions;

  constructor(options: HttpOptions) {
    this.#options = options;
    const ca = options.caPem === undefined ? {} : { ca: [...rootCertificates, options.caPem] };
    this.#agent = new Agent({ keepAlive: true, minVersion: "TLSv1.2", ...ca });
  }

  /** The base URL of a registry's API. @throws nothing: what may go without TLS is checked with every exchange. */
  baseOf(host: string): URL {
    // Docker Hub's API has another name than its images.
    const server = host === "docker.io" ? "registry-1.docker.io" : host;
    return new URL(`${this.#plainAllowed(new URL(`http://${server}`)) ? "http" : "https"}://${server}`);
  }

  /**
   * Follows redirects of GET and HEAD; the caller reads or destroys the body.
   * @throws RegistryError PLAIN_HTTP; errors of the network as they come.
   */
  async exchange({ method, url, headers = {}, body }: Exchange): Promise<IncomingMessage> {
    let at = url;
    let sent = headers;
    for (let hops = 0; ; hops++) {
      const answer = await this.#once(method, at, sent, body);
      const { location } = answer.headers;
      const status = answer.statusCode ?? 0;
      const moved = [301, 302, 303, 307, 308].includes(status) && location !== undefined;
      if (!moved || (method !== "GET" && method !== "HEAD")) return answer;
      answer.destroy();
      if (hops >= MAX_REDIRECTS) throw new Error(`more than ${MAX_REDIRECTS} redirects`);
      const next = new URL(location, at);
      if (next.origin !== at.origin) sent = withoutCredentials(sent);
      at = next;
    }
  }

  close(): void {
    this.#agent.destroy();
    this.#plain.destroy();
  }

  /** @throws RegistryError PLAIN_HTTP. */
  requireAllowed(url: URL): void {
    if (url.protocol === "https:" || (url.protocol === "http:" && this.#plainAllowed(url))) return;
    throw new RegistryError(
      "PLAIN_HTTP",
      `${url.origin}: would be spoken to without TLS. Use https, or allow plain http for this host by name`,
    );
  }

  #plainAllowed(url: URL): boolean {
    return LOOPBACK.test(url.hostname) || (this.#options.plainHttp ?? []).includes(url.host);
  }

  async #once(method: string, url: URL, headers: OutgoingHttpHeaders, body: Exchange["body"]) {
    this.requireAllowed(url);
    const { signal } = this.#options;
    const common = { method, headers, timeout: IDLE_MS, ...(signal ? { signal } : {}) };
    const request =
      url.protocol === "https:"
        ? tlsRequest(url, { ...common, agent: this.#agent })
        : plainRequest(url, { ...common, agent: this.#plain });
    request.on("timeout", () => request.destroy(new Error("no byte in time")));
    const answered = once(request, "response") as Promise<[IncomingMessage]>;
    // A registry may refuse before it has read the body; then its answer counts, and not the pipe that it broke.
    answered.catch(() => undefined);
    request.on("error", () => undefined);
    if (body) await Promise.race([pipeline(body(), request).catch((error) => settled(answered, error)), answered]);
    else request.end();
    const [answer] = await answered;
    return answer;
  }
}

/** The answer that came just before the pipe broke, or the reason that it broke. */
async function settled(answered: Promise<unknown>, error: unknown): Promise<void> {
  const timer = new Promise((resolve) => setTimeout(resolve, 1000).unref());
  const came = await Promise.race([answered.then(() => true).catch(() => false), timer]);
  if (came !== true) throw error;
}

function withoutCredentials(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== "authorization"));
}

/** @throws RegistryError REFUSED when it is longer than `MAX_TEXT`. */
export async function readText(answer: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_TEXT) {
      answer.destroy();
      throw new RegistryError("REFUSED", `answer of more than ${MAX_TEXT} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
