import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readAhead, WriteBehind } from "../../guest/file-streams";

const MIB = 2 ** 20;
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "sf-streams-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Bytes that differ from block to block. */
const content = (size: number): Buffer =>
  Buffer.from(Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 16)) & 255));
const shorter = () => new Error("became shorter");

describe("a file read ahead", () => {
  test.each([0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB + 5])(
    "of %i bytes comes whole and in order",
    async (size) => {
      const path = join(dir, "file");
      const expected = content(size);
      writeFileSync(path, expected);
      const file = await open(path, "r");
      const seen: Buffer[] = [];
      for await (const block of readAhead(file, size, shorter)) {
        seen.push(Buffer.from(block));
        // The next one must come into another buffer.
        block.fill(0);
      }
      await file.close();
      expect(Buffer.concat(seen).equals(expected)).toBe(true);
    },
  );

  test("that is longer than was said ends where it was said", async () => {
    writeFileSync(join(dir, "file"), content(2 * MIB));
    const file = await open(join(dir, "file"), "r");
    let size = 0;
    for await (const block of readAhead(file, MIB + 7, shorter)) size += block.length;
    await file.close();
    expect(size).toBe(MIB + 7);
  });

  test("that becomes shorter is an error, and the file can be closed at once", async () => {
    writeFileSync(join(dir, "file"), content(3 * MIB));
    const file = await open(join(dir, "file"), "r");
    const read = async () => {
      for await (const _ of readAhead(file, 3 * MIB, shorter)) truncateSync(join(dir, "file"), MIB);
    };
    await expect(read()).rejects.toThrow("became shorter");
    await file.close();
  });

  test("that nobody reads to its end leaves nothing under way", async () => {
    writeFileSync(join(dir, "file"), content(3 * MIB));
    const file = await open(join(dir, "file"), "r");
    for await (const _ of readAhead(file, 3 * MIB, shorter)) break;
    await file.close();
  });
});

describe("pieces written behind", () => {
  test("of all sizes are there in their order", async () => {
    const file = await open(join(dir, "out"), "w");
    const writing = new WriteBehind(file);
    const expected = content(2 * MIB);
    const sizes = [0, 1, 16, 300, 65_536, 70_000, 600_000];
    for (let at = 0, n = 0; at < expected.length; n++) {
      const size = sizes[n % sizes.length] as number;
      await writing.write(Uint8Array.from(expected.subarray(at, at + size)));
      at += size;
    }
    await writing.end();
    await file.close();
    expect(readFileSync(join(dir, "out")).equals(expected)).toBe(true);
  });

  test("to a full disk end with its error, also when nobody waited for them", async () => {
    const file = await open("/dev/full", "w");
    const writing = new WriteBehind(file);
    await writing.write(new Uint8Array(10));
    await expect(writing.end()).rejects.toMatchObject({ code: "ENOSPC" });
    await writing.settled();
    const large = new WriteBehind(file);
    const both = async () => {
      await large.write(new Uint8Array(MIB));
      await large.write(new Uint8Array(MIB));
    };
    await expect(both()).rejects.toMatchObject({ code: "ENOSPC" });
    await file.close();
  });

  test("of which the disk took a part are written on", async () => {
    const taken: Buffer[] = [];
    // A disk that is nearly full cannot be had here.
    const file = {
      writev: async ([first]: Uint8Array[]) => {
        taken.push(Buffer.from(first as Uint8Array).subarray(0, 3));
        return { bytesWritten: 3 };
      },
      writeFile: async (rest: Uint8Array) => void taken.push(Buffer.from(rest)),
    } as unknown as FileHandle;
    const writing = new WriteBehind(file);
    await writing.write(Uint8Array.from([1, 2, 3, 4]));
    await writing.write(Uint8Array.from([5, 6]));
    await writing.end();
    expect([...Buffer.concat(taken)]).toEqual([1, 2, 3, 4, 5, 6]);
  });
});
