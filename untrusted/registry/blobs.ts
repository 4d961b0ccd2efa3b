/** Blobs of an OCI layout as files. A blob has its name only when its digest fits; an unfinished one is taken up again. */
import { createHash, type Hash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { blobPath, LAYOUT_FILE, LAYOUT_VERSION } from "../../protocol/oci";
import { isAlive } from "../process";
import { RegistryError } from "./errors";

export class BlobFolder {
  constructor(readonly folder: string) {}

  async init(): Promise<void> {
    await mkdir(join(this.folder, "blobs", "sha256"), { recursive: true, mode: 0o755 });
    await this.write(LAYOUT_FILE, JSON.stringify({ imageLayoutVersion: LAYOUT_VERSION }));
  }

  path(digest: string): string {
    return join(this.folder, blobPath(digest));
  }

  /** Whether a blob of this size has the name; its bytes were checked when it got it. */
  async has(digest: string, size: number): Promise<boolean> {
    const found = await stat(this.path(digest)).catch(() => undefined);
    return found?.isFile() === true && found.size === size;
  }

  /** Replaces a file of the layout in one step. */
  async write(name: string, content: string | Uint8Array): Promise<void> {
    const temporary = join(this.folder, `.${randomBytes(8).toString("hex")}`);
    try {
      await writeFile(temporary, content);
      await rename(temporary, join(this.folder, name));
    } finally {
      await rm(temporary, { force: true });
    }
  }

  /** A blob to write, behind what an ended process left of it. */
  async begin(digest: string, size: number): Promise<PartialBlob> {
    const path = await this.#partialPath(digest);
    inUse.add(path);
    const file = await open(path, "a", 0o644);
    const partial = new PartialBlob(file, path, this.path(digest), digest, size);
    try {
      await partial.takeUp();
      return partial;
    } catch (error) {
      await partial.close();
      throw error;
    }
  }

  /** `<digest>.<pid>.<random>.part`: two processes never write one file. */
  async #partialPath(digest: string): Promise<string> {
    const dir = join(this.folder, "blobs", "sha256");
    const own = join(dir, `${digest}.${process.pid}.${randomBytes(4).toString("hex")}.part`);
    for (const name of await readdir(dir)) {
      const [, of, pid] = /^([0-9a-f]{64})\.(\d+)\.[0-9a-f]{8}\.part$/.exec(name) ?? [];
      const path = join(dir, name);
      if (of !== digest || (Number(pid) === process.pid ? inUse.has(path) : isAlive(Number(pid)))) continue;
      // Whoever renames it first has it.
      const mine = await rename(path, own).then(
        () => true,
        () => false,
      );
      if (mine) break;
    }
    return own;
  }
}

/** Partial files that this process writes. */
const inUse = new Set<string>();

/** One blob being written. */
export class PartialBlob {
  /** Bytes that are there. */
  size = 0;
  #hash: Hash = createHash("sha256");

  constructor(
    private readonly file: FileHandle,
    private readonly path: string,
    private readonly final: string,
    private readonly digest: string,
    private readonly expected: number,
  ) {}

  async takeUp(): Promise<void> {
    const { size } = await this.file.stat();
    if (size > this.expected) return this.restart();
    for await (const chunk of createReadStream(this.path) as AsyncIterable<Buffer>) this.#hash.update(chunk);
    this.size = size;
  }

  async restart(): Promise<void> {
    await this.file.truncate(0);
    this.#hash = createHash("sha256");
    this.size = 0;
  }

  /** @throws RegistryError CONTENT when it becomes longer than it may be. */
  async write(chunk: Uint8Array): Promise<void> {
    if (this.size + chunk.length > this.expected) {
      await this.restart();
      throw new RegistryError("CONTENT", `blob sha256:${this.digest}: longer than its ${this.expected} bytes`);
    }
    await this.file.writeFile(chunk);
    this.#hash.update(chunk);
    this.size += chunk.length;
  }

  /** Gives the blob its name. @throws RegistryError CONTENT; what was written is gone then. */
  async finish(where: string): Promise<void> {
    if (this.#hash.digest("hex") !== this.digest) {
      await this.restart();
      throw new RegistryError("CONTENT", `${where}: blob sha256:${this.digest}: the registry sent other bytes`);
    }
    await this.file.sync();
    await rename(this.path, this.final);
  }

  async close(): Promise<void> {
    inUse.delete(this.path);
    await this.file.close();
  }
}
