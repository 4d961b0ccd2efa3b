/** Objects as files: written beside their place, synced, linked there once. Digest and size are kept while streaming. */
import { createHash, type KeyObject, randomBytes } from "node:crypto";
import * as nodeFs from "node:fs";
import {
  closeSync,
  createReadStream,
  fsync,
  linkSync,
  open as openFile,
  openSync,
  statSync,
  unlinkSync,
} from "node:fs";
import { mkdir, open, readdir, rm, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { sha256hex } from "../../../protocol/crypto";
import type { ObjectParts } from "../../../protocol/messages";
import type { Database } from "../database/open";
import { LedgerError } from "../errors";
import { OBJECT_NAME, type ObjectStore, type StoredObject } from "./types";
import { signedUrl } from "./urls";
import { rememberObject, storedObject } from "./verified";

/** A temporary file this old belongs to no upload any more, milliseconds. */
const STALE_MS = 24 * 3600 * 1000;

export interface FsStoreOptions {
  /** Folder of the objects; made when it is missing. */
  readonly dir: string;
  readonly db: Database;
  /** Key of the URLs, 32 bytes. */
  readonly key: KeyObject;
  /** Base of the URLs, without a slash at the end. */
  readonly publicUrl: string;
  /** Where an upload's bytes go; replaced in tests of a full disk. */
  readonly files?: Pick<typeof nodeFs, "createWriteStream" | "writeFileSync">;
}

/** Objects up to this size are in memory before they are written, bytes: a log is 64 KiB and a little. */
const SMALL = 128 * 1024;
/**
 * Whatever waits for the disk is done in a thread, making a file among it: that waits for the file system's journal. The
 * other calls are made at once: handing one to a thread and back takes several times the call.
 */
const [create, sync] = [promisify(openFile), promisify(fsync)];

export class FsStore implements ObjectStore {
  /** Folders that are not on the disk yet. */
  readonly #making = new Map<string, Promise<void>>();
  readonly #syncs = new DirSyncs();

  constructor(private readonly options: FsStoreOptions) {}

  /** Makes the folders and removes what crashed uploads left. */
  async init(): Promise<void> {
    const dir = this.#temporaryDir;
    await mkdir(dir, { recursive: true, mode: 0o700 });
    for (const name of await readdir(dir)) {
      const path = join(dir, name);
      const { mtimeMs } = await stat(path);
      if (Date.now() - mtimeMs > STALE_MS) await rm(path, { force: true });
    }
  }

  async url(operation: "put" | "get", name: string, until: number): Promise<string> {
    return signedUrl(this.options.key, this.options.publicUrl, operation, name, until);
  }

  /** This store takes every object whole. */
  async parts(name: string, size: number, until: number): Promise<ObjectParts> {
    return { partSize: Math.max(1, size), from: 0, urls: [await this.url("put", name, until)] };
  }

  async settle(): Promise<void> {}

  async stat(name: string): Promise<StoredObject | undefined> {
    const path = this.#path(name);
    const row = await this.options.db.read((tx) => storedObject(tx, name));
    const file = statSync(path, { throwIfNoEntry: false });
    if (!file) return undefined;
    if (row && row.size === file.size) return row;
    // A crash came between the link and the row.
    const found = await digestOf(path);
    await this.#remember(name, found);
    return found;
  }

  /**
   * Stores the bytes unless others are there already.
   * @returns created: false when the same bytes were there.
   * @throws LedgerError OBJECT_CONFLICT, STORE_FULL, INTERRUPTED, SHAPE (a dataset object whose name is not its digest).
   */
  async put(name: string, body: AsyncIterable<Uint8Array>): Promise<StoredObject & { created: boolean }> {
    const path = this.#path(name);
    const temporary = join(this.#temporaryDir, randomBytes(12).toString("hex"));
    try {
      const found = await this.#receive(temporary, body);
      if (name.startsWith("datasets/") && name !== `datasets/${found.digest}`) {
        throw new LedgerError("SHAPE", `object ${name}: the bytes have the digest ${found.digest}`);
      }
      const created = await this.#place(temporary, path);
      const there = created ? found : await this.stat(name);
      if (there?.digest !== found.digest) {
        throw new LedgerError("OBJECT_CONFLICT", `object ${name}: other bytes are already stored; claim a new attempt`);
      }
      if (created) {
        await this.#syncs.of(dirname(path));
        await this.#remember(name, found);
      }
      return { ...found, created };
    } catch (error) {
      throw full(error);
    } finally {
      remove(temporary);
    }
  }

  /** @param range first and last byte. @throws LedgerError OBJECT_UNKNOWN. */
  async get(name: string, range?: { start: number; end: number }): Promise<Readable> {
    const path = this.#path(name);
    const file = await open(path, "r").catch(absent);
    if (!file) throw new LedgerError("OBJECT_UNKNOWN", `object ${name}: not in the store`);
    return createReadStream(path, { fd: file, highWaterMark: 256 * 1024, ...range });
  }

  async delete(name: string): Promise<void> {
    await unlink(this.#path(name)).catch(absent);
    await this.options.db.write((tx) => tx.deleteFrom("objects").where("name", "=", name).execute());
  }

  async deleteRun(run: string, keep: ReadonlySet<string>): Promise<void> {
    const folder = join(this.options.dir, "runs", run);
    for (const file of (await readdir(folder).catch(absent)) ?? []) {
      const name = `runs/${run}/${file}`;
      if (!keep.has(name) && OBJECT_NAME.test(name)) await this.delete(name);
    }
    if (keep.size === 0) await rm(folder, { recursive: true, force: true });
  }

  get #temporaryDir(): string {
    return join(this.options.dir, "tmp");
  }

  #path(name: string): string {
    if (!OBJECT_NAME.test(name)) throw new LedgerError("OBJECT_UNKNOWN", `object ${name.slice(0, 200)}: not a name`);
    return join(this.options.dir, name);
  }

  /** @returns false when a file was there. */
  async #place(temporary: string, path: string): Promise<boolean> {
    const dir = dirname(path);
    await this.#making.get(dir);
    try {
      return linkOnce(temporary, path);
    } catch (error) {
      absent(error as NodeJS.ErrnoException);
    }
    // The first object of its run, perhaps beside others.
    const making = this.#making.get(dir) ?? makeDir(dir).finally(() => this.#making.delete(dir));
    this.#making.set(dir, making);
    await making;
    return linkOnce(temporary, path);
  }

  /** On the disk when it returns. */
  async #receive(path: string, body: AsyncIterable<Uint8Array>): Promise<StoredObject> {
    const rest = body[Symbol.asyncIterator]();
    const chunks: Uint8Array[] = [];
    for (let size = 0; size <= SMALL; size += chunks.at(-1)?.length ?? 0) {
      const { value, done } = await rest.next().catch((cause) => {
        throw interrupted(cause);
      });
      if (done) return this.#write(path, Buffer.concat(chunks));
      chunks.push(value);
    }
    return this.#stream(path, Readable.from(chain(chunks, rest), { objectMode: false }));
  }

  async #write(path: string, bytes: Uint8Array): Promise<StoredObject> {
    const file = await create(path, "wx", 0o600);
    try {
      (this.options.files ?? nodeFs).writeFileSync(file, bytes);
      await sync(file);
    } finally {
      closeSync(file);
    }
    return { digest: sha256hex(bytes), size: bytes.length };
  }

  /** Hash and write in one pass. */
  async #stream(path: string, body: Readable): Promise<StoredObject> {
    const hash = createHash("sha256");
    let size = 0;
    const measure = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        hash.update(chunk);
        size += chunk.length;
        done(null, chunk);
      },
    });
    const { createWriteStream } = this.options.files ?? nodeFs;
    const file = createWriteStream(path, { flags: "wx", mode: 0o600, flush: true, highWaterMark: 1024 * 1024 });
    // Whichever fails takes the other with it; only the first one says whose fault it was.
    let first: "body" | "file" | undefined;
    body.once("error", () => {
      first ??= "body";
    });
    file.once("error", () => {
      first ??= "file";
    });
    await pipeline(body, measure, file).catch((cause) => {
      throw first === "body" ? interrupted(cause) : cause;
    });
    return { digest: hash.digest("hex"), size };
  }

  async #remember(name: string, { digest, size }: StoredObject): Promise<void> {
    await this.options.db.write((tx) => rememberObject(tx, { name, digest, size }));
  }
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
  return undefined;
}

const interrupted = (cause: unknown): LedgerError =>
  new LedgerError("INTERRUPTED", "upload: broke off before its end; repeat it", { cause });

async function* chain(chunks: readonly Uint8Array[], rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* chunks;
  yield* { [Symbol.asyncIterator]: () => rest };
}

/** link() never replaces a file, unlike rename(). @returns false when one was there. */
function linkOnce(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** A new folder is durable once the one above it is synced. */
async function makeDir(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  for (let at = path; first !== undefined && at.length >= first.length; at = dirname(at)) await syncDir(dirname(at));
}

/** Those who wait for the same folder wait for one sync, which begins after all of them had linked. */
class DirSyncs {
  readonly #next = new Map<string, Promise<void>>();
  readonly #running = new Map<string, Promise<void>>();

  of(path: string): Promise<void> {
    const next = this.#next.get(path) ?? this.#after(this.#running.get(path), path);
    this.#next.set(path, next);
    return next;
  }

  async #after(running: Promise<void> | undefined, path: string): Promise<void> {
    // Its failure is told to those who waited for it.
    await running?.catch(() => {});
    // Whoever comes from here on needs another one.
    this.#next.delete(path);
    const own = syncDir(path);
    this.#running.set(path, own);
    try {
      await own;
    } finally {
      if (this.#running.get(path) === own) this.#running.delete(path);
    }
  }
}

async function syncDir(path: string): Promise<void> {
  const dir = openSync(path, "r");
  try {
    await sync(dir);
  } finally {
    closeSync(dir);
  }
}

/** Not there is fine. */
function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    absent(error as NodeJS.ErrnoException);
  }
}

async function digestOf(path: string): Promise<StoredObject> {
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { digest: hash.digest("hex"), size };
}

function full(error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== "ENOSPC" && code !== "EDQUOT") return error;
  return new LedgerError("STORE_FULL", "the object store's disk is full; free space or delete old runs, then retry", {
    cause: error,
  });
}
