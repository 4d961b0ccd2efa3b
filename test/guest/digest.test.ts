import { createHash, createHmac, randomBytes } from "node:crypto";
import { createDigest } from "../../guest/digest";
import { createDigests } from "../../protocol/digest";

const BIG = 64 * 1024 * 1024;

describe("a digest of a large object, made in a thread", () => {
  it.each([
    [0, 1],
    [1, 1],
    [256 * 1024 - 1, 1000],
    [256 * 1024, 65536],
    [256 * 1024 + 1, 300_000],
    // More than the ring holds, in pieces that fit no slot.
    [9 * 1024 * 1024 + 7, 65_521],
  ])("of %i bytes in pieces of %i is the one of SHA-256", async (size, piece) => {
    const bytes = randomBytes(size);
    const hash = createDigest(BIG);
    try {
      for (let at = 0; at < size; at += piece) {
        const part = Buffer.from(bytes.subarray(at, at + piece));
        hash.update(part);
        // The caller may use its buffer again.
        part.fill(0);
      }
      expect(await hash.digest()).toBe(createHash("sha256").update(bytes).digest("hex"));
    } finally {
      hash.close();
    }
  });

  it("can be given up half way", async () => {
    const hash = createDigest(BIG);
    hash.update(randomBytes(1_000_000));
    hash.close();
  });
});

describe.each([
  ["in threads", BIG],
  ["without threads", 3],
])("several digests of one stream, %s", (_how, size) => {
  it("are each its own: plain, under a key, with other bytes in the middle; also of a second stream in the same threads", async () => {
    const key = randomBytes(32);
    const inserted = randomBytes(1024);
    const cases = [
      [3_000_001, 2_100_030],
      [3_000_001, 0],
      [5, 5],
      [0, 0],
    ] as const;
    for (const [length, place] of cases) {
      const bytes = randomBytes(length);
      const digests = createDigests(size, [{}, { key }]);
      const add = (part: Uint8Array) => {
        for (let at = 0; at < part.length; at += 70_001) digests.update(part.subarray(at, at + 70_001));
      };
      try {
        add(bytes.subarray(0, place));
        digests.insert(inserted);
        add(bytes.subarray(place));
        const around = [bytes.subarray(0, place), inserted, bytes.subarray(place)];
        expect(await digests.digests()).toEqual([
          createHash("sha256").update(bytes).digest("hex"),
          createHmac("sha256", key).update(bytes).digest("hex"),
          createHash("sha256").update(Buffer.concat(around)).digest("hex"),
        ]);
      } finally {
        digests.close();
      }
    }
  });

  it("of a stream that was given up do not reach the next one", async () => {
    const given = createDigests(size, [{}]);
    given.update(randomBytes(1_000_000));
    given.close();
    const next = createDigests(size, [{}]);
    next.update(Buffer.from("abc"));
    expect(await next.digests()).toEqual([createHash("sha256").update("abc").digest("hex")]);
    next.close();
  });
});

it("a small object's digest is the same without a thread", async () => {
  const hash = createDigest(3);
  hash.update(Buffer.from("abc"));
  expect(await hash.digest()).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});
