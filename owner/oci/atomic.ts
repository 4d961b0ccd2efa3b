/** Files that appear whole or not at all: written beside their place, flushed, renamed. Folders 0700, files 0600. */
import { randomBytes } from "node:crypto";
import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import * as path from "node:path";
import { DiskError } from "./errors";

/** Small pieces are gathered up to this many bytes before they are written. */
const BLOCK = 1024 * 1024;
/** From this size on a piece is written as it is, without a copy, before `write` returns; bytes. */
export const WRITTEN_AT_ONCE = 256 * 1024;
/** The disk is set to work after so many bytes, so that less is left for the flush at the end. */
const SYNC_EVERY = 32 * 1024 * 1024;

export class TempFile {
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #unsynced = 0;
  #syncing: Promise<void> | undefined;
  #syncFailed: unknown;

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

  /**
   * One call at a time.
   * @param bytes kept until they are written, small ones beyond this call: never change those afterwards.
   */
  async write(bytes: Uint8Array): Promise<void> {
    if (bytes.length >= WRITTEN_AT_ONCE) {
      await this.#flush();
      await this.#append(bytes);
      return;
    }
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#heldBytes >= BLOCK) await this.#flush();
  }

  /** The file gets its name; one that was there is replaced. */
  async commit(target: string): Promise<void> {
    await this.finish();
    await rename(this.path, target);
  }

  /** All of it is on the disk, under the name it has. */
  async finish(): Promise<void> {
    await this.#flush();
    await this.#syncing;
    // The system reports a lost write to one flush only: to an early one it counts as well.
    if (this.#syncFailed !== undefined) throw this.#named(this.#syncFailed);
    await this.handle.sync().catch((cause: unknown) => {
      throw this.#named(cause);
    });
    await this.handle.close();
  }

  /** For `finally`: does nothing after `commit`. */
  async discard(): Promise<void> {
    await this.#syncing;
    await this.handle.close().catch(() => {});
    await rm(this.path, { force: true });
  }

  async #flush(): Promise<void> {
    const pieces = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    if (pieces.length > 0) await this.#append(Buffer.concat(pieces));
  }

  async #append(bytes: Uint8Array): Promise<void> {
    // Unlike write and writev, writeFile goes on after a short write; it appends at the handle's position.
    await this.handle.writeFile(bytes).catch((cause: unknown) => {
      throw this.#named(cause);
    });
    this.#unsynced += bytes.length;
    if (this.#unsynced < SYNC_EVERY || this.#syncing) return;
    this.#unsynced = 0;
    this.#syncing = this.handle
      .datasync()
      .catch((cause: unknown) => {
        this.#syncFailed ??= cause;
      })
      .finally(() => {
        this.#syncing = undefined;
      });
  }

  #named(cause: unknown): unknown {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== "ENOSPC" && code !== "EDQUOT") return cause;
    const folder = path.dirname(this.path);
    return new DiskError("DISK_FULL", `${folder}: no space left on its disk. Free some and try again`, { cause });
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
