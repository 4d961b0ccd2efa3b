/** Puts the layer together from its inputs, each checked against the lock. */
import { createWriteStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join, posix } from "node:path";
import { pipeline } from "node:stream/promises";
import { jcsDigest } from "../../protocol/canonical";
import { sha256hex } from "../../protocol/crypto";
import { type TarEntry, tar } from "../oci";
import { type FetchedPackage, type FetchOptions, fetchPackages } from "./debian";
import { trimElf } from "./elf";
import { RunnerLayerError } from "./errors";
import type { Inputs } from "./inputs";
import type { Assembled } from "./layer-cache";

export interface AssembleOptions extends Omit<FetchOptions, "work"> {
  readonly inputs: Inputs;
  /** The bundled runner. */
  readonly runner: Uint8Array;
}

const SUFFIX = "-unpinned";
export const isUnpinned = (version: string): boolean => version.endsWith(SUFFIX);

/** @param folder gets the tar, and a scratch folder `work`. @throws RunnerLayerError */
export async function assemble(folder: string, { inputs, runner, ...fetch }: AssembleOptions): Promise<Assembled> {
  const node = await readNode(inputs);
  const packages = await fetchPackages(inputs.debian, { ...fetch, work: join(folder, "work") });
  fetch.onProgress("writing the runner layer");
  const path = join(folder, "layer.tar");
  const entries = layerEntries([
    { path: inputs.node.to, bytes: trimElf(node), executable: true },
    { path: "runner.js", bytes: runner, executable: false },
    ...packages.flatMap(({ files }) => [...files].map(([to, bytes]) => ({ path: to, bytes, executable: true }))),
  ]);
  await pipeline(tar(entries), createWriteStream(path, { mode: 0o444 }));
  return {
    path,
    version: versionOf(inputs, runner, packages),
    packages: packages.map(({ name, version, sha256 }) => ({ name, version, sha256 })),
  };
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

/** Of the layer with exactly the pinned inputs. */
export const pinnedVersion = (inputs: Inputs, runner: Uint8Array): string =>
  versionOf(inputs, runner, inputs.debian.packages);

function versionOf(
  { node, debian }: Inputs,
  runner: Uint8Array,
  packages: readonly Pick<FetchedPackage, "sha256">[],
): string {
  const hashes = packages.map(({ sha256 }) => sha256);
  const id = jcsDigest({ node: node.sha256, packages: hashes, runner: sha256hex(runner) }).slice(0, 16);
  const asPinned = packages.every(({ sha256 }, i) => sha256 === debian.packages[i]?.sha256);
  return `${node.version}-${id}${asPinned ? "" : SUFFIX}`;
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
  const found = sha256hex(bytes);
  if (found === node.sha256) return bytes;
  throw new RunnerLayerError(
    "HASH",
    `runner layer: ${path} is not Node ${node.version} as locked (SHA-256 ${found}, wanted ${node.sha256}); install ${node.name}@${node.version} again`,
  );
}
