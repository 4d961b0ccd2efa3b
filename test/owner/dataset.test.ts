import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { digestDataset, sealDataset } from "../../owner/dataset";
import { datasetAssociatedData } from "../../protocol/associated";
import { buffer } from "../../protocol/bytes";
import { hmacSha256, sha256hex } from "../../protocol/crypto";
import { datasetDigestKey, datasetKey, datasetRoot, type Root } from "../../protocol/keys";
import { openBytes } from "../../protocol/stream";

const root: Root = { secret: new Uint8Array(32).fill(4), generation: 1 };
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "sealflow-dataset-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const plain = (content: string | Uint8Array): string => {
  const file = path.join(folder, "plain");
  writeFileSync(file, content);
  return file;
};
const out = () => path.join(folder, "out", "sealed");
const options = (content: string | Uint8Array) =>
  ({ id: "mails", path: plain(content), format: "jsonl", root, out: out() }) as const;

test.each([0, 1, 1048520, 1048521, 3_000_000])(
  "a dataset of %i bytes opens with its own key and place only",
  async (size) => {
    const content = Uint8Array.from({ length: size }, (_, i) => i % 251);
    const sealed = await sealDataset(options(content));
    const bytes = readFileSync(out());
    expect(sealed).toEqual({
      contentDigest: buffer(hmacSha256(datasetDigestKey(root), content)).toString("hex"),
      digest: sha256hex(bytes),
      size: bytes.length,
    });
    const key = datasetKey(datasetRoot(root, "mails"), "mails", sealed.contentDigest);
    const opened = openBytes(key, datasetAssociatedData("mails", sealed.contentDigest, "jsonl"), bytes);
    expect(Buffer.compare(opened, content)).toBe(0);
    const elsewhere = datasetAssociatedData("mails", sealed.contentDigest, "csv");
    expect(() => openBytes(key, elsewhere, bytes)).toThrow(expect.objectContaining({ code: "STREAM_AUTH" }));
  },
);

test("the same content gives the same object; another root, generation, id or content gives another one", async () => {
  const seal = async (changes: object, content = "a\n") => {
    const sealed = await sealDataset({ ...options(content), ...changes });
    return { ...sealed, head: readFileSync(out()).subarray(0, 40).toString("hex") };
  };
  const first = await seal({});
  expect(await seal({})).toEqual(first);
  const others = [
    await seal({ root: { ...root, generation: 2 } }),
    await seal({ root: { ...root, secret: new Uint8Array(32) } }),
    await seal({ id: "other" }),
  ];
  expect(new Set([first, ...others].map((s) => s.digest)).size).toBe(4);
  // Key, salt and prefix follow the content: never two contents under one key and nonce.
  const changed = await seal({}, "b\n");
  expect(changed.head).not.toBe(first.head);
  expect(changed.contentDigest).not.toBe(first.contentDigest);
});

test("its plain digest is that of the file, also behind a link", async () => {
  const file = plain("a\n");
  symlinkSync(file, path.join(folder, "link"));
  expect(await digestDataset(file)).toBe(sha256hex("a\n"));
  expect(await digestDataset(path.join(folder, "link"))).toBe(sha256hex("a\n"));
});

test("holds no content and no plain digest", async () => {
  const planted = "planted-dataset-91f2";
  await sealDataset(options(planted.repeat(1000)));
  const sealed = readFileSync(out());
  expect(sealed.includes(planted)).toBe(false);
  expect(statSync(out()).mode & 0o077).toBe(0);
});

test("a file that changes between the passes is refused, and nothing is written", async () => {
  const content = Buffer.alloc(40 * 1024 * 1024, 1);
  const given = options(content);
  const onProgress = (line: string) => {
    if (!line.startsWith("sealing")) return;
    const fd = openSync(given.path, "r+");
    ftruncateSync(fd, content.length);
    closeSync(fd);
    writeFileSync(given.path, Buffer.alloc(content.length, 2));
  };
  await expect(sealDataset({ ...given, onProgress })).rejects.toMatchObject({ code: "DATASET_CHANGED" });
  expect(readdirSync(path.dirname(out()))).toEqual([]);
});

test("an abort ends it and leaves nothing", async () => {
  const signal = AbortSignal.abort(new Error("enough"));
  await expect(sealDataset({ ...options("a"), signal })).rejects.toThrow("enough");
  expect(readdirSync(folder)).toEqual(["plain"]);
});

test.each([
  ["a missing file", "none", "SOURCE_MISSING"],
  ["a folder", ".", "SOURCE_MISSING"],
])("%s is refused by name", async (_what, name, code) => {
  const file = path.join(folder, name);
  const expected = { code, message: expect.stringContaining(file) };
  await expect(digestDataset(file)).rejects.toMatchObject(expected);
  await expect(sealDataset({ id: "a", path: file, format: "csv", root, out: out() })).rejects.toMatchObject(expected);
});

test("an id that cannot be part of a key is refused", async () => {
  await expect(sealDataset({ ...options("a"), id: "a|b" })).rejects.toMatchObject({ code: "DATASET_ID" });
});

const disk = mkdtempSync(path.join(tmpdir(), "sealflow-disk-"));
const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]).status === 0;
afterAll(() => {
  if (mounted) spawnSync("umount", [disk]);
  rmSync(disk, { recursive: true });
});

// Mounting needs privileges.
(mounted ? test : test.skip)("a full disk is named, and nothing half written stays on it", async () => {
  const given = { ...options(Buffer.alloc(3_000_000)), out: path.join(disk, "sealed") };
  await expect(sealDataset(given)).rejects.toMatchObject({ code: "DISK_FULL", message: expect.stringContaining(disk) });
  expect(readdirSync(disk)).toEqual([]);
});

test("a large file takes little memory", async () => {
  const file = plain("");
  const size = 160 * 1024 * 1024;
  const fd = openSync(file, "r+");
  ftruncateSync(fd, size);
  closeSync(fd);
  let most = 0;
  const before = process.memoryUsage().rss;
  const onProgress = () => {
    most = Math.max(most, process.memoryUsage().rss - before);
  };
  const sealed = await sealDataset({ id: "a", path: file, format: "bytes", root, out: out(), onProgress });
  expect(sealed.size).toBeGreaterThan(size);
  expect(most).toBeLessThan(100 * 1024 * 1024);
  expect(createHash("sha256").update(readFileSync(out())).digest("hex")).toBe(sealed.digest);
});
