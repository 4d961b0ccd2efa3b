import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cachedEngine, cacheRoot, engineFolder, fillFolder, lockFolder, makeCache } from "./cache";
import { buildEngine } from "./go-build";
import { installLaunchers } from "./launchers";
import { installOfficial } from "./official";
import { requireOwn } from "./own-folder";
import { engineOnPath, engineVersion } from "./path-engine";
import { type Engine, EngineError, type EngineProgress, type EngineSource, type OnProgress } from "./types";
import { ENGINE_VERSION, MINIMUM_ENGINE_VERSION, MINIMUM_GO_VERSION } from "./versions";

export interface EnsureEngineOptions {
  onProgress?: OnProgress;
  /** Environment to search by: PATH, SEALFLOW_CACHE, SEALFLOW_ENGINE, XDG_CACHE_HOME. Default: this process's. */
  env?: NodeJS.ProcessEnv;
  /** How an engine is made when neither PATH nor the cache has one, in this order. For tests. */
  makers?: Maker[];
}

/** Makes an engine in `<root>/bin`; answers why it could not. */
export interface Maker {
  source: EngineSource;
  label: string;
  make: (
    root: string,
    report: (phase: EngineProgress["phase"], message: string) => void,
  ) => Promise<string | undefined>;
}

const MAKERS: Maker[] = [
  { source: "official", label: "official installation", make: (root) => installOfficial(root) },
  { source: "built", label: "build with Go", make: buildEngine },
];

/**
 * Finds or makes the Pulumi engine: PATH, cache, official installation, build from pinned Go modules.
 * @throws EngineError ENGINE_UNAVAILABLE with the reason of every source and what to install; CACHE_SHARED
 */
export async function ensureEngine(options: EnsureEngineOptions = {}): Promise<Engine> {
  const env = options.env ?? process.env;
  const started = Date.now();
  const report = (phase: EngineProgress["phase"], message: string) =>
    options.onProgress?.({ phase, message, elapsed: (Date.now() - started) / 1000 });
  const reasons: string[] = [];
  const skip = (source: string, why: string) => {
    reasons.push(`${source}: ${why}`);
    report("search", `${source} skipped: ${why}`);
  };
  const cache = cacheRoot(env);

  makeCache(cache);
  for (const below of ["language-host", "engine"]) requireOwn(join(cache, below), "the cache");

  const onPath = await engineOnPath(env.PATH, () => installLaunchers(join(cache, "language-host"), process.execPath));
  if (onPath !== undefined && !("why" in onPath)) return onPath;
  if (onPath !== undefined) skip("pulumi on PATH", onPath.why);
  else reasons.push("pulumi on PATH: none");

  const folder = engineFolder(cache);
  requireOwn(join(folder, "bin", "pulumi"), "the engine");
  const pinned = env.SEALFLOW_ENGINE === "built";
  const cached = await fromCache(folder, pinned);
  if (cached !== undefined && !("why" in cached)) return cached;
  if (cached !== undefined) skip("cache", cached.why);

  let waiting = false;
  const unlock = await lockFolder(folder, (pid) => {
    if (!waiting) report("wait", `process ${pid} is making the engine; waiting for it`);
    waiting = true;
  });
  try {
    const meanwhile = await fromCache(folder, pinned);
    if (meanwhile !== undefined && !("why" in meanwhile)) return meanwhile;
    for (const maker of options.makers ?? MAKERS) {
      if (pinned && maker.source === "official") {
        skip(maker.label, "only TLS vouches for it, and SEALFLOW_ENGINE=built wants the pinned modules");
        continue;
      }
      report(maker.source === "official" ? "official" : "install", `Pulumi ${ENGINE_VERSION}: ${maker.label}`);
      const why = await makeEngine(folder, maker, report);
      if (why === undefined) {
        const made = await fromCache(folder, pinned);
        if (made !== undefined && !("why" in made)) return { ...made, source: maker.source };
      }
      skip(maker.label, why ?? "it does not run here");
    }
  } finally {
    unlock();
  }
  throw new EngineError("ENGINE_UNAVAILABLE", unavailable(reasons));
}

/** The engine of the cache with its launchers brought up to date. @param pinned only one that was built here. */
async function fromCache(folder: string, pinned: boolean): Promise<Engine | { why: string } | undefined> {
  const pulumi = cachedEngine(folder);
  if (pulumi === undefined) return undefined;
  if (pinned && madeBy(folder) !== "built") return { why: `${pulumi}: is of the official installation` };
  const answer = await engineVersion(pulumi);
  if ("why" in answer) return { why: `${pulumi}: ${answer.why}` };
  if (madeBy(folder) === "built") installLaunchers(folder, process.execPath);
  return { root: folder, pulumi, hosts: undefined, version: answer.version, source: "cache" };
}

async function makeEngine(
  folder: string,
  maker: Maker,
  report: (phase: EngineProgress["phase"], message: string) => void,
): Promise<string | undefined> {
  let why: string | undefined;
  const made = new Error("not made");
  try {
    await fillFolder(folder, async (fresh) => {
      why = await maker.make(fresh, report);
      if (why === undefined && cachedEngine(fresh) === undefined) why = "it left no bin/pulumi";
      if (why !== undefined) throw made;
      writeFileSync(
        join(fresh, "engine.json"),
        `${JSON.stringify({ version: ENGINE_VERSION, source: maker.source })}\n`,
      );
      report("install", "moving the engine into the cache");
    });
  } catch (error) {
    if (error !== made) return (error as Error).message;
  }
  return why;
}

function madeBy(folder: string): string {
  try {
    return JSON.parse(readFileSync(join(folder, "engine.json"), "utf8")).source;
  } catch {
    return "built";
  }
}

function unavailable(reasons: string[]): string {
  return [
    "no Pulumi engine is available.",
    ...reasons.map((reason) => `  - ${reason}`),
    "Do one of these, then try again:",
    `  - install Pulumi ${MINIMUM_ENGINE_VERSION} or newer (https://www.pulumi.com/docs/install/) and put it on PATH`,
    `  - install Go ${MINIMUM_GO_VERSION} or newer (https://go.dev/doc/install); Sealflow then builds the engine from pinned modules`,
  ].join("\n");
}
