import { RunnerGuard } from "../../../owner/image/guard";
import { LayerHeaders } from "../../../owner/image/headers";
import { tarOf } from "./support";

const END = 1024;

/** Where the end of the archive was found, by pieces of so many bytes; "none" when it has no end. */
async function endOf(tar: Uint8Array, piece: number): Promise<number | "none"> {
  const guard = new RunnerGuard();
  const headers = new LayerHeaders((entry) => guard.check(entry, "layer"), "layer");
  let end: number | undefined;
  // As a file is read: the same buffers again and again.
  const buffers = [Buffer.alloc(piece), Buffer.alloc(piece)];
  for (let at = 0, turn = 0; at < tar.length; at += piece, turn++) {
    const chunk = (buffers[turn % 2] as Buffer).subarray(0, Math.min(piece, tar.length - at));
    chunk.set(tar.subarray(at, at + chunk.length));
    const found = await headers.write(chunk);
    buffers[turn % 2]?.fill(0xff);
    if (found === undefined) continue;
    expect(end).toBeUndefined();
    end = at + found;
  }
  expect(await headers.end()).toBe(end !== undefined);
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

describe("an archive that extractors read differently is refused", () => {
  const a = () => tarOf([{ name: "a", content: "a" }]);
  const cases: [string, () => Promise<Uint8Array>, RegExp][] = [
    [
      "another one behind its end",
      async () => Buffer.concat([await a(), await tarOf([{ name: "b" }])]),
      /after the end/,
    ],
    [
      "another one behind one block of zeros",
      async () => Buffer.concat([(await a()).subarray(0, 1536), await tarOf([{ name: "b" }])]),
      /after the end/,
    ],
    [
      "a byte far behind its end",
      async () => Buffer.concat([await a(), Buffer.alloc(100_000), Buffer.from([1])]),
      /after the end/,
    ],
    [
      "a folder with content",
      async () => withSize(await tarOf([{ name: "d", type: "directory" }]), 512),
      /directory with content/,
    ],
    [
      "a hard link with content",
      async () => withSize(await tarOf([{ name: "h", type: "link", linkname: "a" }]), 512),
      /link with content/,
    ],
    [
      "pax records without an entry",
      async () => Buffer.concat([(await tarOf([{ name: long }])).subarray(0, 1024), Buffer.alloc(END)]),
      /header without its entry/,
    ],
    ["half a header", async () => (await a()).subarray(0, 1300), /no intact tar/],
  ];
  test.each(cases)("%s", async (_what, make, message) => {
    for (const piece of [512, 1000, 1 << 20])
      await expect(endOf(await make(), piece)).rejects.toMatchObject({
        code: "IMAGE_LAYER",
        message: expect.stringMatching(message),
      });
  });
});

/** Puts another size into the first header. */
function withSize(tar: Buffer, size: number): Buffer {
  const changed = Buffer.from(tar);
  changed.write(`${size.toString(8).padStart(11, "0")} `, 124, "latin1");
  changed.write("        ", 148, "latin1");
  const sum = changed.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  changed.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return changed;
}
