/** Files that appear whole or not at all: written beside their place, flushed, renamed. Folders 0700, files 0600. */
import { randomBytes } from "node:crypto";
import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import * as path from "node:path";
import { DiskError } from "./errors";

/** Small pieces are gathered up to this many bytes before they are written. */
const BLOCK = 1024 * 1024;

export class TempFile {
  #held: Uint8Array[] = [];
  #heldBytes = 0;

  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
  ) {}

  /** A fresh file in `folder`, which is created when missing. */
  static async create(folder: string): Promise<TempFile> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const file = path.join(folder, `.${randomBytes(8).toString("hex")}.tmp`);
    return new TempFile(file, await open(file, "wx", 0o600));
  }

  /** @param bytes kept until they are written: never change them afterwards. */
  async write(bytes: Uint8Array): Promise<void> {
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#heldBytes >= BLOCK) await this.#flush();
  }

  /** The file gets its name; one that was there is replaced. */
  async commit(target: string): Promise<void> {
    await this.#flush();
    await this.handle.sync();
    await this.handle.close();
    await rename(this.path, target);
  }

  /** For `finally`: does nothing after `commit`. */
  async discard(): Promise<void> {
    await this.handle.close().catch(() => {});
    await rm(this.path, { force: true });
  }

  async #flush(): Promise<void> {
    const pieces = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    // Unlike write and writev, writeFile goes on after a short write; it appends at the handle's position.
    if (pieces.length === 0) return;
    await this.handle.writeFile(Buffer.concat(pieces)).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== "ENOSPC" && cause.code !== "EDQUOT") throw cause;
      const folder = path.dirname(this.path);
      throw new DiskError("DISK_FULL", `${folder}: no space left on its disk. Free some and try again`, { cause });
    });
  }
}

export async function writeAtomic(target: string, bytes: Uint8Array): Promise<void> {
  const file = await TempFile.create(path.dirname(target));
  try {
    await file.write(bytes);
    await file.commit(target);
  } finally {
    await file.discard();
  }
}
