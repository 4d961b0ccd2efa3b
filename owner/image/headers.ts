/** Reads the headers of a layer that flows by: checks every entry, and finds the place of one more. */
import { once } from "node:events";
import { extract, type Header } from "tar-stream";
import { ImageError } from "./errors";
import type { EntryHeader } from "./guard";

const BLOCK = 512;
const ZEROS = Buffer.alloc(64 * 1024);
/** Entries that have no content: extractors disagree on what follows one with a size. */
const NO_CONTENT = new Set(["link", "symlink", "character-device", "block-device", "directory", "fifo"]);

/** @throws for an entry that must not be. */
export type CheckEntry = (entry: EntryHeader) => void;

export class LayerHeaders {
  // With this mark every write is waited for until its entries have been seen.
  readonly #extract = extract({ highWaterMark: 0 });
  #failed: unknown;
  readonly #closed: Promise<void>;
  #chunk: Uint8Array = new Uint8Array(0);
  /** Bytes before the chunk, and with it. */
  #begin = 0;
  #size = 0;
  /** Where the content of the last entry begins. */
  #content = 0;
  /** Where the last entry ends, and the next header or the end of the archive begins. */
  #next = 0;
  #end: number | undefined;

  /** @param label names the layer in errors. */
  constructor(
    private readonly check: CheckEntry,
    private readonly label: string,
  ) {
    this.#closed = new Promise((resolve) => this.#extract.on("close", () => resolve()));
    this.#extract.on("error", (error) => {
      this.#failed ??= this.#damaged(`is no intact tar archive (${error.message})`);
    });
    this.#extract.on("entry", (header, stream, next) => {
      try {
        this.#entry(header, stream.offset + BLOCK);
      } catch (error) {
        this.#failed ??= error;
        // What it makes of such an entry may never end.
        this.#extract.destroy();
        return;
      }
      stream.on("error", () => {}); // the archive has the same error
      stream.on("end", () => next());
      stream.resume();
    });
  }

  /**
   * @param chunk in order; may be reused when the promise is fulfilled.
   * @returns how many bytes of it belong to entries, when the end of the archive begins in it: from there on there are
   * zeros only, so that an entry more has its place there. The reader must see the same end as every extractor, some of
   * which go on behind it: bytes behind it are refused.
   * @throws ImageError IMAGE_RESERVED or IMAGE_LAYER.
   */
  async write(chunk: Uint8Array): Promise<number | undefined> {
    this.#chunk = chunk;
    this.#begin = this.#size;
    this.#size += chunk.length;
    // Parts of headers are kept for the next chunk; content is not looked at.
    const isContent = this.#begin >= this.#content && this.#size <= this.#next;
    this.#throwIfFailed();
    if (!this.#extract.write(isContent ? chunk : Buffer.from(chunk)))
      await Promise.race([once(this.#extract, "drain").catch(() => {}), this.#closed]);
    this.#throwIfFailed();
    if (this.#end !== undefined) this.#mustBeZeros(chunk);
    else if (this.#endsHere()) {
      this.#end = this.#next;
      const at = this.#end - this.#begin;
      this.#mustBeZeros(chunk.subarray(at));
      return at;
    }
    return undefined;
  }

  /** @returns whether the end was found; without one the archive ends with its last entry. @throws as `write`. */
  async end(): Promise<boolean> {
    this.#extract.end(undefined);
    await this.#closed;
    this.#throwIfFailed();
    if (this.#end === undefined && this.#size !== this.#next)
      throw this.#damaged("is no intact tar archive (a header without its entry at the end)");
    return this.#end !== undefined;
  }

  /** Whether the archive ends behind the last entry, as far as this chunk tells: a header never begins with a zero byte, which would leave it without a name. */
  #endsHere(): boolean {
    return this.#next >= this.#begin && this.#chunk[this.#next - this.#begin] === 0;
  }

  /** @param content where it begins. */
  #entry({ name, linkname, type, size }: Header, content: number): void {
    const at = `entry ${JSON.stringify(name.slice(0, 200))}`;
    if (this.#end !== undefined || this.#endsHere())
      throw this.#damaged(`${at} comes after the end of the archive. Make it again`);
    if (size > 0 && NO_CONTENT.has(type ?? ""))
      throw this.#damaged(`${at} is a ${type} with content, which extractors read differently. Make it again`);
    this.#content = content;
    this.#next = content + Math.ceil(size / BLOCK) * BLOCK;
    this.check({ name, type: type ?? "file", linkname });
  }

  #mustBeZeros(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += ZEROS.length) {
      const part = bytes.subarray(at, at + ZEROS.length);
      if (!ZEROS.subarray(0, part.length).equals(part))
        throw this.#damaged("has bytes after the end of the archive, which extractors read differently. Make it again");
    }
  }

  #damaged(what: string): ImageError {
    return new ImageError("IMAGE_LAYER", `${this.label}: ${what}`);
  }

  #throwIfFailed(): void {
    if (this.#failed) throw this.#failed;
  }
}
