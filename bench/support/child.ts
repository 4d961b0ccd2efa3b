/** Programs of a bench: bundled from their sources and run in a process of their own, whose memory can be measured. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The checkout: benches run from dist/bench. */
export const ROOT = join(__dirname, "..", "..", "..");

export interface Program {
  /** Runs with words that the program gets as its arguments. @returns what it printed, as JSON. */
  run<T>(...args: string[]): Promise<T>;
  /** The bundle, for programs that are talked to while they run. */
  readonly file: string;
  remove(): void;
}

/** @param entry TypeScript, from the checkout. Only `external` packages stay outside the bundle. */
export function program(entry: string, external: string[] = []): Program {
  const esbuild = require("esbuild") as typeof import("esbuild");
  const dir = mkdtempSync(join(tmpdir(), "sf-bench-"));
  const file = join(dir, "program.js");
  esbuild.buildSync({
    absWorkingDir: ROOT,
    entryPoints: [entry],
    outfile: file,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "cjs",
    external,
    logLevel: "error",
  });
  return runnable(file, () => rmSync(dir, { recursive: true, force: true }));
}

/** As it was built. @param entry TypeScript, from the checkout. */
export const compiled = (entry: string): Program =>
  runnable(join(ROOT, "dist", entry.replace(/\.ts$/, ".js")), () => undefined);

function runnable(file: string, remove: () => void): Program {
  return {
    file,
    remove,
    run: (...args) =>
      new Promise((resolve, reject) => {
        const env = { ...process.env, NODE_PATH: join(ROOT, "node_modules") };
        execFile(process.execPath, [file, ...args], { env, maxBuffer: 1e8 }, (error, stdout) =>
          error ? reject(error) : resolve(JSON.parse(stdout)),
        );
      }),
  };
}
