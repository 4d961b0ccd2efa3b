import { execFileSync } from "node:child_process";
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { RunnerGuard } from "../../../owner/image/guard";
import { LayerHeaders } from "../../../owner/image/headers";
import { removeTempFolders, tarOf, tempFolder } from "./support";

afterAll(removeTempFolders);

const END = 1024;

/** Where the end of the archive was found, by pieces of so many bytes; "none" when it has no end. */
async function endOf(tar: Uint8Array, piece: number): Promise<number | "none"> {
  const headers = new LayerHeaders(new RunnerGuard().layer("layer"), "layer");
  let end: number | undefined;
  // As a file is read: the same buffers again and again.
  const buffers = [Buffer.alloc(piece), Buffer.alloc(piece)];
  for (let at = 0, turn = 0; at < tar.length; at += piece, turn++) {
    const chunk = (buffers[turn % 2] as Buffer).subarray(0, Math.min(piece, tar.length - at));
    chunk.set(tar.subarray(at, at + chunk.length));
    const found = headers.write(chunk);
    buffers[turn % 2]?.fill(0xff);
    if (found === undefined) continue;
    expect(end).toBeUndefined();
    end = at + found;
  }
  expect(headers.end()).toBe(end !== undefined);
  return end ?? "none";
}

const long = `${"d/".repeat(90)}${"n".repeat(200)}`;
const archives: [string, () => Promise<Buffer>][] = [
  ["nothing", () => tarOf([])],
  ["an empty file", () => tarOf([{ name: "a" }])],
  [
    "files around a block, ending in zeros",
    () => tarOf([511, 512, 513, 5000].map((n) => ({ name: `f${n}`, content: "\0".repeat(n) }))),
  ],
  [
    "links and folders",
    () =>
      tarOf([
        { name: "d", type: "directory" },
        { name: "l", type: "symlink", linkname: "d" },
        { name: "h", type: "link", linkname: "l" },
      ]),
  ],
  [
    "long names in pax records",
    () =>
      tarOf([
        { name: long, content: "x".repeat(700) },
        { name: "é", content: "y" },
      ]),
  ],
];

describe.each(archives)("the end of an archive of %s", (_what, make) => {
  test.each([100, 512, 1000, 4096, 1 << 20])("is behind its last entry, read by pieces of %i bytes", async (piece) => {
    const tar = await make();
    expect(await endOf(tar, piece)).toBe(tar.length - END);
    expect(await endOf(Buffer.concat([tar, Buffer.alloc(9216)]), piece)).toBe(tar.length - END);
    const open = tar.subarray(0, tar.length - END);
    expect(await endOf(open, piece)).toBe("none");
  });
});

/** Changes bytes of the header at `at`, and its checksum. */
function edited(tar: Uint8Array, at: number, change: (header: Buffer) => void): Buffer {
  const all = Buffer.from(tar);
  const header = all.subarray(at, at + 512);
  change(header);
  header.write("        ", 148, "latin1");
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return all;
}

/** A header of a type with content, padded; `ustar` as POSIX has it. */
function member(flag: string, content: Uint8Array | string, name = "m"): Buffer {
  const bytes = Buffer.from(content);
  const header = Buffer.alloc(512);
  const put = (text: string, at: number) => header.write(text, at, "latin1");
  put(name, 0);
  put("0000644\0", 100);
  put(`${bytes.length.toString(8).padStart(11, "0")}\0`, 124);
  put(flag, 156);
  put("ustar\x0000", 257);
  const padding = Buffer.alloc((512 - (bytes.length % 512)) % 512);
  return Buffer.concat([edited(header, 0, () => undefined), bytes, padding]);
}
const record = (key: string, value: string): string => {
  const rest = ` ${key}=${value}\n`;
  const digits = String(Buffer.byteLength(rest) + 2).length;
  return `${Buffer.byteLength(rest) + digits}${rest}`;
};
const zeros = Buffer.alloc(END);
const evil = () => member("0", "evil", "sealflow/bin/x");

describe("an archive that extractors read differently is refused", () => {
  const a = () => tarOf([{ name: "a", content: "a" }]);
  const size = (text: string) => (header: Buffer) => void header.write(text, 124, "latin1");
  const version = (header: Buffer) => void header.write("11", 263, "latin1");
  const cases: [string, () => Promise<Uint8Array> | Uint8Array, RegExp][] = [
    ["another one behind its end", async () => Buffer.concat([await a(), await a()]), /after the end/],
    [
      "another one behind one block of zeros",
      async () => Buffer.concat([(await a()).subarray(0, 1536), await a()]),
      /after the end/,
    ],
    [
      "a byte far behind its end",
      async () => Buffer.concat([await a(), Buffer.alloc(100_000), Buffer.from([1])]),
      /after the end/,
    ],
    [
      "a folder with content",
      async () => edited(await tarOf([{ name: "d", type: "directory" }]), 0, size("00000001000 ")),
      /directory with content/,
    ],
    [
      "a folder by its name alone, with content",
      () => Buffer.concat([member("0", "x", "d/"), zeros]),
      /a file with the name of a folder/,
    ],
    [
      "a hard link with content",
      async () => edited(await tarOf([{ name: "h", type: "link", linkname: "a" }]), 0, size("00000001000 ")),
      /link with content/,
    ],
    [
      "pax records without an entry",
      async () => Buffer.concat([(await tarOf([{ name: long }])).subarray(0, 1024), zeros]),
      /checksum|middle of an entry/,
    ],
    ["half a header", async () => (await a()).subarray(0, 300), /middle of an entry/],
    ["half a content", async () => (await a()).subarray(0, 600), /middle of an entry/],
    ["a wrong checksum", async () => Buffer.from(await a()).fill("b", 0, 1), /checksum/],
    [
      "a prefix where GNU's own variant has none",
      () =>
        Buffer.concat([
          edited(member("0", "x"), 0, (header) => {
            header.write("ustar  \0", 257, "latin1");
            header.write("sealflow", 345);
          }),
          zeros,
        ]),
      /two ways/,
    ],
    [
      "two pax records for one name",
      () =>
        Buffer.concat([
          member("x", record("path", "sealflow/bin/x") + record("path", "app/ok")),
          member("0", "x"),
          zeros,
        ]),
      /pax record that is read in two ways, since it is there twice: "path"/,
    ],
    [
      "two pax records of a name that steers terminals",
      () => Buffer.concat([member("x", Buffer.from("6 \x9b=a\n6 \x9b=b\n", "latin1")), member("0", "x"), zeros]),
      /there twice: "\\u009b"/,
    ],
    [
      "two pax headers before one entry",
      () =>
        Buffer.concat([member("x", record("path", "a")), member("x", record("path", "b")), member("0", "x"), zeros]),
      /two headers of type x/,
    ],
    [
      "a pax record whose length is wrong",
      () => Buffer.concat([member("x", "12 path=a/b\n\n"), member("0", "x"), zeros]),
      /malformed pax record/,
    ],
    [
      "a pax record with a sign before its length",
      () => Buffer.concat([member("x", "+9 path=a\n"), member("0", "x"), zeros]),
      /malformed pax record/,
    ],
    [
      "bytes behind pax records",
      () => Buffer.concat([member("x", `${record("path", "app/ok")}\0\0`), evil(), zeros]),
      /malformed pax record/,
    ],
    [
      "a version that only some look at, with a prefix",
      () =>
        Buffer.concat([
          edited(evil(), 0, (h) => {
            version(h);
            h.write("app", 345, "latin1");
          }),
          zeros,
        ]),
      /neither of POSIX nor of GNU/,
    ],
    [
      "a version that only some look at, on pax records",
      () => Buffer.concat([edited(member("x", record("path", "app/ok")), 0, version), evil(), zeros]),
      /neither of POSIX nor of GNU/,
    ],
    [
      "an old long name of GNU",
      () => Buffer.concat([member("N", "app/ok\0"), evil(), zeros]),
      /a type that extractors read differently: "N"/,
    ],
    [
      "a sparse file of old GNU",
      () => Buffer.concat([member("S", "x"), zeros]),
      /a type that extractors read differently: "S"/,
    ],
    [
      "a sparse file of pax",
      () => Buffer.concat([member("x", record("GNU.sparse.name", "app/ok")), evil(), zeros]),
      /sparse/,
    ],
    [
      "global pax records",
      () => Buffer.concat([member("g", record("path", "app/ok")), evil(), zeros]),
      /a type that extractors read differently: "g"/,
    ],
    [
      "an owner that is no number",
      async () => edited(await a(), 0, (h) => void h.write("x", 110)),
      /owner is no number/,
    ],
    ["a time that is no number", async () => edited(await a(), 0, (h) => void h.write("-", 136)), /time is no number/],
    ["an unknown type", () => Buffer.concat([member("V", ""), zeros]), /a type that extractors read differently: "V"/],
    [
      "a long name of GNU and one in pax records",
      () =>
        Buffer.concat([
          member("L", "sealflow/bin/x\0"),
          member("x", record("path", "app/ok")),
          member("0", "x"),
          zeros,
        ]),
      /in a pax record and a long one/,
    ],
    [
      "a long name that goes on behind its end",
      () => Buffer.concat([member("L", "sealflow\0/ok\0"), member("0", "x"), zeros]),
      /zero byte/,
    ],
    [
      "a name in pax records with a zero byte",
      () => Buffer.concat([member("x", record("path", "sealflow\0/ok")), member("0", "x"), zeros]),
      /zero byte/,
    ],
    [
      "an empty name in pax records",
      () => Buffer.concat([member("x", record("path", "")), member("5", "", "sealflow"), zeros]),
      /empty path/,
    ],
    [
      "an empty long name of GNU",
      () => Buffer.concat([member("L", "\0"), member("5", "", "sealflow"), zeros]),
      /empty long name/,
    ],
    [
      "a path that Linux opens nowhere",
      () => Buffer.concat([member("x", record("path", "é".repeat(2048))), member("0", ""), zeros]),
      /4096 bytes/,
    ],
    [
      "a link to a path that Linux opens nowhere",
      () => Buffer.concat([member("x", record("linkpath", "é".repeat(2048))), member("2", ""), zeros]),
      /4096 bytes/,
    ],
    [
      "another size in pax records",
      () => Buffer.concat([member("x", record("size", "512")), member("0", ""), evil(), zeros]),
      /pax record says 512 bytes and its header 0/,
    ],
    [
      "a size that is no number to some",
      () =>
        Buffer.concat([
          edited(member("0", ""), 0, (h) => {
            h[124] = 0x81;
          }),
          zeros,
        ]),
      /size is no number/,
    ],
    [
      "a size below zero",
      () =>
        Buffer.concat([
          edited(member("0", ""), 0, (h) => {
            h.fill(0xff, 124, 136);
          }),
          zeros,
        ]),
      /size is no number/,
    ],
    [
      "a size beyond every file",
      () =>
        Buffer.concat([
          edited(member("0", ""), 0, (h) => {
            h.fill(0xff, 125, 136);
            h[124] = 0x80;
          }),
          zeros,
        ]),
      /size is no number/,
    ],
    [
      "a size with something behind it",
      () => Buffer.concat([edited(member("0", ""), 0, size("0000000\x00777\0")), evil(), zeros]),
      /size is no number/,
    ],
    [
      "a name that is not UTF-8",
      () =>
        Buffer.concat([
          edited(member("0", ""), 0, (h) => {
            h[0] = 0xff;
          }),
          zeros,
        ]),
      /not UTF-8/,
    ],
    [
      "zeros between pax records and their entry",
      () => Buffer.concat([member("x", record("path", "app/ok")), Buffer.alloc(512), evil(), zeros]),
      /checksum|neither/,
    ],
  ];
  test.each(cases)("%s", async (_what, make, message) => {
    for (const piece of [100, 512, 1000, 1 << 20])
      await expect(endOf(await make(), piece)).rejects.toMatchObject({
        code: "IMAGE_LAYER",
        message: expect.stringMatching(message),
      });
  });
});

test.each(["gnu", "oldgnu", "posix", "ustar"])(
  "what the system's tar writes as %s is read as it lists it",
  (format) => {
    const folder = tempFolder();
    const deep = path.join(folder, ...Array.from({ length: 4 }, (_, i) => `${i}`.repeat(30)));
    mkdirSync(deep, { recursive: true });
    writeFileSync(path.join(deep, "file"), "x");
    writeFileSync(path.join(folder, "plain"), "y".repeat(3000));
    symlinkSync("plain", path.join(folder, "link"));
    linkSync(path.join(folder, "plain"), path.join(folder, "second"));
    // What ustar cannot say, the others can.
    if (format !== "ustar") writeFileSync(path.join(deep, "n".repeat(120)), "z");
    const tar = execFileSync("tar", ["-C", folder, `--format=${format}`, "-c", "."], { maxBuffer: 1e8 });
    const listed = execFileSync("tar", ["-t"], { input: tar, encoding: "utf8" }).trimEnd().split("\n");
    const seen: string[] = [];
    const headers = new LayerHeaders(({ name }) => void seen.push(name), "layer");
    headers.write(tar);
    expect(headers.end()).toBe(true);
    expect(seen).toEqual(listed);
    expect(seen.length).toBeGreaterThan(7);
  },
);

test("names come from where every extractor takes them", () => {
  const seen: string[] = [];
  const headers = new LayerHeaders(
    ({ name, linkname, type }) => void seen.push(`${type} ${name} ${linkname}`),
    "layer",
  );
  const gnu = (h: Buffer) => void h.write("ustar  \0", 257, "latin1");
  const all = [
    member("L", `${"g".repeat(150)}\0`),
    edited(member("0", "x"), 0, gnu),
    member("K", "target\0"),
    edited(member("2", "", "l"), 0, gnu),
    edited(member("0", "x", "name"), 0, (h) => void h.write("pre/fix", 345, "latin1")),
    member(
      "x",
      record("mtime", "1.5") + record("path", "ü/\u{1f512}") + record("SCHILY.xattr.user.a", "=\n9 path=b\n"),
    ),
    member("0", "x"),
    member("5", "", "d/"),
    member("x", record("size", "1")),
    member("0", "x", "sized"),
    zeros,
  ];
  headers.write(Buffer.concat(all));
  expect(headers.end()).toBe(true);
  expect(seen).toEqual([
    `file ${"g".repeat(150)} `,
    "symlink l target",
    "file pre/fix/name ",
    "file ü/\u{1f512} ",
    "directory d/ ",
    "file sized ",
  ]);
});

test("a layer of endlessly many entries is refused before they fill the memory", async () => {
  const entry = (await tarOf([{ name: `${"d".repeat(90)}/${"f".repeat(90)}` }])).subarray(0, 512);
  const thousand = Buffer.concat(Array.from({ length: 1000 }, () => entry));
  const headers = new LayerHeaders(() => undefined, "layer");
  const endless = () => {
    for (let n = 0; n < 2000; n++) headers.write(thousand);
  };
  expect(endless).toThrow(/^layer: has more than \d{6} entries/);
});
