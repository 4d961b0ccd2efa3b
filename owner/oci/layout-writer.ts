/**
 * Writes an OCI image layout. Blobs first, index last, each file by rename: whoever reads sees images that are whole.
 * Calls for one folder are queued inside this process; between processes the stack's lock does that.
 */

import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { copyFile, link, mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import * as path from "node:path";
import { utf8 } from "../../protocol/bytes";
import { jcs } from "../../protocol/canonical";
import { sha256hex } from "../../protocol/crypto";
import {
  blobPath,
  type Descriptor,
  INDEX_FILE,
  LAYOUT_FILE,
  LAYOUT_VERSION,
  MEDIA,
  OciError,
  parseManifest,
} from "../../protocol/oci";
import { TempFile, writeAtomic } from "./atomic";
import { Layout } from "./layout";

/** What a document says about a blob: a descriptor in its JSON form. */
export const descriptorJson = (d: Descriptor): Record<string, unknown> => ({
  mediaType: d.mediaType,
  digest: `sha256:${d.digest}`,
  size: d.size,
  ...(Object.keys(d.annotations).length > 0 ? { annotations: d.annotations } : {}),
  ...(d.platform ? { platform: d.platform } : {}),
});

const queues = new Map<string, Promise<unknown>>();

/** Runs `work` when earlier work on this folder is done. */
export async function exclusively<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const key = path.resolve(folder);
  const before = queues.get(key) ?? Promise.resolve();
  const mine = before.then(work, work);
  const settled = mine.catch(() => {});
  queues.set(key, settled);
  try {
    return await mine;
  } finally {
    if (queues.get(key) === settled) queues.delete(key);
  }
}

export class LayoutWriter {
  constructor(readonly folder: string) {}

  /** Entries of the index; none when there is no layout yet. */
  async entries(): Promise<readonly Descriptor[]> {
    const there = await stat(path.join(this.folder, INDEX_FILE)).catch(() => undefined);
    return there ? (await Layout.open(this.folder)).entries : [];
  }

  /** Deletes what interrupted writers left. Call it under `exclusively`. */
  async sweep(): Promise<void> {
    const folder = this.blobs;
    const names = await readdir(folder).catch(() => []);
    for (const name of names) if (/^\..*\.tmp$/.test(name)) await rm(path.join(folder, name), { force: true });
  }

  /** Whether the blob is there with its size; its bytes are not read. */
  async has({ digest, size }: Descriptor): Promise<boolean> {
    const found = await stat(this.#blob(digest)).catch(() => undefined);
    return found?.isFile() === true && found.size === size;
  }

  /** A JSON document in canonical form. */
  async putDocument(mediaType: string, value: unknown): Promise<Descriptor> {
    const bytes = utf8(jcs(value));
    const digest = sha256hex(bytes);
    await writeAtomic(this.#blob(digest), bytes);
    return { mediaType, digest, size: bytes.length, annotations: {} };
  }

  /** A file to write a blob into; give it to `commit`. */
  newBlob(): Promise<TempFile> {
    return TempFile.create(this.blobs);
  }

  commit(file: TempFile, digest: string): Promise<void> {
    return file.commit(this.#blob(digest));
  }

  /** The same for a file in `blobs` that is finished already. */
  adopt(file: string, digest: string): Promise<void> {
    return rename(file, this.#blob(digest));
  }

  /** A file that is kept elsewhere and never changed: linked where the file system can, else copied. */
  async putFile(file: string, descriptor: Descriptor): Promise<void> {
    if (await this.has(descriptor)) return;
    const target = this.#blob(descriptor.digest);
    await mkdir(path.dirname(target), { recursive: true, mode: 0o700 });
    const beside = path.join(path.dirname(target), `.${randomBytes(8).toString("hex")}.tmp`);
    try {
      await link(file, beside).catch(() => copyFile(file, beside, constants.COPYFILE_FICLONE));
      await rename(beside, target);
    } finally {
      await rm(beside, { force: true });
    }
  }

  /** Adds an image to the index, or replaces its entry. */
  async addImage(manifest: Descriptor): Promise<void> {
    const others = (await this.entries()).filter((e) => e.digest !== manifest.digest);
    await this.#writeIndex([...others, manifest]);
  }

  /**
   * Takes an image out of the index and deletes what no other image of the layout needs; with the last image the whole
   * folder goes. Nothing there: nothing to do.
   */
  async removeImage(digest: string): Promise<void> {
    const kept = (await this.entries()).filter((e) => e.digest !== digest);
    if (kept.length === 0) {
      await rm(this.folder, { recursive: true, force: true });
      return;
    }
    await this.#writeIndex(kept);
    const needed = await this.#blobsOf(kept);
    if (!needed) return; // another image cannot be read: nobody knows what it needs
    const folder = this.blobs;
    for (const name of await readdir(folder)) if (!needed.has(name)) await rm(path.join(folder, name), { force: true });
  }

  async #blobsOf(images: readonly Descriptor[]): Promise<Set<string> | undefined> {
    const layout = await Layout.open(this.folder);
    const needed = new Set<string>();
    try {
      for (const image of images) {
        const { config, layers } = parseManifest(await layout.document(image), layout.where(image));
        for (const { digest } of [image, config, ...layers]) needed.add(digest);
      }
      return needed;
    } catch (error) {
      if (error instanceof OciError) return undefined;
      throw error;
    }
  }

  async #writeIndex(entries: readonly Descriptor[]): Promise<void> {
    const sorted = [...entries].sort((a, b) => (a.digest < b.digest ? -1 : 1));
    const index = { schemaVersion: 2, mediaType: MEDIA.index, manifests: sorted.map(descriptorJson) };
    await writeAtomic(path.join(this.folder, LAYOUT_FILE), utf8(jcs({ imageLayoutVersion: LAYOUT_VERSION })));
    await writeAtomic(path.join(this.folder, INDEX_FILE), utf8(jcs(index)));
  }

  /** Folder of the blobs. */
  get blobs(): string {
    return path.dirname(this.#blob("0"));
  }

  #blob(digest: string): string {
    return path.join(this.folder, blobPath(digest));
  }
}
