/**
 * Objects that go to a store which is not the ledger: in parts, whose places the ledger names. A cut connection costs one
 * part. Memory stays what one pass needs: after a cut the content is made again from its beginning, and what the store
 * has is passed over.
 */
import { randomBytes } from "node:crypto";
import { base64url, fromBase64url } from "../protocol/bytes";
import { privateKey, publicKey } from "../protocol/crypto";
import { jwsDigest, signJws, verifyJws } from "../protocol/jws";
import { type ObjectParts, type PartsRequest, partsAnswer } from "../protocol/messages";
import type { Assignment } from "./answer";
import type { OpenedBundle } from "./bundle";
import { tokenOf } from "./claim";
import { RunnerError, refuseWith } from "./errors";
import type { Network } from "./net/https";
import { retrying } from "./net/retry";

/** Where an object goes. */
export type Place =
  | { readonly kind: "whole"; readonly url: string }
  /** Asks the ledger for the places of an object of so many bytes; again when one is lost or over. */
  | { readonly kind: "parts"; readonly ask: (size: number) => Promise<ObjectParts> };

/** @param url what the claim's answer says: all that is needed when it is at the ledger itself. */
export function placeIn(opened: OpenedBundle, work: Assignment, output: string, url: string, network: Network): Place {
  if (network.isLedger(url)) return { kind: "whole", url };
  return { kind: "parts", ask: (size) => askForParts(opened, work, output, size, network) };
}

/** @throws RunnerError STORE_UNREACHABLE, LEDGER_UNREACHABLE, ANSWER. */
async function askForParts(
  { bundle, programId }: OpenedBundle,
  work: Assignment,
  output: string,
  size: number,
  network: Network,
): Promise<ObjectParts> {
  const { program, ledger } = bundle;
  const content: PartsRequest = {
    v: 1,
    pipelineUid: program.pipelineUid,
    run: work.run,
    step: program.step,
    shard: work.shard,
    attempt: work.attempt,
    programId,
    output,
    size,
    nonce: base64url(randomBytes(32)),
  };
  const token = await signJws("sealflow-parts+jwt", content, privateKey("Ed25519", fromBase64url(bundle.signingSeed)));
  const answerToken = await tokenOf(network, "/v1/parts", token, "STORE_UNREACHABLE");
  const { request, parts } = await refuseWith("ANSWER", "places of an object", () =>
    verifyJws("sealflow-parts-answer+jwt", answerToken, publicKey("Ed25519", ledger.publicKey), partsAnswer),
  );
  if (request !== jwsDigest(token)) throw new RunnerError("ANSWER", "places of an object: answer another request");
  const count = Math.max(1, Math.ceil(size / parts.partSize));
  if (parts.from + parts.urls.length !== count) {
    throw new RunnerError("ANSWER", "places of an object: not as many as its parts");
  }
  return parts;
}

/**
 * @param ask gives the places of what is missing. @param content as for `Network.upload`: the same bytes every time.
 * @throws RunnerError STORE_UNREACHABLE, STORE_FULL, or what `content` throws.
 */
export async function sendInParts(
  network: Network,
  size: number,
  ask: () => Promise<ObjectParts>,
  content: () => AsyncGenerator<Uint8Array>,
): Promise<void> {
  let parts = await ask();
  for (let done = false; !done; ) {
    const before = parts.from;
    done = await retrying("STORE_UNREACHABLE", "object", async (n) => {
      // Places may be over, and only the store knows what it has.
      if (n > 0) parts = await ask();
      if (parts.from > before) return false;
      await onePass(network, size, parts, content());
      return true;
    });
  }
}

/** @throws RunnerError what `content` throws, STORE_FULL; an Error for what may pass. */
async function onePass(network: Network, size: number, parts: ObjectParts, content: AsyncGenerator<Uint8Array>) {
  const pieces = new Pieces(content);
  try {
    for await (const _ of pieces.take(Math.min(size, parts.from * parts.partSize))) {
      // The store has these; they are made again for the digest.
    }
    for (const [i, url] of parts.urls.entries()) {
      const bytes = Math.min(parts.partSize, size - (parts.from + i) * parts.partSize);
      const status = await network.put(url, bytes, pieces.take(bytes));
      if (status < 200 || status >= 300) throw new Error(`object store answered ${status}`);
    }
    await pieces.end();
  } finally {
    await content.return(undefined);
  }
}

/** Hands out a stream in runs of so many bytes. */
class Pieces {
  #rest: Uint8Array | undefined;

  constructor(private readonly content: AsyncGenerator<Uint8Array>) {}

  async *take(bytes: number): AsyncGenerator<Uint8Array> {
    for (let left = bytes; left > 0; ) {
      const piece = this.#rest ?? (await this.#next());
      this.#rest = undefined;
      if (piece.length > left) this.#rest = piece.subarray(left);
      const now = this.#rest ? piece.subarray(0, left) : piece;
      left -= now.length;
      yield now;
    }
  }

  /** What comes after the last byte: digests are finished there. */
  async end(): Promise<void> {
    if (this.#rest || !(await this.content.next()).done)
      throw new RunnerError("INTERNAL", "object: longer than it was");
  }

  async #next(): Promise<Uint8Array> {
    const { value, done } = await this.content.next();
    if (done) throw new RunnerError("INTERNAL", "object: shorter than it was");
    return value;
  }
}
