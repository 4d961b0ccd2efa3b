/**
 * Objects whose length lies at or beside a border of segments, of every format: whatever the store or another holder of
 * keys makes of them is refused with the code of what is wrong. In the guest, which knows the committed digest, too.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import type { InputObject } from "../../guest/input-object";
import { readInput } from "../../guest/inputs";
import type { Network } from "../../guest/net/https";
import { type EdgePlace, edgeAssociatedData } from "../../protocol/associated";
import { concat } from "../../protocol/bytes";
import { sha256hex } from "../../protocol/crypto";
import { FORMATS, type Format } from "../../protocol/formats";
import { objectKey } from "../../protocol/keys";
import {
  HEADER_BYTES,
  SEGMENT_BYTES,
  StreamOpener,
  StreamSealer,
  sealBytes,
  sealedSize,
  TAG_BYTES,
} from "../../protocol/stream";

const SEGMENT = 96;
const root = new Uint8Array(32).fill(1);
const runSecret = new Uint8Array(32).fill(2);
const hex = (n: number) => n.toString(16).padStart(64, "0");
const home: EdgePlace = { pipelineUid: hex(1), run: hex(2), edge: "a.x", shard: 0, attempt: 1, format: "bytes" };

const keyAt = ({ run, edge, shard, attempt }: EdgePlace, secret = runSecret): Uint8Array =>
  objectKey(root, secret, run, edge.split(".")[0] as string, shard, attempt);
const collect = (pieces: Iterable<Uint8Array>): Uint8Array => concat(...[...pieces].map((p) => p.slice()));
const content = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => (i * 7 + 3) % 251);

function seal(place: EdgePlace, plaintext: Uint8Array): Uint8Array {
  const [salt, prefix] = [new Uint8Array(32).fill(9), new Uint8Array(7).fill(8)];
  const sealer = new StreamSealer(keyAt(place), edgeAssociatedData(place), salt, prefix, SEGMENT);
  return concat(collect(sealer.push(plaintext)), collect(sealer.end()));
}
function open(place: EdgePlace, bytes: Uint8Array, key = keyAt(place)): Uint8Array {
  const opener = new StreamOpener(key, edgeAssociatedData(place), SEGMENT);
  return concat(collect(opener.push(bytes)), collect(opener.end()));
}

/** Plaintext whose ciphertext ends `beside` bytes from the end of segment `k`, and never inside the header or a tag. */
const sizeAt = (k: number, beside: number, segment = SEGMENT): number =>
  Math.max(0, segment - HEADER_BYTES - TAG_BYTES + k * (segment - TAG_BYTES) + beside);
const BESIDE = [-17, -16, -15, -2, -1, 0, 1, 2, 15, 16, 17];

const objects = fc
  .record({ format: fc.constantFrom(...FORMATS), k: fc.nat({ max: 3 }), beside: fc.constantFrom(...BESIDE) })
  .map(({ format, k, beside }) => {
    const place = { ...home, format };
    const plaintext = content(sizeAt(k, beside));
    return { place, plaintext, sealed: seal(place, plaintext) };
  });
const parts = (sealed: Uint8Array): Uint8Array[] =>
  Array.from({ length: Math.ceil(sealed.length / SEGMENT) }, (_, i) => sealed.slice(i * SEGMENT, (i + 1) * SEGMENT));
const refusedAs = (code: string) => expect.objectContaining({ name: "StreamError", code });

describe("an object that ends at a border of segments, or beside it", () => {
  it("has the size that is foreseen, and opens", () => {
    for (const format of FORMATS) {
      for (let k = 0; k <= 3; k++) {
        for (const beside of BESIDE) {
          const place = { ...home, format };
          const plaintext = content(sizeAt(k, beside));
          const sealed = seal(place, plaintext);
          expect(sealed).toHaveLength(sealedSize(plaintext.length, SEGMENT));
          expect(open(place, sealed)).toEqual(plaintext);
        }
      }
    }
  });

  it("with any bit flipped is refused: its first byte as no header, all others as not authentic", () => {
    fc.assert(
      fc.property(objects, fc.nat(), fc.nat({ max: 7 }), ({ place, sealed }, at, bit) => {
        for (const place_ of [0, at % sealed.length, sealed.length - 1]) {
          const changed = sealed.slice();
          changed[place_] = (changed[place_] as number) ^ (1 << bit);
          expect(() => open(place, changed)).toThrow(refusedAs(place_ === 0 ? "STREAM_HEADER" : "STREAM_AUTH"));
        }
      }),
      { numRuns: 150 },
    );
  });

  it("cut anywhere is refused: inside its header as such, behind it as not authentic", () => {
    fc.assert(
      fc.property(objects, ({ place, sealed }) => {
        for (let length = 0; length < sealed.length; length++) {
          const code = length < HEADER_BYTES ? "STREAM_HEADER" : "STREAM_AUTH";
          expect(() => open(place, sealed.slice(0, length))).toThrow(refusedAs(code));
        }
      }),
      { numRuns: 8 },
    );
  });

  it("extended by anything is refused: bytes, a tag, a segment of its own, itself", () => {
    fc.assert(
      fc.property(objects, fc.uint8Array({ minLength: 1, maxLength: 2 * SEGMENT }), ({ place, sealed }, more) => {
        for (const tail of [more, sealed.slice(-TAG_BYTES), ...parts(sealed), sealed]) {
          expect(() => open(place, concat(sealed, tail))).toThrow(refusedAs("STREAM_AUTH"));
        }
      }),
      { numRuns: 100 },
    );
  });

  it("with its segments in any other order, doubled or left out, is refused", () => {
    fc.assert(
      fc.property(objects, fc.array(fc.nat(), { minLength: 1, maxLength: 6 }), ({ place, sealed }, picks) => {
        const all = parts(sealed);
        const chosen = picks.map((p) => p % all.length);
        fc.pre(chosen.length !== all.length || chosen.some((p, i) => p !== i));
        const made = concat(...chosen.map((p) => all[p] as Uint8Array));
        fc.pre(Buffer.compare(made, sealed) !== 0);
        expect(() => open(place, made)).toThrow(expect.objectContaining({ name: "StreamError" }));
      }),
      { numRuns: 150 },
    );
  });

  const elsewhere: Record<string, (p: EdgePlace) => EdgePlace> = {
    "another edge": (p) => ({ ...p, edge: "a.y" }),
    "another step": (p) => ({ ...p, edge: "b.x" }),
    "another run": (p) => ({ ...p, run: hex(3) }),
    "another attempt": (p) => ({ ...p, attempt: 2 }),
    "another shard": (p) => ({ ...p, shard: 1 }),
    "another pipeline": (p) => ({ ...p, pipelineUid: hex(9) }),
    "another format": (p) => ({ ...p, format: FORMATS.find((f) => f !== p.format) as Format }),
  };

  it.each(Object.entries(elsewhere))("of %s is refused, also when the key were the same", (_where, move) => {
    fc.assert(
      fc.property(objects, ({ place, sealed }) => {
        const here = move(place);
        expect(() => open(here, sealed)).toThrow(refusedAs("STREAM_AUTH"));
        expect(() => open(here, sealed, keyAt(place))).toThrow(refusedAs("STREAM_AUTH"));
      }),
      { numRuns: 40 },
    );
  });

  it("of a run with another secret is refused", () => {
    fc.assert(
      fc.property(objects, ({ place, sealed }) => {
        expect(() => open(place, sealed, keyAt(place, new Uint8Array(32).fill(3)))).toThrow(refusedAs("STREAM_AUTH"));
      }),
      { numRuns: 40 },
    );
  });

  it("with a segment of the same place in another attempt, edge or run is refused", () => {
    fc.assert(
      fc.property(
        objects,
        fc.nat(),
        fc.constantFrom(...Object.values(elsewhere)),
        ({ place, plaintext, sealed }, at, move) => {
          const all = parts(sealed);
          const index = at % all.length;
          const foreign = parts(seal(move(place), plaintext))[index] as Uint8Array;
          // The header is the same in both here, so only segments differ.
          expect(() => open(place, concat(...all.map((part, i) => (i === index ? foreign : part))))).toThrow(
            refusedAs("STREAM_AUTH"),
          );
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe("in the guest, with segments of their real size", () => {
  const folder = mkdtempSync(join(tmpdir(), "segments-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  let count = 0;

  /** Content of exactly that size that its format admits. */
  const made: Partial<Record<Format, (size: number) => Uint8Array>> = {
    bytes: content,
    text: (size) => Buffer.alloc(size, "a"),
    json: (size) => Buffer.from(`"${"x".repeat(size - 2)}"`),
    jsonl: (size) => Buffer.from(`{"a":"${"x".repeat(size - 9)}"}\n`),
  };

  function object(format: Format, size: number): { object: InputObject; sealed: Uint8Array; plaintext: Uint8Array } {
    const place = { ...home, format };
    const plaintext = (made[format] as (size: number) => Uint8Array)(size);
    const key = keyAt(place);
    const associatedData = edgeAssociatedData(place);
    const sealed = sealBytes(key, associatedData, new Uint8Array(32).fill(9), new Uint8Array(7).fill(8), plaintext);
    const receipt = { input: "in", from: home.edge, shard: 0, digest: sha256hex(sealed), format };
    const path = [`in${count++}`];
    const rest = {
      url: "https://store.test/x",
      size: sealed.length,
      key,
      associatedData,
      format,
      allowUnsafe: false,
      path,
    };
    return { object: { receipt, ...rest }, sealed, plaintext };
  }

  const served = (bytes: Uint8Array) =>
    ({
      async *download() {
        for (let at = 0; at < bytes.length; at += 65_536) yield Buffer.from(bytes.subarray(at, at + 65_536));
      },
    }) as unknown as Network;
  /** @returns `READ`, or the code. */
  const read = (o: InputObject, bytes: Uint8Array): Promise<string> =>
    readInput({ ...o, path: [`in${count++}`] }, folder, served(bytes)).then(
      () => "READ",
      (error: { code?: string }) => error.code ?? String(error),
    );
  const flipped = (bytes: Uint8Array, at: number): Uint8Array => {
    const changed = bytes.slice();
    changed[at] = (changed[at] as number) ^ 1;
    return changed;
  };

  it.each(
    (["bytes", "text", "json", "jsonl"] as const).flatMap((format) =>
      [-1, 0, 1].map((beside) => [format, beside] as const),
    ),
  )(
    "%s that ends %i bytes from the end of the second segment: read as it is, and nothing else",
    async (format, beside) => {
      const { object: o, sealed, plaintext } = object(format, sizeAt(1, beside, SEGMENT_BYTES));
      await readInput(o, folder, served(sealed));
      expect(Buffer.compare(readFileSync(join(folder, ...o.path)), plaintext)).toBe(0);
      const changes: [string, Uint8Array, string][] = [
        ["a bit in its first segment", flipped(sealed, 1000), "INPUT_SEAL"],
        ["a bit in its last segment", flipped(sealed, sealed.length - 1), "INPUT_DIGEST"],
        ["cut by a byte", sealed.subarray(0, -1), "INPUT_DIGEST"],
        ["cut at the border", sealed.subarray(0, SEGMENT_BYTES), "INPUT_DIGEST"],
        ["cut inside its header", sealed.subarray(0, HEADER_BYTES - 1), "INPUT_DIGEST"],
        [
          "its segments exchanged",
          concat(sealed.subarray(SEGMENT_BYTES), sealed.subarray(0, SEGMENT_BYTES)),
          "INPUT_SEAL",
        ],
      ];
      for (const [what, bytes, code] of changes) {
        const ended = await read(o, bytes);
        // Which of the two sees it first depends on where the last segment begins; both end the guest before its program.
        expect([what, ended]).toEqual([what, expect.stringMatching(/^INPUT_(SEAL|DIGEST)$/)]);
        if (beside <= 0) expect([what, ended]).toEqual([what, code]);
        // Whoever also changes the committed digest still has not the key.
        const receipt = { ...o.receipt, digest: sha256hex(bytes) };
        expect([what, await read({ ...o, receipt, size: bytes.length }, bytes)]).toEqual([what, "INPUT_SEAL"]);
      }
    },
  );

  it("content that its format does not admit is refused as such, although it is authentic", async () => {
    const { object: o, sealed } = object("bytes", 100);
    const associatedData = edgeAssociatedData({ ...home, format: "json" });
    const bytes = sealBytes(o.key, associatedData, new Uint8Array(32), new Uint8Array(7), content(100));
    expect(sealed).toHaveLength(bytes.length);
    const receipt = { ...o.receipt, digest: sha256hex(bytes), format: "json" as const };
    expect(await read({ ...o, receipt, associatedData, format: "json" }, bytes)).toBe("FORMAT");
  });
});
