/** Layers on disk: each in a folder of its own that appears whole, with its facts beside the tar. */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { jcs } from "../../protocol/canonical";
import { type Contents, measure } from "./contents";
import { RunnerLayerError } from "./errors";

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

export interface Assembled {
  readonly path: string;
  readonly version: string;
  /** For people who look: what is inside. */
  readonly packages: readonly { readonly name: string; readonly version: string; readonly sha256: string }[];
}

type Facts = Pick<RunnerLayer, "digest" | "size" | "version">;

const FACTS = "layer.json";
const TAR = "layer.tar";
/** A layer has 115 MB and every runner is another one: so many are kept, and all that were used within the last hour. */
const KEEP = 4;
const HOUR_MS = 3_600_000;

export class LayerCache {
  readonly folder: string;

  /** @param wanted what a layer of a version must hold; undefined: there is no such version under that key. */
  constructor(
    cacheDir: string,
    private readonly onProgress: (message: string) => void,
    private readonly wanted: (version: string, key: string) => Contents | undefined,
  ) {
    this.folder = join(cacheDir, "runner-layer");
  }

  /** What is there under a key, if its files are the wanted ones; others are removed. */
  async find(key: string): Promise<RunnerLayer | undefined> {
    const folder = join(this.folder, key);
    const text = await readFile(join(folder, FACTS), "utf8").catch(() => undefined);
    if (text === undefined) return undefined;
    const path = join(folder, TAR);
    try {
      const { digest, version } = JSON.parse(text) as Facts;
      const contents = this.wanted(String(version), key);
      const found = contents && (await measure(path, contents));
      if (found?.digest === digest && found.problem === undefined) {
        const { size } = found;
        const now = new Date();
        await utimes(join(folder, FACTS), now, now).catch(() => {}); // a cache of somebody else may be read only
        return { path, digest, diffId: `sha256:${digest}`, size, version };
      }
    } catch {
      // Half a file or none: removed below.
    }
    this.onProgress(`the runner layer in ${folder} is damaged or another; making it again`);
    await rm(folder, { recursive: true, force: true });
    return undefined;
  }

  /** @param make fills a fresh folder. @param keyOf the key under which a layer of a version lies. */
  async fill(make: (folder: string) => Promise<Assembled>, keyOf: (version: string) => string): Promise<RunnerLayer> {
    const fresh = join(this.folder, `.${process.pid}.${randomBytes(8).toString("hex")}.making`);
    await mkdir(fresh, { recursive: true });
    try {
      const { path, version, packages } = await make(fresh);
      const { digest, size, problem } = await measure(path, this.wanted(version, keyOf(version)) ?? new Map());
      if (problem !== undefined)
        throw new RunnerLayerError("HASH", `the runner layer as made here ${problem}; do not use its inputs`);
      const facts: Facts = { digest, size, version };
      await rename(path, join(fresh, TAR));
      await writeFile(join(fresh, FACTS), `${jcs({ ...facts, packages })}\n`);
      for (const name of await readdir(fresh)) {
        if (name !== TAR && name !== FACTS) await rm(join(fresh, name), { recursive: true, force: true });
      }
      const key = keyOf(version);
      // Whoever is first wins: all make the same bytes, or (unpinned) take the first one's.
      await rename(fresh, join(this.folder, key)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
      });
      this.onProgress(`runner layer ${version}, ${Math.round(facts.size / 1e6)} MB`);
      const layer = await this.find(key);
      if (!layer) {
        throw new RunnerLayerError("HASH", `the runner layer in ${this.folder} does not last; check the disk`);
      }
      await this.sweep(key);
      return layer;
    } finally {
      await rm(fresh, { recursive: true, force: true });
    }
  }

  /** Removes layers that nobody used for long, and what an interrupted process left behind. */
  private async sweep(current: string): Promise<void> {
    const now = Date.now();
    const layers: { path: string; used: number }[] = [];
    for (const name of await readdir(this.folder)) {
      const path = join(this.folder, name);
      const isLayer = /^[0-9a-f]{32}(?:-unpinned)?$/.test(name);
      if (!isLayer && !name.endsWith(".making")) continue;
      const used = (await stat(isLayer ? join(path, FACTS) : path).catch(() => undefined))?.mtimeMs ?? 0;
      if (isLayer) layers.push({ path, used });
      else if (now - used > HOUR_MS) await rm(path, { recursive: true, force: true });
    }
    layers.sort((a, b) => b.used - a.used);
    for (const { path, used } of layers.slice(KEEP)) {
      if (now - used > HOUR_MS && basename(path) !== current) await rm(path, { recursive: true, force: true });
    }
  }
}
