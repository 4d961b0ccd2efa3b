/** Whether a stream that is read twice was the same both times, for a fraction of a second SHA-256's time. */
import { createCipheriv, randomBytes } from "node:crypto";
import { createDigests, type Digests, type Lane, THREAD_FROM } from "../../protocol/digest";

/** OpenSSL counts associated data up to 2^61 bits; of one tag's strength nothing is lost up to this, bytes. */
const MAX_BYTES = 2 ** 36;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;

/**
 * GMAC under a key that nobody but this object ever has. Its tags never leave the process, so whoever could change the
 * source between two readings learns nothing about the key and finds other bytes with the same tag with probability
 * below 2^-90 (NIST SP 800-38D, appendix C). Every stream has a nonce of its own, which its two readings share.
 */
export class Equality {
  readonly #key = randomBytes(KEY_BYTES);

  start(nonce: Uint8Array = randomBytes(NONCE_BYTES)): EqualityTag {
    return new EqualityTag(this.#key, nonce);
  }

  /** Reads again what gave `tag`. */
  again(tag: Uint8Array): EqualityTag {
    return this.start(tag.subarray(0, NONCE_BYTES));
  }
}

class EqualityTag {
  readonly #gmac;
  #bytes = 0;

  constructor(
    key: Uint8Array,
    private readonly nonce: Uint8Array,
  ) {
    this.#gmac = createCipheriv("aes-256-gcm", key, nonce);
  }

  update(bytes: Uint8Array): void {
    this.#bytes += bytes.length;
    if (this.#bytes > MAX_BYTES) throw new RangeError("a layer of more than 64 GiB");
    if (bytes.length > 0) this.#gmac.setAAD(bytes);
  }

  /** nonce ‖ tag */
  tag(): Uint8Array {
    this.#gmac.final();
    return Buffer.concat([this.nonce, this.#gmac.getAuthTag()]);
  }
}

/**
 * Hands every chunk to `each` and makes digests of the same bytes beside it.
 * @param size of the stream when it is known: then no chunk is looked at after `each` has had it.
 * @returns one for each lane, hex.
 */
export async function beside(
  stream: AsyncIterable<Uint8Array>,
  lanes: readonly Lane[],
  each: (chunk: Uint8Array) => Promise<void>,
  size?: number,
): Promise<string[]> {
  let digests = size === undefined ? undefined : createDigests(size, lanes);
  // Small layers are many: they are collected until it is known that threads are worth their start.
  let early: Uint8Array[] = [];
  let bytes = 0;
  const begin = (expected: number): Digests => {
    const begun = createDigests(expected, lanes);
    for (const chunk of early) begun.update(chunk);
    early = [];
    return begun;
  };
  try {
    for await (const chunk of stream) {
      bytes += chunk.length;
      if (digests) digests.update(chunk);
      else early.push(chunk);
      if (!digests && bytes >= THREAD_FROM) digests = begin(bytes);
      await each(chunk);
    }
    digests ??= begin(bytes);
    return await digests.digests();
  } finally {
    digests?.close();
  }
}
