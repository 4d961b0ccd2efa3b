/**
 * Objects at a store that is not the ledger, by URLs that the ledger gave out. What is there is ciphertext whose digest
 * the caller knows, so besides the ledger's CA the public ones are believed. Where they may lead: protocol/destinations.
 */
import { type LookupAddress, type LookupOptions, lookup } from "node:dns";
import { once } from "node:events";
import { type IncomingMessage, type OutgoingHttpHeaders, request as plainRequest } from "node:http";
import { Agent, request as tlsRequest } from "node:https";
import { pipeline } from "node:stream/promises";
import { rootCertificates } from "node:tls";
import { type Destinations, destinationsOf } from "../../protocol/destinations";
import type { ObjectParts } from "../../protocol/messages";
import { HttpError } from "../http/client";

/** No byte for this long: the connection is given up, milliseconds. */
const IDLE_MS = 60_000;

export class StoreClient {
  readonly #agent: Agent;
  readonly #destinations: Destinations;
  readonly #lookup: Lookup;

  /** @param ledgerUrl as the caller was configured. */
  constructor({ caPem, ledgerUrl }: { caPem: string; ledgerUrl: string }) {
    this.#destinations = destinationsOf(ledgerUrl);
    this.#lookup = lookupWith(this.#destinations);
    const ca = [caPem, ...rootCertificates];
    this.#agent = new Agent({ ca, lookup: this.#lookup, keepAlive: true, minVersion: "TLSv1.2" });
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
    const problem = this.#destinations.urlProblem(url);
    if (problem !== undefined) throw refused(problem);
    const target = new URL(url);
    const options = { method, headers, timeout: IDLE_MS, lookup: this.#lookup, ...(signal ? { signal } : {}) };
    const sent =
      target.protocol === "http:"
        ? plainRequest(target, options)
        : tlsRequest(target, { ...options, agent: this.#agent });
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
      if ((error as Error)?.name === "AbortError" || error instanceof HttpError) throw error;
      const code = (error as NodeJS.ErrnoException).code ?? "connection lost";
      throw new HttpError("UNREACHABLE", `${where(url)}: cannot be reached (${code})`, { cause: error });
    }
  }
}

const refused = (problem: string): HttpError =>
  new HttpError("URL", `the ledger's URL of an object ${problem}; nothing was sent there`);

type Lookup = (
  hostname: string,
  options: LookupOptions,
  done: (error: Error | null, addresses: LookupAddress[] | string, family?: number) => void,
) => void;

/** What a name stands for is looked at where the connection is made, so it cannot become another address in between. */
const lookupWith =
  (destinations: Destinations): Lookup =>
  (hostname, options, done) =>
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return done(error, "");
      const problem = addresses.map(({ address }) => destinations.addressProblem(address)).find((p) => p !== undefined);
      const [first] = addresses;
      if (problem !== undefined || !first) return done(refused(problem ?? "leads to no IP address"), "");
      if (options.all) done(null, addresses);
      else done(null, first.address, first.family);
    });

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
