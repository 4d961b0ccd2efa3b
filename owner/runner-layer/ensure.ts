/**
 * The runner layer: everything a guest needs to run the runner in an image that has nothing, as one plain tar below
 * `sealflow/`. Public, the same bytes on every machine, kept in the cache under a key of its inputs.
 */
import { createHash, randomBytes } from "node:crypto";
import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, posix } from "node:path";
import { pipeline } from "node:stream/promises";
import { jcs, jcsDigest } from "../../protocol/canonical";
import { type TarEntry, tar } from "../oci";
import { type FetchedPackage, fetchPackages, UNPINNED } from "./debian";
import { trimElf } from "./elf";
import { RunnerLayerError } from "./errors";
import { type Inputs, type Lock, lock as pinned } from "./inputs";

export interface RunnerLayerOptions {
  /** Kept between projects; the layer lies in `runner-layer/<key>/` in it. */
  readonly cacheDir: string;
  /** The bundled runner. Default: the one of this package, dist/guest/runner.js. */
  readonly runnerJs?: string;
  /** Default `x64`. */
  readonly architecture?: string;
  readonly onProgress?: (message: string) => void;
  /** Default: the process's own. Read: SEALFLOW_RUNNER_LAYER_UNPINNED, PATH. */
  readonly env?: NodeJS.ProcessEnv;
  /** Default: lock.json. */
  readonly lock?: Lock;
}

export interface RunnerLayer {
  /** A plain tar; never change it. */
  readonly path: string;
  /** SHA-256 of the tar, hex. */
  readonly digest: string;
  /** The same as `sha256:<hex>`, since the tar is not compressed. */
  readonly diffId: string;
  /** Bytes. */
  readonly size: number;
  /** `<Node version>-<16 hex digits of the inputs>`, with `-unpinned` when packages are not those of the lock. */
  readonly version: string;
}

const TAR = "layer.tar";
const FACTS = "layer.json";
const making = new Map<string, Promise<RunnerLayer>>();

/**
 * Takes the layer from the cache or makes it (about ten seconds, and 4 MB of packages). Any number of callers at once.
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
  const key = jcsDigest({ v: lock.version, architecture, inputs, runner: sha256(runner) }).slice(0, 32);
  const unpinned = env[UNPINNED]?.trim() || undefined;
  const job: Job = {
    // What is not pinned is kept, too: otherwise every security update of Debian would change all identities.
    folder: join(cacheDir, "runner-layer", unpinned === undefined ? key : `${key}-unpinned`),
    inputs,
    runner,
    unpinned,
    onProgress: options.onProgress ?? (() => {}),
    env,
  };
  const running = making.get(job.folder);
  if (running) return running;
  const made = fromCache(job).then((layer) => layer ?? make(job));
  making.set(job.folder, made);
  made.catch(() => making.delete(job.folder));
  return made;
}

/** Beside the compiled code, or in dist/ of a checkout whose sources run as they are. */
function bundledRunner(): string {
  const compiled = join(__dirname, "../../guest/runner.js");
  return existsSync(compiled) ? compiled : join(__dirname, "../../dist/guest/runner.js");
}

interface Job {
  readonly folder: string;
  readonly inputs: Inputs;
  readonly runner: Buffer;
  readonly unpinned: string | undefined;
  readonly onProgress: (message: string) => void;
  readonly env: NodeJS.ProcessEnv;
}

type Facts = Pick<RunnerLayer, "digest" | "size" | "version">;

/** What is there, if its bytes are the recorded ones. */
async function fromCache({ folder, onProgress, unpinned }: Job): Promise<RunnerLayer | undefined> {
  const text = await readFile(join(folder, FACTS), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const path = join(folder, TAR);
  try {
    const facts = JSON.parse(text) as Facts;
    const found = await measure(path);
    if (found.digest === facts.digest) {
      if (facts.version.endsWith("-unpinned")) onProgress(`warning: runner layer ${facts.version} (${unpinned})`);
      const { digest, size, version } = facts;
      return { path, digest, diffId: `sha256:${digest}`, size, version };
    }
  } catch {
    // Half a file or none: made again below.
  }
  onProgress(`the runner layer in ${folder} is damaged; making it again`);
  await rm(folder, { recursive: true, force: true });
  return undefined;
}

async function make(job: Job): Promise<RunnerLayer> {
  const parent = dirname(job.folder);
  await mkdir(parent, { recursive: true });
  const work = `${job.folder}.${process.pid}.${randomBytes(4).toString("hex")}`;
  await mkdir(join(work, "work"), { recursive: true });
  try {
    const facts = await assemble(job, work);
    await rm(join(work, "work"), { recursive: true, force: true });
    // Whoever is first wins; all make the same bytes, or (unpinned) take the first one's.
    await rename(work, job.folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
    job.onProgress(`runner layer ${facts.version}, ${Math.round(facts.size / 1e6)} MB`);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  const layer = await fromCache(job);
  if (!layer) throw new RunnerLayerError("HASH", `the runner layer in ${job.folder} does not last; check the disk`);
  return layer;
}

async function assemble({ inputs, runner, unpinned, onProgress, env }: Job, folder: string): Promise<Facts> {
  const node = await readNode(inputs);
  const packages = await fetchPackages(inputs.debian, { work: join(folder, "work"), unpinned, onProgress, env });
  onProgress("writing the runner layer");
  const path = join(folder, TAR);
  const entries = layerEntries([
    { path: inputs.node.to, bytes: trimElf(node), executable: true },
    { path: "runner.js", bytes: runner, executable: false },
    ...packages.flatMap(({ files }) => [...files].map(([to, bytes]) => ({ path: to, bytes, executable: true }))),
  ]);
  await pipeline(tar(entries), createWriteStream(path, { mode: 0o444 }));
  const facts = { ...(await measure(path)), version: versionOf(inputs, runner, packages) };
  const contents = packages.map(({ name, version, sha256 }) => ({ name, version, sha256 }));
  await writeFile(join(folder, FACTS), `${jcs({ ...facts, packages: contents })}\n`);
  return facts;
}

interface LayerFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly executable: boolean;
}

/** Folders first, then files, each sorted. */
function layerEntries(files: readonly LayerFile[]): TarEntry[] {
  const folders = new Set(files.map(({ path }) => posix.join("sealflow", posix.dirname(path))));
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
  return [
    ...[...folders].sort().map((name): TarEntry => ({ type: "directory", name })),
    ...sorted.map(
      ({ path, bytes, executable }): TarEntry => ({
        ...{ type: "file", name: `sealflow/${path}`, executable },
        ...{ size: bytes.length, content: () => [bytes] },
      }),
    ),
  ];
}

function versionOf({ node, debian }: Inputs, runner: Buffer, packages: readonly FetchedPackage[]): string {
  const hashes = packages.map(({ sha256 }) => sha256);
  const id = jcsDigest({ node: node.sha256, packages: hashes, runner: sha256(runner) }).slice(0, 16);
  const asPinned = packages.every(({ sha256 }, i) => sha256 === debian.packages[i]?.sha256);
  return `${node.version}-${id}${asPinned ? "" : "-unpinned"}`;
}

/** The pinned Node binary; never another one, not even where packages are unpinned. */
async function readNode({ node }: Inputs): Promise<Buffer> {
  let path: string;
  try {
    path = join(dirname(require.resolve(`${node.name}/package.json`)), node.from);
  } catch {
    throw new RunnerLayerError(
      "NODE_MISSING",
      `runner layer: the package ${node.name} is not installed; run \`npm install --no-save --force ${node.name}@${node.version}\``,
    );
  }
  const bytes = await readFile(path);
  if (sha256(bytes) === node.sha256) return bytes;
  throw new RunnerLayerError(
    "HASH",
    `runner layer: ${path} is not Node ${node.version} as locked (SHA-256 ${sha256(bytes)}, wanted ${node.sha256}); install ${node.name}@${node.version} again`,
  );
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

async function measure(path: string): Promise<{ digest: string; size: number }> {
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    hash.update(chunk as Buffer);
    size += (chunk as Buffer).length;
  }
  return { digest: hash.digest("hex"), size };
}
