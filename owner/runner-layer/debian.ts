/**
 * The pinned Debian packages: from the cache, where they are kept under their hashes, else from apt. So a new runner
 * needs no network, and no apt that still serves the pinned versions.
 */
import { mkdir, readFile, realpath } from "node:fs/promises";
import { join, sep } from "node:path";
import { sha256hex } from "../../protocol/crypto";
import { writeAtomic } from "../oci";
import { Apt, type AptOptions, UNPINNED } from "./apt";
import { RunnerLayerError } from "./errors";
import type { DebianInputs, DebianPackage } from "./inputs";

export interface FetchOptions extends AptOptions {
  /** Folder that keeps the packages, each as `<SHA-256>.deb`. */
  readonly kept: string;
  /** Why other versions than the pinned ones are taken where those are not served; absent: they are not. */
  readonly unpinned?: string | undefined;
  readonly onProgress: (message: string) => void;
}

export interface FetchedPackage {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
  /** Path in the layer → bytes. */
  readonly files: ReadonlyMap<string, Buffer>;
}

/** @throws RunnerLayerError APT_MISSING, APT_VERSION, APT_FAILED, HASH */
export async function fetchPackages(inputs: DebianInputs, options: FetchOptions): Promise<FetchedPackage[]> {
  const apt = new Apt(inputs, options);
  const packages = (await keptPackages(inputs, options.kept)) ?? (await downloadPackages(apt, inputs, options));
  await apt.check(["dpkg-deb"]);
  const fetched: FetchedPackage[] = [];
  for (const one of packages) fetched.push({ ...one, files: await filesOf(apt, one, options.kept) });
  return fetched;
}

const keptFile = (kept: string, sha256: string): string => join(kept, `${sha256}.deb`);

/** The pinned packages if all are there with the right bytes. */
async function keptPackages({ packages }: DebianInputs, kept: string): Promise<readonly DebianPackage[] | undefined> {
  for (const { sha256 } of packages) {
    const bytes = await readFile(keptFile(kept, sha256)).catch(() => undefined);
    if (!bytes || sha256hex(bytes) !== sha256) return undefined;
  }
  return packages;
}

async function downloadPackages(
  apt: Apt,
  inputs: DebianInputs,
  options: FetchOptions,
): Promise<readonly DebianPackage[]> {
  await apt.check(["apt-get", "apt-cache", "dpkg-deb"]);
  options.onProgress(`downloading ${inputs.packages.length} packages of ${inputs.release}`);
  const chosen = await download(apt, inputs, options);
  await mkdir(options.kept, { recursive: true });
  const result: DebianPackage[] = [];
  for (const [i, one] of chosen.entries()) {
    const bytes = await readFile(await apt.file(one.name));
    const sha256 = sha256hex(bytes);
    // Of another version the lock knows no hash; of the pinned version only the pinned bytes are ever taken.
    if (one.version === inputs.packages[i]?.version && sha256 !== one.sha256) {
      throw new RunnerLayerError(
        "HASH",
        `package ${one.name} ${one.version}: SHA-256 is ${sha256}, the lock says ${one.sha256}; do not use this apt source`,
      );
    }
    await writeAtomic(keptFile(options.kept, sha256), bytes);
    result.push({ ...one, sha256 });
  }
  return result;
}

/** @returns what was downloaded: the pinned versions, or with a reason those on offer */
async function download(apt: Apt, inputs: DebianInputs, options: FetchOptions): Promise<readonly DebianPackage[]> {
  if ((await apt.download(inputs.packages)) === undefined) return inputs.packages;
  options.onProgress("fetching package lists into a private folder");
  const updated = await apt.update();
  const failure = await apt.download(inputs.packages);
  if (failure === undefined) return inputs.packages;

  const offered = await Promise.all(inputs.packages.map(({ name }) => apt.offered(name)));
  const gone = inputs.packages.flatMap((pinned, i) => {
    const versions = offered[i] ?? [];
    return versions.includes(pinned.version) ? [] : [{ pinned, versions }];
  });
  if (gone.length === 0) {
    throw new RunnerLayerError("APT_FAILED", `apt-get could not download the runner's packages: ${failure}; try again`);
  }
  if (offered.every((versions) => versions.length === 0)) {
    throw new RunnerLayerError(
      "APT_FAILED",
      `apt-get knows none of the runner's packages (${updated ?? failure}); check network and apt sources, and run again`,
    );
  }
  const list = gone
    .map(
      ({ pinned: { name, version }, versions }) =>
        `${name}: wanted ${version}, offered ${versions.join(", ") || "none"}`,
    )
    .join("; ");
  const none = gone.filter(({ versions }) => versions.length === 0);
  if (options.unpinned === undefined || none.length > 0) throw versionError(inputs, list, none.length > 0);

  options.onProgress(`warning: runner layer with other packages than pinned (${options.unpinned}): ${list}`);
  const chosen = inputs.packages.map((pinned, i) => {
    const versions = offered[i] ?? [];
    return versions.includes(pinned.version) ? pinned : { ...pinned, version: versions[0] ?? pinned.version };
  });
  const second = await apt.download(chosen);
  if (second !== undefined) throw new RunnerLayerError("APT_FAILED", `apt-get download: ${second}; try again`);
  return chosen;
}

function versionError(inputs: DebianInputs, list: string, none: boolean): RunnerLayerError {
  const remedy = none
    ? "Add apt sources that have them, or build the layer on such a machine and copy its cache folder runner-layer/"
    : `Update sealflow, build the layer where they are served and copy its cache folder runner-layer/, or set ${UNPINNED}="<reason>" to take what is offered: this gives every step another identity`;
  return new RunnerLayerError(
    "APT_VERSION",
    `runner layer: apt no longer offers what is pinned for ${inputs.release}: ${list}. ${remedy}`,
  );
}

/** Takes from a package what the layer needs. */
async function filesOf(
  apt: Apt,
  { name, version, sha256, files }: DebianPackage,
  kept: string,
): Promise<Map<string, Buffer>> {
  const folder = await apt.unpack(name, keptFile(kept, sha256));
  const found = new Map<string, Buffer>();
  for (const [to, from] of Object.entries(files)) {
    const path = await locate(folder, from);
    if (!path?.startsWith(folder + sep)) {
      throw new RunnerLayerError("APT_FAILED", `package ${name} ${version} has no file ${from}; it needs another lock`);
    }
    found.set(to, await readFile(path));
  }
  return found;
}

/** Newer releases have moved everything from /lib to /usr/lib. @returns where the file is, links followed */
const locate = (folder: string, from: string): Promise<string | undefined> =>
  realpath(join(folder, from))
    .catch(() => realpath(join(folder, from.startsWith("usr/") ? from.slice("usr/".length) : `usr/${from}`)))
    .catch(() => undefined);
