/**
 * Streaming AEAD in the wire format of Google Tink, AES256-GCM-HKDF, RAW prefix
 * (source: tink-crypto streaming AEAD "AES-GCM-HKDF"; vectors: test/vectors/tink).
 *
 *   header  = 0x28 ‖ salt (32) ‖ nonce prefix (7)
 *   key     = HKDF-SHA256(ikm = key, salt = salt, info = associated data, 32)
 *   segment = AES-256-GCM(key, nonce prefix ‖ u32be(index) ‖ (last ? 1 : 0)), tag 16 at the end, no additional data
 *
 * The segment size counts the tag, and in segment 0 the header too. There is always at least one segment.
 * Buffers handed out by `push` are only valid until the next call: copy or write them first.
 */
import { createCipheriv, createDecipheriv } from "node:crypto";
import { buffer, concat } from "./bytes";
import { hkdf } from "./crypto";
import { SealflowError } from "./errors";

export const SALT_BYTES = 32;
export const PREFIX_BYTES = 7;
export const HEADER_BYTES = 1 + SALT_BYTES + PREFIX_BYTES;
export const TAG_BYTES = 16;
/** Part of the key description: writer and reader must agree. Chosen by `npm run bench -- edge`. */
export const SEGMENT_BYTES = 1024 * 1024;

/** Pieces that stay in a core's cache: a third faster than whole segments, in less memory. */
const PIECE_BYTES = 64 * 1024;

/** STREAM_HEADER: no valid header. STREAM_AUTH: a segment is changed, moved, of another object, or the end is missing. STREAM_SIZE: too many segments. */
export type StreamCode = "STREAM_HEADER" | "STREAM_AUTH" | "STREAM_SIZE";
/** Never retry with the same bytes. */
export class StreamError extends SealflowError<StreamCode> {}

function nonceOf(prefix: Uint8Array, index: number, last: boolean): Uint8Array {
  if (index > 0xffffffff) throw new StreamError("STREAM_SIZE", "more than 2^32 segments");
  const nonce = new Uint8Array(12);
  nonce.set(prefix);
  new DataView(nonce.buffer).setUint32(7, index, false);
  nonce[11] = last ? 1 : 0;
  return nonce;
}

const segmentKey = (key: Uint8Array, salt: Uint8Array, ad: Uint8Array): Uint8Array => hkdf(key, salt, ad, 32);

/** Collects bytes into pieces of exact sizes without copying more than once. */
class Gather {
  private readonly held: Uint8Array;
  private length = 0;
  constructor(size: number) {
    this.held = new Uint8Array(size);
  }
  get size(): number {
    return this.length;
  }
  add(bytes: Uint8Array): void {
    this.held.set(bytes, this.length);
    this.length += bytes.length;
  }
  take(): Uint8Array {
    const view = this.held.subarray(0, this.length);
    this.length = 0;
    return view;
  }
}

/** Encrypts; `push` pieces of plaintext of any size, then `end` once. */
export class StreamSealer {
  private readonly key: Uint8Array;
  private readonly prefix: Uint8Array;
  private readonly pending: Gather;
  private header: Uint8Array | undefined;
  private index = 0;
  private readonly segment: number;

  /** @param salt 32 bytes and @param prefix 7 bytes, random or bound to the content; never reused with one key for other content. */
  constructor(key: Uint8Array, ad: Uint8Array, salt: Uint8Array, prefix: Uint8Array, segment = SEGMENT_BYTES) {
    if (
      key.length < 32 ||
      salt.length !== SALT_BYTES ||
      prefix.length !== PREFIX_BYTES ||
      segment <= HEADER_BYTES + TAG_BYTES
    ) {
      throw new RangeError("key >= 32, salt 32, prefix 7 bytes, and a segment larger than header and tag");
    }
    this.key = segmentKey(key, salt, ad);
    this.prefix = prefix;
    this.segment = segment;
    this.header = concat(Uint8Array.of(HEADER_BYTES), salt, prefix);
    this.pending = new Gather(segment - TAG_BYTES);
  }

  /** Plaintext bytes that the current segment takes. */
  private get room(): number {
    return this.segment - TAG_BYTES - (this.index === 0 ? HEADER_BYTES : 0);
  }

  *push(plaintext: Uint8Array): Generator<Uint8Array> {
    let rest = plaintext;
    while (rest.length > 0) {
      // A full segment is sealed only when more bytes follow: the last one must carry the mark.
      if (this.pending.size === this.room) yield* this.seal(this.pending.take(), false);
      else if (this.pending.size === 0 && rest.length > this.room) {
        const now = rest.subarray(0, this.room);
        rest = rest.subarray(this.room);
        yield* this.seal(now, false);
        continue;
      }
      const part = rest.subarray(0, this.room - this.pending.size);
      this.pending.add(part);
      rest = rest.subarray(part.length);
    }
  }

  *end(): Generator<Uint8Array> {
    yield* this.seal(this.pending.take(), true);
  }

  private *seal(plaintext: Uint8Array, last: boolean): Generator<Uint8Array> {
    if (this.header) {
      yield this.header;
      this.header = undefined;
    }
    const cipher = createCipheriv("aes-256-gcm", this.key, nonceOf(this.prefix, this.index, last));
    for (let at = 0; at < plaintext.length; at += PIECE_BYTES) {
      yield cipher.update(plaintext.subarray(at, at + PIECE_BYTES));
    }
    cipher.final();
    yield cipher.getAuthTag();
    this.index += 1;
  }
}

/** Decrypts; bytes handed out are authentic, but the object is whole only when `end` returned. */
export class StreamOpener {
  private readonly ikm: Uint8Array;
  private readonly ad: Uint8Array;
  private readonly header = new Gather(HEADER_BYTES);
  private readonly pending: Gather;
  private key: Uint8Array | undefined;
  private prefix = new Uint8Array(0);
  private index = 0;
  private readonly segment: number;

  constructor(key: Uint8Array, ad: Uint8Array, segment = SEGMENT_BYTES) {
    this.ikm = key;
    this.ad = ad;
    this.segment = segment;
    this.pending = new Gather(segment);
  }

  private get room(): number {
    return this.segment - (this.index === 0 ? HEADER_BYTES : 0);
  }

  /** @throws StreamError STREAM_HEADER or STREAM_AUTH. */
  *push(ciphertext: Uint8Array): Generator<Uint8Array> {
    let rest = ciphertext;
    if (!this.key) {
      const part = rest.subarray(0, HEADER_BYTES - this.header.size);
      this.header.add(part);
      rest = rest.subarray(part.length);
      if (this.header.size < HEADER_BYTES) return;
      this.begin(this.header.take());
    }
    while (rest.length > 0) {
      if (this.pending.size === this.room) yield* this.open(this.pending.take(), false);
      else if (this.pending.size === 0 && rest.length > this.room) {
        const now = rest.subarray(0, this.room);
        rest = rest.subarray(this.room);
        yield* this.open(now, false);
        continue;
      }
      const part = rest.subarray(0, this.room - this.pending.size);
      this.pending.add(part);
      rest = rest.subarray(part.length);
    }
  }

  /** @throws StreamError STREAM_HEADER (shorter than a header) or STREAM_AUTH (changed or cut off). */
  *end(): Generator<Uint8Array> {
    if (!this.key)
      throw new StreamError("STREAM_HEADER", `object ends after ${this.header.size} bytes, inside its header`);
    yield* this.open(this.pending.take(), true);
  }

  private begin(header: Uint8Array): void {
    if (header[0] !== HEADER_BYTES) {
      throw new StreamError("STREAM_HEADER", `header length is ${header[0]}, expected ${HEADER_BYTES}`);
    }
    this.key = segmentKey(this.ikm, header.slice(1, 1 + SALT_BYTES), this.ad);
    this.prefix = header.slice(1 + SALT_BYTES);
  }

  /** Hands nothing out before the whole segment is authentic. */
  private open(sealed: Uint8Array, last: boolean): Uint8Array[] {
    const at = sealed.length - TAG_BYTES;
    if (at < 0) throw new StreamError("STREAM_AUTH", `segment ${this.index} is cut off`);
    const decipher = createDecipheriv("aes-256-gcm", this.key as Uint8Array, nonceOf(this.prefix, this.index, last));
    decipher.setAuthTag(buffer(sealed.subarray(at)));
    const plaintext: Uint8Array[] = [];
    for (let from = 0; from < at; from += PIECE_BYTES) {
      plaintext.push(decipher.update(sealed.subarray(from, Math.min(from + PIECE_BYTES, at))));
    }
    try {
      decipher.final();
    } catch {
      for (const piece of plaintext) piece.fill(0);
      throw new StreamError("STREAM_AUTH", `segment ${this.index} does not authenticate`);
    }
    this.index += 1;
    return plaintext;
  }
}

/** Bytes of the sealed stream of so many bytes of plaintext. */
export function sealedSize(plaintext: number, segment = SEGMENT_BYTES): number {
  const room = segment - TAG_BYTES;
  const first = room - HEADER_BYTES;
  const segments = plaintext <= first ? 1 : 1 + Math.ceil((plaintext - first) / room);
  return HEADER_BYTES + plaintext + segments * TAG_BYTES;
}

/** Whole small object at once. */
export const sealBytes = (
  key: Uint8Array,
  ad: Uint8Array,
  salt: Uint8Array,
  prefix: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array => {
  const sealer = new StreamSealer(key, ad, salt, prefix);
  return concat(...copies(sealer.push(plaintext)), ...copies(sealer.end()));
};

/** @throws StreamError */
export const openBytes = (key: Uint8Array, ad: Uint8Array, ciphertext: Uint8Array): Uint8Array => {
  const opener = new StreamOpener(key, ad);
  return concat(...copies(opener.push(ciphertext)), ...copies(opener.end()));
};

function* copies(pieces: Iterable<Uint8Array>): Generator<Uint8Array> {
  for (const piece of pieces) yield piece.slice();
}
