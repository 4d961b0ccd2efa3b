import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { extract } from "tar-stream";
import { type TarEntry, tar, tarFile } from "../../../owner/oci";
import { concat, utf8 } from "../../../protocol/bytes";
import { sha256hex } from "../../../protocol/crypto";
import { readHeader } from "../../../protocol/tar";
import { unpack } from "../image/support";

const file = (name: string, content: string, executable = false): TarEntry => {
  const bytes = utf8(content);
  return { type: "file", name, executable, size: bytes.length, content: () => [bytes] };
};

async function bytesOf(entries: readonly TarEntry[]): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of tar(entries)) chunks.push(chunk);
  return Buffer.from(concat(...chunks));
}

const long = `${"d".repeat(120)}/${"f".repeat(130)}`;
const sample: TarEntry[] = [
  { type: "directory", name: "app" },
  file("app/main.js", "console.log(1)\n"),
  file("app/run", "#!/bin/sh\n", true),
  file("app/empty", ""),
  file("app/full", "x".repeat(512)),
  { type: "symlink", name: "app/link", target: "main.js" },
  { type: "symlink", name: "app/far", target: `${"../".repeat(40)}x` },
  file("app/naïve \u{1f512}.txt", "é"),
  file(`app/${long}`, "deep"),
  { type: "directory", name: `app/${"g".repeat(99)}` },
];

test("its bytes are pinned: they are inside every digest of a sealed image", async () => {
  expect(sha256hex(await bytesOf(sample))).toBe("6b77201834e5550fa1b854c023e36328d794c4786e21a7c62cc961cee05d5e2f");
});

test("another implementation reads back names, contents, links and modes", async () => {
  const members = await unpack(await bytesOf(sample));
  expect([...members.keys()]).toEqual(sample.map((e) => (e.type === "directory" ? `${e.name}/` : e.name)));
  for (const { header } of members.values()) expect(header).toMatchObject({ uid: 0, gid: 0, mtime: new Date(0) });
  expect(members.get("app/run")?.header.mode).toBe(0o755);
  expect(members.get("app/main.js")?.header.mode).toBe(0o644);
  expect(members.get(`app/${long}`)?.content.toString()).toBe("deep");
  expect(members.get("app/far")?.header.linkname).toBe(`${"../".repeat(40)}x`);
});

test("the system's tar unpacks it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "sealflow-tar-"));
  try {
    writeFileSync(join(folder, "x.tar"), await bytesOf(sample));
    execFileSync("tar", ["-xf", "x.tar"], { cwd: folder, stdio: "pipe" });
    expect(readFileSync(join(folder, `app/${long}`), "utf8")).toBe("deep");
    expect(readFileSync(join(folder, "app/naïve \u{1f512}.txt"), "utf8")).toBe("é");
    expect(readlinkSync(join(folder, "app/link"))).toBe("main.js");
    expect(statSync(join(folder, "app/run")).mode & 0o777).toBe(0o755);
    expect(readdirSync(join(folder, "app"))).toHaveLength(9);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a pax record counts its own length right at every change of digits", async () => {
  for (let length = 85; length < 115; length++) {
    const name = `é${"n".repeat(length)}`;
    expect([...(await unpack(await bytesOf([file(name, "x")]))).keys()]).toEqual([name]);
  }
});

test("a file beyond eight gibibytes has its size in base 256, which the system's tar and another implementation read", async () => {
  const size = 8 ** 11;
  const entry: TarEntry = { type: "file", name: "big", executable: false, size, content: () => [] };
  const first = await tar([entry]).next();
  const header = Buffer.from(first.value as Uint8Array);
  expect(header).toHaveLength(512);
  expect(readHeader(header).size).toBe(size);
  const reader = extract({});
  const read = new Promise((resolve) => reader.on("entry", ({ size: found }) => resolve(found)));
  reader.write(header);
  expect(await read).toBe(size);
  const listed = execFileSync("sh", ["-c", "tar -tv 2>/dev/null || true"], { input: header, encoding: "utf8" });
  expect(listed).toContain(String(size));
});

test("content of another size than announced is an error, not a broken archive", async () => {
  const entry: TarEntry = { type: "file", name: "a", executable: false, size: 2, content: () => [utf8("abc")] };
  await expect(bytesOf([entry])).rejects.toThrow("3 bytes, said 2");
});

test("entries can be put before an archive that exists", async () => {
  const members = await unpack(Buffer.concat([tarFile(".first", utf8("1")), await bytesOf([file("second", "2")])]));
  expect([...members.keys()]).toEqual([".first", "second"]);
});
