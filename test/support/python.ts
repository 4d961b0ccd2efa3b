/**
 * Packages from PyPI in virtual environments of their own, kept in the user's cache folder: second implementations and
 * servers that tests run against. Nothing but tests and benchmarks uses them.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheRoot } from "../../cli/engine/cache";

const PATIENCE_MS = 240_000;

/** Folder of programs of the environment, or why there is none. */
export type PythonEnvironment = { readonly python: string; readonly bin: string } | { readonly missing: string };

const found = new Map<string, PythonEnvironment>();

/**
 * Made once; later calls and processes find it. Takes up to some minutes the first time.
 * @param requirement exact, as pip takes it. @param module that must be there then.
 */
export function pythonWith(requirement: string, module: string): PythonEnvironment {
  const known = found.get(requirement) ?? make(requirement, module);
  found.set(requirement, known);
  return known;
}

function make(requirement: string, module: string): PythonEnvironment {
  const name = requirement.replace("==", "-").replace(/\[[^\]]*\]/, "");
  const home = join(cacheRoot(), "test", name);
  const bin = join(home, "bin");
  const python = join(bin, "python");
  if (existsSync(join(home, "complete"))) return { python, bin };
  if (spawnSync("python3", ["-c", "import venv, ensurepip"]).status !== 0) {
    return { missing: "no python3 with venv on this machine; apt-get install python3-venv" };
  }
  try {
    mkdirSync(dirname(home), { recursive: true });
    rmSync(home, { recursive: true, force: true });
    const options = { stdio: "pipe", timeout: PATIENCE_MS } as const;
    execFileSync("python3", ["-m", "venv", home], options);
    const wheels = ["--only-binary=:all:", "--disable-pip-version-check", "--quiet"];
    execFileSync(python, ["-m", "pip", "install", ...wheels, requirement], options);
    execFileSync(python, ["-c", `import ${module}`], options);
    // Last: a folder without it was left half done.
    writeFileSync(`${home}.complete`, "");
    renameSync(`${home}.complete`, join(home, "complete"));
    return { python, bin };
  } catch (error) {
    const { stderr, message } = error as { stderr?: Buffer; message: string };
    const why = stderr?.toString().trim().split("\n").at(-1) || message;
    return { missing: `${requirement} cannot be installed from PyPI: ${why}` };
  }
}
