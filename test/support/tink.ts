/**
 * Google Tink for Python in a virtual environment of its own, kept in the user's cache folder.
 * Only tests and benchmarks use it: a second implementation of the format of our objects.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheRoot } from "../../cli/engine/cache";

const VERSION = "1.14.1";
const PATIENCE_MS = 240_000;

/** `python3` with Tink, or why there is none. */
export type TinkPython = { readonly python: string } | { readonly missing: string };

let found: TinkPython | undefined;

/** Made once; later calls and processes find it. Takes up to some minutes the first time. */
export function tinkPython(): TinkPython {
  found ??= find();
  return found;
}

function find(): TinkPython {
  const home = join(cacheRoot(), "test", `tink-${VERSION}`);
  const python = join(home, "bin", "python");
  if (existsSync(join(home, "complete"))) return { python };
  if (spawnSync("python3", ["-c", "import venv, ensurepip"]).status !== 0) {
    return { missing: "no python3 with venv on this machine" };
  }
  try {
    mkdirSync(dirname(home), { recursive: true });
    rmSync(home, { recursive: true, force: true });
    const options = { stdio: "pipe", timeout: PATIENCE_MS } as const;
    execFileSync("python3", ["-m", "venv", home], options);
    const wheels = ["--only-binary=:all:", "--disable-pip-version-check", "--quiet"];
    execFileSync(python, ["-m", "pip", "install", ...wheels, `tink==${VERSION}`], options);
    execFileSync(python, ["-c", "import tink.streaming_aead"], options);
    // Last: a folder without it was left half done.
    writeFileSync(`${home}.complete`, "");
    renameSync(`${home}.complete`, join(home, "complete"));
    return { python };
  } catch (error) {
    const { stderr, message } = error as { stderr?: Buffer; message: string };
    const why = stderr?.toString().trim().split("\n").at(-1) || message;
    return { missing: `tink ${VERSION} cannot be installed from PyPI: ${why}` };
  }
}
