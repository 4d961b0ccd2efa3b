/**
 * The runner layer: everything a guest needs to run the runner in an image that has nothing, as one plain tar below
 * `sealflow/`. Public, the same bytes on every machine, kept in the cache under a key of its inputs.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { jcsDigest } from "../../protocol/canonical";
import { sha256hex } from "../../protocol/crypto";
import { UNPINNED } from "./apt";
import { type AssembleOptions, assemble, isUnpinned, pinnedVersion } from "./assemble";
import type { Contents } from "./contents";
import { RunnerLayerError } from "./errors";
import { type Inputs, type Lock, lock as pinned } from "./inputs";
import { LayerCache, type RunnerLayer } from "./layer-cache";

export interface RunnerLayerOptions {
  /** Kept between projects; the layer lies in `runner-layer/<key>/` in it. */
  readonly cacheDir: string;
  /** The bundled runner. Default: the one of this package, dist/guest/runner.js. */
  readonly runnerJs?: string;
  /** Default `x64`. */
  readonly architecture?: string;
  readonly onProgress?: (message: string) => void;
  /** Why other package versions are taken where the pinned ones are not served. Default: SEALFLOW_RUNNER_LAYER_UNPINNED. */
  readonly unpinned?: string;
  /** Default: the process's own. Read: SEALFLOW_RUNNER_LAYER_UNPINNED, PATH. */
  readonly env?: NodeJS.ProcessEnv;
  /** Default: lock.json. */
  readonly lock?: Lock;
}

/** Of this process, by place and key: the file is hashed once. */
const making = new Map<string, Promise<RunnerLayer>>();

/**
 * Takes the layer from the cache or makes it (a few seconds; the first time also 4 MB of packages). Any number of callers
 * at once.
 * @throws RunnerLayerError
 */
export async function ensureRunnerLayer(options: RunnerLayerOptions): Promise<RunnerLayer> {
  const { cacheDir, runnerJs = bundledRunner(), architecture = "x64", env = process.env, lock = pinned() } = options;
  const inputs = lock.architectures[architecture];
  if (!inputs) {
    const known = Object.keys(lock.architectures).join(", ");
    throw new RunnerLayerError("ARCHITECTURE", `runner layer: no inputs for ${architecture}; there are: ${known}`);
  }
  const runner = await readFile(runnerJs).catch(() => {
    throw new RunnerLayerError("RUNNER_MISSING", `the runner ${runnerJs} does not exist; run \`node tools/build.js\``);
  });
  // What it holds follows from the inputs.
  const { contents: _, ...from } = inputs;
  const key = jcsDigest({ v: lock.version, architecture, inputs: from, runner: sha256hex(runner) }).slice(0, 32);
  const unpinned = (options.unpinned ?? env[UNPINNED])?.trim() || undefined;
  const onProgress = options.onProgress ?? (() => {});

  const name = join(cacheDir, unpinned === undefined ? key : unpinnedKey(key));
  const earlier = making.get(name);
  if (earlier) {
    const layer = await earlier;
    if (existsSync(layer.path)) return layer;
  }
  const current = making.get(name);
  if (current && current !== earlier) return current; // started by another caller while this one waited
  const made = findOrMake(
    new LayerCache(cacheDir, onProgress, (version, of) => contentsOf(version, of === unpinnedKey(key), inputs, runner)),
    key,
    {
      inputs,
      runner,
      unpinned,
      onProgress,
      env,
    },
  );
  making.set(name, made);
  made.catch(() => making.delete(name));
  return made;
}

async function findOrMake(
  cache: LayerCache,
  key: string,
  options: Omit<AssembleOptions, "kept">,
): Promise<RunnerLayer> {
  const { unpinned, onProgress } = options;
  const found = (await cache.find(key)) ?? (unpinned === undefined ? undefined : await cache.find(unpinnedKey(key)));
  if (found) {
    if (isUnpinned(found.version)) onProgress(`warning: runner layer ${found.version} (${unpinned})`);
    return found;
  }
  const kept = join(cache.folder, "packages");
  return cache.fill(
    (folder) => assemble(folder, { ...options, kept }),
    // What is not pinned is kept too: otherwise every security update of Debian would change all identities.
    (version) => (isUnpinned(version) ? unpinnedKey(key) : key),
  );
}

/** Of packages that are not pinned nobody knows the files; of Node and the runner always. */
function contentsOf(
  version: string,
  unpinned: boolean,
  { node, contents, ...rest }: Inputs,
  runner: Uint8Array,
): Contents | undefined {
  if (isUnpinned(version) !== unpinned) return undefined;
  if (!unpinned && version !== pinnedVersion({ node, contents, ...rest }, runner)) return undefined;
  const files = Object.entries(contents).map(([file, sha256]): [string, string | undefined] => [
    file,
    unpinned && file !== node.to ? undefined : sha256,
  ]);
  return new Map([...files, ["runner.js", sha256hex(runner)]]);
}

const unpinnedKey = (key: string): string => `${key}-unpinned`;

/** Beside the compiled code, or in dist/ of a checkout whose sources run as they are. */
function bundledRunner(): string {
  const compiled = join(__dirname, "../../guest/runner.js");
  return existsSync(compiled) ? compiled : join(__dirname, "../../dist/guest/runner.js");
}
