import { once } from "node:events";
import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { type Agent, type RequestOptions, request } from "node:https";
import { isIP } from "node:net";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { checkServerIdentity } from "node:tls";
import { borrowAgent, newAgent } from "./agents";
import { HttpError } from "./errors";
import { type Routes, splitHostPort } from "./routes";

export { type HttpCode, HttpError } from "./errors";

export interface HttpsClientOptions {
  /** Base, such as `https://127.0.0.1:8443`; a path in it is kept as prefix. */
  readonly url: string;
  /** The only CA believed, PEM. */
  readonly caPem: string;
  /** Until the whole answer is there, milliseconds; default 15 000. */
  readonly timeoutMs?: number;
  /** Further tries after network errors and 502 to 504, for calls marked `retry`; default 3. */
  readonly retries?: number;
  /** Largest answer kept in memory, bytes; default 64 MiB. */
  readonly maxAnswerBytes?: number;
  /** Other ways to the same server, for its origin. Default: as the URL says. */
  readonly routes?: Routes;
  /** Keep connections for the next client of the same server. Default false. */
  readonly share?: boolean;
}

export interface CallOptions {
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: Uint8Array | string;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  /** true for calls that may be repeated without harm. Default: true for GET, PUT and DELETE. */
  readonly retry?: boolean;
}

export interface StreamOptions {
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: Readable | Uint8Array | string;
  readonly signal?: AbortSignal;
  /** Until the headers of the answer are there, milliseconds; default: none. */
  readonly timeoutMs?: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

const REPEATABLE = new Set(["GET", "PUT", "DELETE", "HEAD"]);

/** One origin over HTTPS with keep-alive. Call `close()` at the end; idle connections do not keep a process alive. */
export class HttpsClient {
  readonly #base: URL;
  readonly #agent: Agent;
  readonly #giveBack: () => void;
  readonly #route: string | undefined;
  readonly #place: RequestOptions;
  readonly #options: Required<Omit<HttpsClientOptions, "url" | "caPem" | "routes" | "share">>;

  /** @throws HttpError URL. */
  constructor(options: HttpsClientOptions) {
    const { url, caPem, timeoutMs = 15_000, retries = 3, maxAnswerBytes = 64 * 1024 * 1024, routes, share } = options;
    this.#base = httpsUrl(url);
    this.#route = routes?.get(this.#base.origin);
    this.#place = placeOf(this.#base, this.#route);
    if (share) {
      const { agent, back } = borrowAgent(this.#base.origin, this.#route, caPem);
      this.#agent = agent;
      this.#giveBack = back;
    } else {
      const agent = newAgent(caPem);
      this.#agent = agent;
      this.#giveBack = () => agent.destroy();
    }
    this.#options = { timeoutMs, retries, maxAnswerBytes };
  }

  /**
   * One call with the whole answer in memory. A status is never an error here: the caller knows what it means.
   * @param path begins with `/`, query included.
   * @throws HttpError, or the signal's reason.
   */
  async call(method: string, path: string, options: CallOptions = {}): Promise<HttpAnswer> {
    const tries = (options.retry ?? REPEATABLE.has(method)) ? this.#options.retries : 0;
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await this.#once(method, path, options);
        if (answer.status < 502 || answer.status > 504 || attempt >= tries) return answer;
      } catch (error) {
        const worth = error instanceof HttpError && (error.code === "UNREACHABLE" || error.code === "TIMEOUT");
        if (!worth || attempt >= tries) throw error;
      }
      await pause(100 * 3 ** attempt, options.signal);
    }
  }

  /** As `call`, with a JSON body and a JSON answer. @returns status and the parsed answer (undefined when empty). */
  async json(
    method: string,
    path: string,
    body?: unknown,
    options: Omit<CallOptions, "body"> = {},
  ): Promise<{ status: number; headers: IncomingMessage["headers"]; body: unknown }> {
    const headers = { accept: "application/json", ...options.headers };
    const answer = await this.call(method, path, {
      ...options,
      headers: body === undefined ? headers : { ...headers, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.status, headers: answer.headers, body: this.#parse(path, answer) };
  }

  /** The answer as a stream, for objects and events. The caller reads it to the end or destroys it. */
  async stream(method: string, path: string, options: StreamOptions = {}): Promise<IncomingMessage> {
    const sent = this.#open(method, path, options.headers ?? {}, options.signal);
    const timer = options.timeoutMs ? setTimeout(() => sent.destroy(this.#late(path)), options.timeoutMs) : undefined;
    try {
      const answered = once(sent, "response") as Promise<[IncomingMessage]>;
      const { body } = options;
      if (body === undefined || typeof body === "string" || body instanceof Uint8Array) sent.end(body);
      else
        await Promise.race([
          // A server may refuse before it has read the body; its answer wins over the broken pipe.
          pipeline(body, sent).catch((error) => answered.then(() => undefined).catch(() => Promise.reject(error))),
          answered,
        ]);
      const [answer] = await answered;
      return answer;
    } catch (error) {
      throw this.#explain(path, error);
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#giveBack();
  }

  async #once(method: string, path: string, options: CallOptions): Promise<HttpAnswer> {
    const sent = this.#open(method, path, options.headers ?? {}, options.signal);
    const timer = setTimeout(() => sent.destroy(this.#late(path)), options.timeoutMs ?? this.#options.timeoutMs);
    try {
      const answered = once(sent, "response") as Promise<[IncomingMessage]>;
      sent.end(options.body);
      const [answer] = await answered;
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > this.#options.maxAnswerBytes) {
          answer.destroy();
          throw new HttpError(
            "TOO_LARGE",
            `${this.#where(path)}: answer exceeds ${this.#options.maxAnswerBytes} bytes`,
          );
        }
        chunks.push(chunk);
      }
      return { status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) };
    } catch (error) {
      throw this.#explain(path, error);
    } finally {
      clearTimeout(timer);
    }
  }

  #open(method: string, path: string, headers: OutgoingHttpHeaders, signal?: AbortSignal): ClientRequest {
    const prefix = this.#base.pathname.replace(/\/$/, "");
    return request({
      ...this.#place,
      method,
      path: prefix + path,
      headers: { host: this.#base.host, ...headers },
      agent: this.#agent,
      ...(signal ? { signal } : {}),
    });
  }

  #parse(path: string, answer: HttpAnswer): unknown {
    if (answer.body.length === 0) return undefined;
    try {
      return JSON.parse(answer.body.toString("utf8"));
    } catch (cause) {
      throw new HttpError("BODY", `${this.#where(path)}: status ${answer.status} with a body that is not JSON`, {
        cause,
      });
    }
  }

  /** Origin and path, without the query: signed URLs keep their secrets. */
  #where = (path: string): string => `${this.#base.origin}${path.split("?")[0]}`;

  #late = (path: string): HttpError => new HttpError("TIMEOUT", `${this.#where(path)}: no answer in time`);

  #explain(path: string, error: unknown): unknown {
    if (error instanceof HttpError || (error as Error)?.name === "AbortError") return error;
    const code = (error as { code?: string }).code ?? "";
    if (/CERT|SIGNATURE|ISSUER|SELF_SIGNED|ALTNAME|ERR_TLS|ERR_SSL|EPROTO/.test(code)) {
      const message = `${this.#where(path)}: the server does not hold a certificate of the pinned CA (${code})`;
      return new HttpError("TLS", message, { cause: error });
    }
    const by = this.#route === undefined ? "" : ` by the route to ${this.#route}`;
    return new HttpError("UNREACHABLE", `${this.#where(path)}: cannot be reached${by} (${code || "connection lost"})`, {
      cause: error,
    });
  }
}

/** Where to connect. By a route the certificate is still checked for the name in the URL. */
function placeOf(base: URL, route: string | undefined): RequestOptions {
  const name = base.hostname.replace(/^\[|\]$/g, "");
  if (route === undefined) return { host: name, port: base.port || 443 };
  return {
    ...splitHostPort(route),
    servername: isIP(name) ? "" : name,
    checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
  };
}

function httpsUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "https:") throw new HttpError("URL", `"${text}" is not an https URL`);
  return url;
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}
