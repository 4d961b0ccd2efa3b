import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { concat, fromBase64, fromHex } from "../../protocol/bytes";
import { sha256hex } from "../../protocol/crypto";
import { HEADER_BYTES, openBytes, StreamOpener, StreamSealer, sealBytes, TAG_BYTES } from "../../protocol/stream";

interface Vector {
  readonly id: string;
  readonly keyset: string;
  readonly associated_data_b64: string;
  readonly ciphertext_file: string;
  readonly ciphertext_sha256: string;
  readonly expect: "accept" | "reject";
  readonly plaintext_size: number;
  readonly plaintext_sha256: string;
  readonly ciphertext_segment_size: number;
  readonly segments: number;
  readonly salt_hex: string;
  readonly nonce_prefix_hex: string;
}

const folder = join(__dirname, "../vectors/tink");
const { vectors } = JSON.parse(readFileSync(join(folder, "vectors.json"), "utf8")) as { vectors: Vector[] };
const accepted = vectors.filter((v) => v.expect === "accept");
const rejected = vectors.filter((v) => v.expect === "reject");

/** The key is the last field of Tink's message, 32 bytes; its size of a segment is in the name of the keyset. */
const keyOf = (v: Vector): Uint8Array =>
  fromBase64(JSON.parse(readFileSync(join(folder, v.keyset), "utf8")).key[0].keyData.value).slice(-32);
const segmentOf = (v: Vector): number =>
  v.keyset.includes("4kb.") && !v.keyset.includes("64kb") ? 4096 : v.keyset.includes("64kb") ? 65536 : 1048576;
const ciphertextOf = (v: Vector): Uint8Array => {
  const bytes = new Uint8Array(readFileSync(join(folder, v.ciphertext_file)));
  expect(sha256hex(bytes)).toBe(v.ciphertext_sha256);
  return bytes;
};
const plaintextOf = (v: Vector): Uint8Array =>
  Uint8Array.from({ length: v.plaintext_size }, (_, i) => (i * 31 + 7) % 256);

/** Pieces of `size` bytes; what the stream hands out is copied before the next call, as its contract says. */
function through(stream: StreamSealer | StreamOpener, bytes: Uint8Array, size: number): Uint8Array {
  const out: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    for (const piece of stream.push(bytes.slice(at, at + size))) out.push(piece.slice());
  }
  for (const piece of stream.end()) out.push(piece.slice());
  return concat(...out);
}

const opener = (v: Vector) => new StreamOpener(keyOf(v), fromBase64(v.associated_data_b64), segmentOf(v));
const PIECES = [977, 4096, 65536, 10_000_000];

describe("what Tink wrote", () => {
  test("is tested in all sizes around a segment", () => {
    expect(accepted).toHaveLength(20);
    expect(rejected).toHaveLength(2);
    for (const v of accepted) expect(segmentOf(v)).toBe(v.ciphertext_segment_size);
  });

  test.each(accepted.map((v) => [v.id, v] as const))("%s opens, in pieces of any size", (_id, v) => {
    const ciphertext = ciphertextOf(v);
    for (const size of v.plaintext_size < 5000 ? [1, ...PIECES] : PIECES) {
      const plaintext = through(opener(v), ciphertext, size);
      expect(sha256hex(plaintext)).toBe(v.plaintext_sha256);
      expect(Buffer.compare(plaintext, plaintextOf(v))).toBe(0);
    }
  });

  test.each(accepted.map((v) => [v.id, v] as const))("%s is what we write with its salt and prefix", (_id, v) => {
    for (const size of PIECES) {
      const sealer = new StreamSealer(
        keyOf(v),
        fromBase64(v.associated_data_b64),
        fromHex(v.salt_hex),
        fromHex(v.nonce_prefix_hex),
        segmentOf(v),
      );
      expect(sha256hex(through(sealer, plaintextOf(v), size))).toBe(v.ciphertext_sha256);
    }
  });

  test.each(rejected.map((v) => [v.id, v] as const))("%s ends in STREAM_AUTH, in pieces of any size", (_id, v) => {
    const ciphertext = ciphertextOf(v);
    for (const size of [1, ...PIECES]) {
      expect(() => through(opener(v), ciphertext, size)).toThrow(expect.objectContaining({ code: "STREAM_AUTH" }));
    }
  });
});

describe("an object of four segments that the store", () => {
  const segment = 96;
  const key = new Uint8Array(32).fill(1);
  const ad = Uint8Array.of(1, 2, 3);
  const salt = new Uint8Array(32).fill(2);
  const prefix = new Uint8Array(7).fill(3);
  const first = segment - HEADER_BYTES - TAG_BYTES;
  const rest = segment - TAG_BYTES;
  const plaintext = Uint8Array.from({ length: first + 3 * rest }, (_, i) => i % 251);
  const seal = (p: Uint8Array) => through(new StreamSealer(key, ad, salt, prefix, segment), p, 50);
  const ciphertext = seal(plaintext);
  const open = (c: Uint8Array, size = 37) => through(new StreamOpener(key, ad, segment), c, size);
  const part = (i: number) => ciphertext.slice(i * segment, (i + 1) * segment);
  const refused = expect.objectContaining({ name: "StreamError" });

  test("left alone opens", () => expect(open(ciphertext)).toEqual(plaintext));

  test.each(Array.from({ length: 4 * 96 }, (_, i) => i).filter((i) => i % 5 === 0 || i < 42))(
    "changed at byte %i is refused",
    (at) => {
      const changed = ciphertext.slice();
      changed[at] = (changed[at] as number) ^ 0x80;
      expect(() => open(changed)).toThrow(refused);
    },
  );

  test("cut off anywhere is refused, also exactly between segments", () => {
    for (let length = 0; length < ciphertext.length; length++)
      expect(() => open(ciphertext.slice(0, length))).toThrow(refused);
  });

  test.each([
    ["lengthened", concat(ciphertext, Uint8Array.of(0))],
    ["lengthened by its own last segment", concat(ciphertext, part(3))],
    ["reordered", concat(part(0), part(2), part(1), part(3))],
    ["robbed of a middle segment", concat(part(0), part(2), part(3))],
    ["doubled in the middle", concat(part(0), part(1), part(1), part(2), part(3))],
  ])("%s is refused", (_what, changed) => expect(() => open(changed)).toThrow(refused));

  test("gave under another place's associated data is refused", () => {
    expect(() => through(new StreamOpener(key, Uint8Array.of(1, 2), segment), ciphertext, 37)).toThrow(refused);
    expect(() => through(new StreamOpener(key, ad, segment + 1), ciphertext, 37)).toThrow(refused);
  });

  test("hands out only authentic bytes before it fails", () => {
    const changed = ciphertext.slice();
    changed[2 * segment + 5] = (changed[2 * segment + 5] as number) ^ 1;
    const out: Uint8Array[] = [];
    const stream = new StreamOpener(key, ad, segment);
    expect(() => {
      for (const piece of stream.push(changed)) out.push(piece.slice());
    }).toThrow(refused);
    expect(concat(...out)).toEqual(plaintext.slice(0, first + rest));
  });
});

test("sealed in any pieces and opened in any pieces, every content comes back, and its ciphertext is the same", () => {
  const key = new Uint8Array(32).fill(5);
  const ad = new Uint8Array(0);
  const bytes = fc.uint8Array({ maxLength: 500 });
  fc.assert(
    fc.property(bytes, fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 200 }), (plaintext, a, b) => {
      const salt = new Uint8Array(32).fill(6);
      const prefix = new Uint8Array(7).fill(7);
      const sealed = through(new StreamSealer(key, ad, salt, prefix, 100), plaintext, a);
      expect(sealed).toEqual(through(new StreamSealer(key, ad, salt, prefix, 100), plaintext, b));
      expect(through(new StreamOpener(key, ad, 100), sealed, b)).toEqual(plaintext);
    }),
  );
});

test("a key, salt or prefix of a wrong size, and a segment without room, are refused", () => {
  const [key, salt, prefix, ad] = [new Uint8Array(32), new Uint8Array(32), new Uint8Array(7), new Uint8Array(0)];
  const bad: [Uint8Array, Uint8Array, Uint8Array, number][] = [
    [new Uint8Array(31), salt, prefix, 1000],
    [key, new Uint8Array(31), prefix, 1000],
    [key, salt, new Uint8Array(8), 1000],
    [key, salt, prefix, HEADER_BYTES + TAG_BYTES],
  ];
  for (const [k, s, p, segment] of bad) expect(() => new StreamSealer(k, ad, s, p, segment)).toThrow(RangeError);
});

test("small objects at once", () => {
  const key = new Uint8Array(32).fill(1);
  const ad = Uint8Array.of(9);
  const sealed = sealBytes(key, ad, new Uint8Array(32), new Uint8Array(7), Uint8Array.of(1, 2, 3));
  expect(sealed).toHaveLength(HEADER_BYTES + 3 + TAG_BYTES);
  expect(openBytes(key, ad, sealed)).toEqual(Uint8Array.of(1, 2, 3));
  expect(() => openBytes(key, ad, sealed.slice(0, 39))).toThrow(expect.objectContaining({ code: "STREAM_HEADER" }));
});
