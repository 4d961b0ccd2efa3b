/** Whether a stream that is read twice was the same both times, for a fraction of a second SHA-256's time. */
import { createCipheriv, randomBytes } from "node:crypto";
import { createDigest } from "../../protocol/digest";

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

/** Below this a stream gets no thread, bytes. */
const LARGE = 8 * 1024 * 1024;

/**
 * Hands every chunk to `each` and hashes the same bytes beside it.
 * @returns SHA-256 of the stream, hex.
 */
export async function beside(
  stream: AsyncIterable<Uint8Array>,
  each: (chunk: Uint8Array) => Promise<void>,
): Promise<string> {
  // Small layers are many: they are collected until it is known that a thread is worth its start.
  let early: Uint8Array[] | undefined = [];
  let size = 0;
  let digest: ReturnType<typeof createDigest> | undefined;
  const begin = (expected: number) => {
    const begun = createDigest(expected);
    for (const chunk of early ?? []) begun.update(chunk);
    early = undefined;
    return begun;
  };
  try {
    for await (const chunk of stream) {
      size += chunk.length;
      if (!digest && size >= LARGE) digest = begin(size);
      if (digest) digest.update(chunk);
      else early?.push(chunk);
      await each(chunk);
    }
    digest ??= begin(size);
    return await digest.digest();
  } finally {
    digest?.close();
  }
}
