/** HTTPS to the ledger (its CA pinned) and to the object store that its answers name. Objects stream. */
import { once } from "node:events";
import { type ClientRequest, type IncomingMessage, type OutgoingHttpHeaders, request as plainRequest } from "node:http";
import { Agent, request as tlsRequest } from "node:https";
import { rootCertificates } from "node:tls";
import { type Destinations, destinationsOf } from "../../protocol/destinations";
import { asRunnerError, RunnerError } from "../errors";
import { type Lookup, lookup, lookupWith } from "./lookup";
import { release } from "./release";
import { retrying } from "./retry";

/** No byte for this long: the connection is given up, milliseconds. */
const IDLE_MS = 60_000;
/** A claim answer holds the whole descriptor and a receipt per input. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

export class Network {
  readonly #ledger: URL;
  readonly #pinned: Agent;
  readonly #store: Agent;
  readonly #destinations: Destinations;
  /** For what the ledger's answers name. */
  readonly #guarded: Lookup;

  /** @param caPem the only CA believed for the ledger; a store elsewhere may also have a public certificate. */
  constructor(ledgerUrl: string, caPem: string) {
    this.#ledger = new URL(ledgerUrl);
    if (this.#ledger.protocol !== "https:") throw new RunnerError("BUNDLE_PROGRAM", "bundle: ledger is not https");
    const options = { keepAlive: true, minVersion: "TLSv1.2" as const, lookup };
    this.#pinned = new Agent({ ...options, ca: caPem });
    // Objects are ciphertext and their digests are known beforehand: TLS protects no secret and no integrity there.
    this.#destinations = destinationsOf(ledgerUrl);
    this.#guarded = lookupWith((address) => {
      const problem = this.#destinations.addressProblem(address);
      if (problem !== undefined) throw named(problem);
    });
    this.#store = new Agent({ ...options, lookup: this.#guarded, ca: [caPem, ...rootCertificates] });
  }

  /** One call of the ledger. Repeats after network errors and 5xx, so the body must be safe to repeat. */
  postLedger(path: string, body: unknown): Promise<Answer> {
    const url = new URL(this.#ledger.pathname.replace(/\/$/, "") + path, this.#ledger);
    const text = JSON.stringify(body);
    return retrying("LEDGER_UNREACHABLE", `ledger ${path}`, async () => {
      const sent = this.#open("POST", url, {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(text),
      });
      sent.end(text);
      const answer = await answered(sent);
      const bytes = await readAll(answer);
      const status = answer.statusCode ?? 0;
      if (status >= 500 || status === 429) throw new Error(`ledger answered ${status}`);
      let parsed: unknown;
      try {
        parsed = JSON.parse(bytes.toString("utf8"));
      } catch {
        throw new Error(`ledger answered ${status} with a body that is not JSON`);
      }
      return { status, body: parsed };
    });
  }

  /**
   * Bytes of an object from its beginning to its end; a broken connection is taken up again where it broke.
   * A piece is only valid until the next one is asked for.
   * @param size bytes that the object has, as committed; more or fewer end the stream early, which the digest shows.
   */
  async *download(url: string, size: number): AsyncGenerator<Buffer> {
    let received = 0;
    while (received < size) {
      const before = received;
      const answer = await retrying("STORE_UNREACHABLE", "object", () => this.#get(url, received));
      // A store without ranges sends all of it again.
      let skip = answer.statusCode === 206 ? 0 : received;
      try {
        for await (const chunk of answer as AsyncIterable<Buffer>) {
          const rest = skip > 0 ? chunk.subarray(skip) : chunk;
          skip = Math.max(0, skip - chunk.length);
          if (rest.length === 0) continue;
          received += rest.length;
          yield rest;
          release(chunk);
          if (received > size) return;
        }
        if (answer.complete && received < size) return;
      } catch (error) {
        if (error instanceof RunnerError) throw error;
        if (received === before) {
          throw new RunnerError("STORE_UNREACHABLE", "object: the connection broke without progress", { cause: error });
        }
      } finally {
        answer.destroy();
      }
    }
  }

  isLedger(url: string): boolean {
    return URL.canParse(url) && new URL(url).origin === this.#ledger.origin;
  }

  /**
   * Sends an object; `content` is called anew for every try and must give the same bytes,
   * in buffers that it needs no more.
   * @throws RunnerError STORE_UNREACHABLE or STORE_FULL.
   */
  upload(url: string, size: number, content: () => AsyncIterable<Uint8Array>): Promise<void> {
    return retrying("STORE_UNREACHABLE", "object", async () => {
      const status = await this.put(url, size, content());
      if (status >= 400 && status < 500 && status !== 408 && status !== 429) {
        throw new RunnerError("STORE_UNREACHABLE", `object store refused an upload with ${status}`);
      }
      if (status >= 300) throw new Error(`object store answered ${status}`);
    });
  }

  /** One PUT, once. @returns the status of the answer. @throws RunnerError STORE_FULL or what `content` throws. */
  async put(url: string, size: number, content: AsyncIterable<Uint8Array>): Promise<number> {
    const sent = this.#open("PUT", this.#named(url), {
      "content-type": "application/octet-stream",
      "content-length": size,
    });
    const done = answered(sent);
    // A store may refuse before it has read the body; its answer is what counts.
    done.catch(() => undefined);
    let refused = false;
    done
      .then(() => {
        refused = true;
      })
      .catch(() => undefined);
    try {
      for await (const piece of notTheNetworks(content)) {
        if (refused || sent.destroyed) break;
        if (!sent.write(piece, () => release(piece))) await Promise.race([once(sent, "drain"), done]);
      }
    } catch (error) {
      sent.destroy();
      throw error;
    }
    sent.end();
    const answer = await done;
    await readAll(answer);
    if (!sent.writableFinished) sent.destroy();
    const status = answer.statusCode ?? 0;
    if (status === 507) throw new RunnerError("STORE_FULL", "object store: full");
    return status;
  }

  close(): void {
    this.#pinned.destroy();
    this.#store.destroy();
  }

  async #get(url: string, from: number): Promise<IncomingMessage> {
    const sent = this.#open("GET", this.#named(url), from > 0 ? { range: `bytes=${from}-` } : {});
    sent.end();
    const answer = await answered(sent);
    const status = answer.statusCode ?? 0;
    if (status === 200 || status === 206) return answer;
    answer.destroy();
    if (status === 404 || status === 403) {
      throw new RunnerError("STORE_UNREACHABLE", `object store answered ${status}: the object or its URL is gone`);
    }
    throw new Error(`object store answered ${status}`);
  }

  /** A URL of the ledger's answers. @throws RunnerError ANSWER when it leads where no store is. */
  #named(url: string): URL {
    const problem = this.#destinations.urlProblem(url);
    if (problem !== undefined) throw named(problem);
    return new URL(url);
  }

  #open(method: string, url: URL, headers: OutgoingHttpHeaders): ClientRequest {
    const common = { method, headers, timeout: IDLE_MS };
    const sent =
      url.protocol === "https:"
        ? tlsRequest(url, { ...common, agent: url.origin === this.#ledger.origin ? this.#pinned : this.#store })
        : plainRequest(url, { ...common, agent: false, lookup: this.#guarded });
    sent.on("timeout", () => sent.destroy(new Error("no byte in time")));
    // `answered` reports the first error; one that comes after the answer must not end the process.
    sent.on("error", () => undefined);
    return sent;
  }
}

/** Without the URL: it is the ledger's text, and what is thrown here is printed. */
const named = (problem: string): RunnerError => new RunnerError("ANSWER", `the ledger's URL of an object ${problem}`);

/** Passes the content; what goes wrong in making it is not tried again. */
async function* notTheNetworks(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* content;
  } catch (error) {
    throw asRunnerError(error);
  }
}

async function answered(sent: ClientRequest): Promise<IncomingMessage> {
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  return answer;
}

async function readAll(answer: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) {
      answer.destroy();
      throw new Error("answer is too large");
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
