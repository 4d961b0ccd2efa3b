/**
 * Programs from npm that only tests run, too large for every clone to have: in a folder of their own of the user's cache,
 * the version and all below it as npm resolves them, without install scripts.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheRoot } from "../../cli/engine/cache";

const PATIENCE_MS = 600_000;

/** Folder of the package, or why there is none. */
export type NpmTool = { readonly folder: string } | { readonly missing: string };

const found = new Map<string, NpmTool>();

/** Installed once; later calls and processes find it. @param version exact. */
export function npmTool(name: string, version: string): NpmTool {
  const known = found.get(name) ?? install(name, version);
  found.set(name, known);
  return known;
}

function install(name: string, version: string): NpmTool {
  const home = join(cacheRoot(), "test", `${name}-${version}`);
  const folder = join(home, "node_modules", name);
  if (existsSync(join(home, "complete"))) return { folder };
  try {
    rmSync(home, { recursive: true, force: true });
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, "package.json"), '{"private": true}\n');
    const options = ["--save-exact", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    execFileSync("npm", ["install", ...options, `${name}@${version}`], {
      cwd: home,
      stdio: "pipe",
      timeout: PATIENCE_MS,
    });
    // Last: a folder without it was left half done.
    writeFileSync(join(home, "complete"), "");
    return { folder };
  } catch (error) {
    const { stderr, message } = error as { stderr?: Buffer; message: string };
    const why = stderr?.toString().trim().split("\n").at(-1) || message;
    return { missing: `${name}@${version} cannot be installed from npm: ${why}` };
  }
}
