/** The ledger's HTTP API for owners, runners of pipelines and auditors. Guests have their own client in guest/. */
import type { KeyObject } from "node:crypto";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { equalBytesHex, fromHex, utf8 } from "../../protocol/bytes";
import { publicKey } from "../../protocol/crypto";
import { ProtocolError } from "../../protocol/errors";
import { jwsDigest, peekJws, verifyJws } from "../../protocol/jws";
import { EMPTY_ROOT, leafHash, nodeHash, verifyConsistency } from "../../protocol/merkle";
import {
  type ClaimAnswer,
  type CommitAnswer,
  claimAnswer,
  commitAnswer,
  type Head,
  head as headShape,
  revoke,
  uploadRequest,
} from "../../protocol/messages";
import { jws } from "../../protocol/messages/common";
import { object, parse, type Shape } from "../../protocol/shape";
import { HttpError, HttpsClient } from "../http/client";
import type { Routes } from "../http/routes";
import * as answers from "./answers";
import { LedgerRefusal } from "./errors";
import { readEvents } from "./sse";
import { StoreClient } from "./store-client";

export interface LedgerClientOptions {
  readonly url: string;
  /** The only CA believed, PEM. */
  readonly caPem: string;
  /** Ed25519 key of the ledger, base64url. */
  readonly ledgerKey: string;
  /** Per call, milliseconds; default 30 000. */
  readonly timeoutMs?: number;
  /** Other ways to the ledger and its store. Default: as their URLs say. */
  readonly routes?: Routes;
  /** Keep connections for the next client of the same ledger. Default false. */
  readonly share?: boolean;
}

/** A head that was verified with the ledger's key: keep `token`, and give it to `head()` the next time. */
export interface VerifiedHead extends Head {
  readonly token: string;
}

/** A read token, or how to sign one: tokens live for minutes, a stream of events longer. */
export type ReadAccess = string | (() => Promise<string>);

const tokenAnswer = object({ token: jws });
const RECONNECT_MS = 1000;
/** Failed tries of an upload. */
const MAX_FAILURES = 3;

/** All calls are idempotent by their bytes, so they are repeated after network errors. Close it at the end. */
export class LedgerClient {
  readonly #http: HttpsClient;
  readonly #options: LedgerClientOptions;
  readonly #key: KeyObject;
  /** As given: tokens name the ledger that they are for. */
  readonly ledgerKey: string;
  #storeClient: StoreClient | undefined;

  /** @throws HttpError URL; ProtocolError KEY. */
  constructor(options: LedgerClientOptions) {
    this.#options = options;
    this.ledgerKey = options.ledgerKey;
    this.#key = publicKey("Ed25519", options.ledgerKey);
    this.#http = new HttpsClient({
      url: options.url,
      caPem: options.caPem,
      timeoutMs: options.timeoutMs ?? 30_000,
      maxAnswerBytes: 512 * 1024 * 1024,
      share: options.share ?? false,
      ...(options.routes ? { routes: options.routes } : {}),
    });
  }

  /**
   * The current head.
   * @param old token of a head seen before; the log must extend it.
   * @throws ProtocolError LOG_PROOF, or LedgerRefusal ROLLBACK: the ledger forgot entries that were signed.
   */
  async head(old?: string): Promise<VerifiedHead> {
    const seen = old === undefined ? undefined : await this.verifyHead(old);
    const query = seen ? `?old=${seen.size}` : "";
    const answer = parse(answers.headsAnswer, await this.#get(`/v1/heads${query}`), "heads");
    const now = await this.verifyHead(answer.head);
    if (seen) verifyConsistency(seen, now, answer.consistency);
    return now;
  }

  /** @throws ProtocolError when the token is no head of this ledger. */
  async verifyHead(token: string): Promise<VerifiedHead> {
    const verified = await verifyJws("sealflow-head+jwt", token, this.#key, headShape);
    if (verified.ledgerKey !== this.ledgerKey) throw new ProtocolError("KEY", "head: of another ledger");
    return { ...verified, token };
  }

  /** Registers a version; repeating the same bytes changes nothing. */
  async registerDescriptor(token: string) {
    const answer = await this.#post("/v1/pipelines", token, answers.registered);
    requireEcho(answer.descriptor, jwsDigest(token), "registered version");
    return { ...answer, head: await this.verifyHead(answer.head) };
  }

  /** All versions of a pipeline, oldest first. The tokens are the owner's word: verify them with the owner's key. */
  async pipeline(
    pipelineUid: string,
    read: ReadAccess,
  ): Promise<{ descriptors: answers.Version[]; head: VerifiedHead }> {
    const found = await this.#get(`/v1/pipelines/${pipelineUid}`, read);
    const { descriptors, head } = parse(answers.versionsAnswer, found, "pipeline");
    for (const v of descriptors) requireEcho(jwsDigest(v.token), v.digest, `version ${v.sequence}`);
    return { descriptors, head: await this.verifyHead(head) };
  }

  /** @param token names the pipeline; with `descriptor: null` inside, it is closed for good. */
  async revoke(token: string): Promise<{ head: VerifiedHead }> {
    const { pipelineUid } = peekJws("sealflow-revoke+jwt", token, revoke);
    const { head } = await this.#post(`/v1/pipelines/${pipelineUid}/revoke`, token, answers.revoked);
    return { head: await this.verifyHead(head) };
  }

  /** Opens a run by a run request, or by `slotToken` of a schedule; repeating the same text finds the same run. */
  async openRun(token: string) {
    const answer = await this.#post("/v1/runs", token, answers.opened);
    requireEcho(answer.run, jwsDigest(token), "opened run");
    return { ...answer, head: await this.verifyHead(answer.head) };
  }

  async run(run: string, read: ReadAccess): Promise<answers.RunStatus> {
    const status = parse(answers.runStatus, await this.#get(`/v1/runs/${run}`, read), "run");
    requireEcho(status.run, run, "run");
    return status;
  }

  /** The newest runs, newest first. */
  async runs(pipelineUid: string, read: ReadAccess): Promise<answers.RunStatus[]> {
    const answer = await this.#get(`/v1/runs?pipeline=${pipelineUid}`, read);
    return parse(answers.runsAnswer, answer, "runs").runs;
  }

  /** The export of a run; its entries are checked against its signed head, and nothing else. `verify` does the rest. */
  async runLog(run: string, read: ReadAccess): Promise<answers.RunLog> {
    const log = parse(answers.runLog, await this.#get(`/v1/runs/${run}/log`, read), "run log");
    requireEcho(jwsDigest(log.request), run, "run log: request");
    const head = await this.verifyHead(log.head);
    for (const [seq, { entry, hash }] of log.entries.entries()) {
      if (entry !== undefined && !equalBytesHex(leafHash(utf8(entry)), hash)) {
        throw new ProtocolError("LOG_PROOF", `run log: entry ${seq} does not have the hash beside it`);
      }
    }
    const root = rootOf(log.entries.map((e) => fromHex(e.hash)));
    if (head.size !== log.entries.length || !equalBytesHex(root, head.root)) {
      throw new ProtocolError("LOG_PROOF", "run log: its entries are not those of its head");
    }
    return log;
  }

  async cancel(run: string, token: string) {
    const answer = await this.#post(`/v1/runs/${run}/cancel`, token, answers.cancelled);
    return { state: answer.state, head: await this.verifyHead(answer.head) };
  }

  /**
   * Uploads the ciphertext of a dataset unless it is there. An upload that breaks off goes on where the store says.
   * @param content opens the bytes anew, for each try.
   * @returns present: whether it was there before.
   */
  async upload(token: string, content: () => Readable | Uint8Array): Promise<{ object: string; present: boolean }> {
    const { size } = peekJws("sealflow-upload+jwt", token, uploadRequest);
    let sent = false;
    for (let failures = 0; ; ) {
      const { object: name, present, url, parts } = await this.#post("/v1/objects", token, answers.uploadAnswer);
      if (present || (url === undefined && parts === undefined)) return { object: name, present: present && !sent };
      try {
        if (failures > MAX_FAILURES) throw new HttpError("BODY", `${name}: the store does not keep what was sent`);
        if (parts) await this.#store().putParts(parts, size, chunksOf(content()));
        else if (url !== undefined && this.#isLedger(url)) {
          await this.#put(url, content());
          return { object: name, present: false };
        } else if (url !== undefined) await this.#store().put(url, size, chunksOf(content()));
        // The next question is answered with what the store has now.
        if (sent) failures++;
        sent = true;
      } catch (error) {
        failures++;
        const final = !(error instanceof HttpError) || error.code === "TLS" || error.code === "URL";
        if (failures > MAX_FAILURES || final) throw error;
      }
    }
  }

  /** @param token upload request with action `delete`. Not there is fine. */
  async deleteObject(token: string): Promise<void> {
    await this.#post("/v1/objects", token, answers.uploadAnswer);
  }

  /** For tests and attacks: what a guest would send. */
  async claim(token: string): Promise<ClaimAnswer> {
    const answer = await this.#post("/v1/claims", token, tokenAnswer);
    const verified = await verifyJws("sealflow-claim-answer+jwt", answer.token, this.#key, claimAnswer);
    if (verified.claim !== jwsDigest(token))
      throw new ProtocolError("CLAIM_MISMATCH", "claim: answer to another claim");
    return verified;
  }

  /** For tests and attacks: what a guest would send. */
  async commit(token: string): Promise<CommitAnswer> {
    const answer = await this.#post("/v1/commits", token, tokenAnswer);
    const verified = await verifyJws("sealflow-commit-answer+jwt", answer.token, this.#key, commitAnswer);
    if (verified.commit !== jwsDigest(token)) {
      throw new ProtocolError("CLAIM_MISMATCH", "commit: answer to another commit");
    }
    return verified;
  }

  /** Reads an object by a URL that the ledger gave out. The bytes are nobody's word: compare their digest. */
  async object(url: string, range?: { start: number; end?: number }, signal?: AbortSignal): Promise<Readable> {
    const headers = range ? { range: `bytes=${range.start}-${range.end ?? ""}` } : {};
    const answer = this.#isLedger(url)
      ? await this.#at(url).client.stream("GET", this.#at(url).path, { headers, ...(signal ? { signal } : {}) })
      : await this.#store().get(url, headers, signal);
    const wanted = range ? 206 : 200;
    if (answer.statusCode !== wanted) throw await streamRefusal(answer, new URL(url).pathname);
    return answer;
  }

  /**
   * Calls `onEvent` for everything that happens in a pipeline until `signal` is aborted; a lost connection, and one whose
   * token is over, is opened again after the last event seen.
   * @param read how to sign a token; a given one ends in LedgerRefusal CLOCK when it is over.
   * @param after position in the log; default: from now on.
   * @throws LedgerRefusal when the ledger does not let the caller read.
   */
  async events(
    pipelineUid: string,
    read: ReadAccess,
    onEvent: (event: answers.LedgerEvent) => void,
    signal: AbortSignal,
    after?: number,
  ): Promise<void> {
    let last = after === undefined ? undefined : String(after);
    while (!signal.aborted) {
      try {
        const headers = { ...(await bearer(read)), ...(last === undefined ? {} : { "last-event-id": last }) };
        const path = `/v1/events?pipeline=${pipelineUid}`;
        const stream = await this.#http.stream("GET", path, { headers, signal });
        if (stream.statusCode !== 200) throw await streamRefusal(stream, path);
        for await (const { data, id } of readEvents(stream)) {
          last = id ?? last;
          if (data !== undefined) onEvent(parse(answers.ledgerEvent, JSON.parse(data), "event"));
        }
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof LedgerRefusal || error instanceof ProtocolError || error instanceof SyntaxError)
          throw error;
        if (error instanceof HttpError && error.code === "TLS") throw error;
      }
      await sleep(RECONNECT_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  close(): void {
    this.#http.close();
    this.#storeClient?.close();
  }

  async #post<T>(path: string, token: string, shape: Shape<T>): Promise<T> {
    const { status, body } = await this.#http.json("POST", path, { token }, { retry: true });
    if (status !== 200) throw refused(status, body, path);
    return parse(shape, body, path);
  }

  async #get(path: string, read?: ReadAccess): Promise<unknown> {
    const headers = read === undefined ? {} : await bearer(read);
    const { status, body } = await this.#http.json("GET", path, undefined, { headers });
    if (status !== 200) throw refused(status, body, path);
    return body;
  }

  async #put(url: string, body: Readable | Uint8Array): Promise<void> {
    const { client, path } = this.#at(url);
    const answer = await client.stream("PUT", path, { body, headers: { "content-type": "application/octet-stream" } });
    if (answer.statusCode !== 200 && answer.statusCode !== 201) throw await streamRefusal(answer, path);
    answer.resume();
  }

  /** The store may live on another origin; its CA is the same. */
  /** At the ledger's own server, or at one that this machine has a route to. */
  #isLedger(url: string): boolean {
    if (!URL.canParse(url)) return false;
    const { origin } = new URL(url);
    return origin === new URL(this.#options.url).origin || this.#options.routes?.has(origin) === true;
  }

  #store(): StoreClient {
    const { caPem, url: ledgerUrl } = this.#options;
    this.#storeClient ??= new StoreClient({ caPem, ledgerUrl });
    return this.#storeClient;
  }

  #at(url: string): { client: HttpsClient; path: string } {
    const { origin, pathname, search } = new URL(url);
    const path = pathname + search;
    if (origin === new URL(this.#options.url).origin && new URL(this.#options.url).pathname === "/") {
      return { client: this.#http, path };
    }
    const { caPem, routes } = this.#options;
    return { client: new HttpsClient({ url: origin, caPem, ...(routes ? { routes } : {}) }), path };
  }
}

async function bearer(read: ReadAccess): Promise<{ authorization: string }> {
  return { authorization: `Bearer ${typeof read === "string" ? read : await read()}` };
}

function requireEcho(found: string, asked: string, what: string): void {
  if (found !== asked) {
    throw new ProtocolError("CLAIM_MISMATCH", `${what}: the ledger answered about ${found}, asked was ${asked}`);
  }
}

function refused(status: number, body: unknown, path: string): LedgerRefusal {
  const where = path.split("?")[0];
  try {
    const { error } = parse(answers.refusal, body, "refusal");
    return new LedgerRefusal(error.code, `ledger, ${where}: ${error.message}`, status);
  } catch {
    return new LedgerRefusal("ANSWER", `ledger, ${where}: status ${status} and no reason; is it a ledger?`, status);
  }
}

async function streamRefusal(
  answer: Readable & { statusCode?: number | undefined },
  path: string,
): Promise<LedgerRefusal> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > 64 * 1024) break;
    chunks.push(chunk);
  }
  let body: unknown;
  try {
    body = JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    body = undefined;
  }
  return refused(answer.statusCode ?? 0, body, path);
}

async function* chunksOf(content: Readable | Uint8Array): AsyncGenerator<Uint8Array> {
  if (content instanceof Uint8Array) yield content;
  else yield* content;
}

/** RFC 6962 root, level by level: an odd last node moves up as it is. */
function rootOf(leaves: Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return EMPTY_ROOT;
  let level = leaves;
  while (level.length > 1) {
    const above: Uint8Array[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const [left, right] = [level[i], level[i + 1]];
      if (left) above.push(right ? nodeHash(left, right) : left);
    }
    level = above;
  }
  return level[0] ?? EMPTY_ROOT;
}
