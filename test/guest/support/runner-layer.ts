/** The real runner layer, from the cache of this machine, and unpacked for tests that need no image around it. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { ensureRunnerLayer, type RunnerLayer } from "../../../owner/runner-layer";

const ROOT = join(__dirname, "..", "..", "..");
const { build } = require(join(ROOT, "tools", "build.js")) as { build: (options?: object) => unknown };
const CACHE = join(ROOT, "node_modules", ".cache", "test-guest");

/** Why guests cannot be tested here; undefined when they can. */
export const cannotRunGuests = (): string | undefined =>
  process.platform === "linux" && process.arch === "x64" ? undefined : "needs Linux on x64";

/** Compiles dist/, which guests run from, and assembles the layer when it changed. */
export async function testRunnerLayer(): Promise<RunnerLayer> {
  build({});
  return ensureRunnerLayer({ cacheDir: CACHE });
}

/** The layer without bubblewrap: guests with it cannot isolate programs. */
export async function layerWithoutSandbox(folder: string): Promise<{ path: string; digest: string; size: number }> {
  const path = join(folder, "without-sandbox.tar");
  const unpacked = await unpackedRunnerLayer();
  execFileSync("tar", ["-cf", path, "--exclude=sealflow/bin/bwrap", "-C", unpacked, "sealflow"]);
  const digest = createHash("sha256").update(readFileSync(path)).digest("hex");
  return { path, digest, size: statSync(path).size };
}

/** Folder with `sealflow/` in it. */
export async function unpackedRunnerLayer(): Promise<string> {
  const layer = await testRunnerLayer();
  const folder = join(CACHE, "unpacked", layer.digest);
  if (existsSync(folder)) return folder;
  rmSync(join(CACHE, "unpacked"), { recursive: true, force: true });
  const temporary = `${folder}.${process.pid}`;
  mkdirSync(temporary, { recursive: true });
  execFileSync("tar", ["-xf", layer.path, "-C", temporary]);
  renameSync(temporary, folder);
  return folder;
}
