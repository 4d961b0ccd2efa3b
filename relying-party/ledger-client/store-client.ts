/**
 * Objects at a store that is not the ledger, by URLs that the ledger gave out. What is there is ciphertext whose digest
 * the caller knows, so besides the ledger's CA the public ones are believed.
 */
import { once } from "node:events";
import { type IncomingMessage, type OutgoingHttpHeaders, request as plainRequest } from "node:http";
import { Agent, request as tlsRequest } from "node:https";
import { pipeline } from "node:stream/promises";
import { rootCertificates } from "node:tls";
import type { ObjectParts } from "../../protocol/messages";
import { HttpError } from "../http/client";

/** No byte for this long: the connection is given up, milliseconds. */
const IDLE_MS = 60_000;
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

export class StoreClient {
  readonly #agent: Agent;

  constructor(caPem: string) {
    this.#agent = new Agent({ ca: [caPem, ...rootCertificates], keepAlive: true, minVersion: "TLSv1.2" });
  }

  close(): void {
    this.#agent.destroy();
  }

  /** The caller reads it to the end or destroys it. @throws HttpError. */
  get(url: string, headers: OutgoingHttpHeaders, signal?: AbortSignal): Promise<IncomingMessage> {
    return this.#send("GET", url, headers, undefined, signal);
  }

  /** @throws HttpError, also for an answer that is no success. */
  async put(url: string, size: number, content: AsyncIterable<Uint8Array>): Promise<void> {
    const headers = { "content-type": "application/octet-stream", "content-length": size };
    const answer = await this.#send("PUT", url, headers, content);
    answer.resume();
    const status = answer.statusCode ?? 0;
    if (status < 200 || status >= 300)
      throw new HttpError("UNREACHABLE", `${where(url)}: the store answered ${status}`);
  }

  /** Sends the parts that are missing. @param content all bytes from the first on. @throws HttpError. */
  async putParts(parts: ObjectParts, size: number, content: AsyncIterable<Uint8Array>): Promise<void> {
    const pieces = new Runs(content);
    for await (const _ of pieces.take(Math.min(size, parts.from * parts.partSize))) {
      // The store has these.
    }
    for (const [i, url] of parts.urls.entries()) {
      const bytes = Math.min(parts.partSize, size - (parts.from + i) * parts.partSize);
      await this.put(url, bytes, pieces.take(bytes));
    }
  }

  async #send(
    method: string,
    url: string,
    headers: OutgoingHttpHeaders,
    body?: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<IncomingMessage> {
    const target = new URL(url);
    const plain = target.protocol === "http:";
    if (plain && !LOOPBACK.test(target.hostname)) throw new HttpError("URL", `${where(url)}: not https`);
    const options = { method, headers, timeout: IDLE_MS, ...(signal ? { signal } : {}) };
    const sent = plain ? plainRequest(target, options) : tlsRequest(target, { ...options, agent: this.#agent });
    sent.on("timeout", () => sent.destroy(new Error("no byte in time")));
    sent.on("error", () => undefined);
    try {
      const answered = once(sent, "response") as Promise<[IncomingMessage]>;
      answered.catch(() => undefined);
      if (body)
        await Promise.race([pipeline(body, sent).catch((e) => answered.catch(() => Promise.reject(e))), answered]);
      else sent.end();
      return (await answered)[0];
    } catch (error) {
      if ((error as Error)?.name === "AbortError") throw error;
      const code = (error as NodeJS.ErrnoException).code ?? "connection lost";
      throw new HttpError("UNREACHABLE", `${where(url)}: cannot be reached (${code})`, { cause: error });
    }
  }
}

/** Without the query: signed URLs keep their secrets. */
const where = (url: string): string => new URL(url).origin + new URL(url).pathname;

/** Hands out a stream in runs of so many bytes. */
class Runs {
  readonly #from: AsyncIterator<Uint8Array>;
  #rest: Uint8Array | undefined;

  constructor(content: AsyncIterable<Uint8Array>) {
    this.#from = content[Symbol.asyncIterator]();
  }

  async *take(bytes: number): AsyncGenerator<Uint8Array> {
    for (let left = bytes; left > 0; ) {
      const piece = this.#rest ?? (await this.#next());
      this.#rest = piece.length > left ? piece.subarray(left) : undefined;
      const now = piece.subarray(0, left);
      left -= now.length;
      yield now;
    }
  }

  async #next(): Promise<Uint8Array> {
    const { value, done } = await this.#from.next();
    if (done) throw new HttpError("BODY", "object: shorter than its upload request says");
    return value;
  }
}
