/** Reads the headers of a layer that flows by: checks every entry, and finds the place of one more. */

import { quoted } from "../../protocol/quoted";
import {
  BLOCK,
  EXTENSIONS,
  type Extension,
  MAX_PATH,
  type RawHeader,
  readExtension,
  readHeader,
  TarRefusal,
} from "../../protocol/tar";
import { ImageError } from "./errors";
import type { EntryHeader } from "./guard";

const ZEROS = Buffer.alloc(64 * 1024);
/** Of pax records or a long name. */
const MAX_EXTENSION = 1024 * 1024;
/** Entries are kept until their layer is checked, and a gzipped layer can hold any number of them: bytes of memory. */
const MAX_ENTRIES = 256 * 1024 * 1024;
/** Of an entry besides its names. */
const ENTRY = 200;
const TYPES: Readonly<Record<string, string>> = {
  "0": "file",
  "1": "link",
  "2": "symlink",
  "3": "character-device",
  "4": "block-device",
  "5": "directory",
  "6": "fifo",
  "7": "file",
};

/** @throws for an entry that must not be. */
export type CheckEntry = (entry: EntryHeader) => void;

/** What is being read, and how many bytes of it are missing. */
type State =
  | { readonly at: "header"; missing: number }
  | { readonly at: "extension"; readonly flag: string; readonly size: number; missing: number }
  | { readonly at: "content"; missing: number }
  | { readonly at: "end" };

const nextHeader = (): State => ({ at: "header", missing: BLOCK });
const padded = (size: number): number => Math.ceil(size / BLOCK) * BLOCK;

export class LayerHeaders {
  #state: State = nextHeader();
  /** Of a header or extension. */
  #gathered: Uint8Array[] = [];
  /** By type: what stands before the next entry. */
  readonly #extensions = new Map<string, Extension>();
  #entries = 0;
  /** About what its entries take. */
  #memory = 0;

  /** @param label names the layer in errors. */
  constructor(
    private readonly check: CheckEntry,
    private readonly label: string,
  ) {}

  /**
   * @param chunk in order; may be reused afterwards.
   * @returns how many bytes of it belong to entries, when the end of the archive begins in it: from there on there are
   * zeros only, so that an entry more has its place there. Some extractors go on behind an end: bytes there are refused.
   * @throws ImageError IMAGE_RESERVED or IMAGE_LAYER.
   */
  write(chunk: Uint8Array): number | undefined {
    try {
      return this.#read(chunk);
    } catch (error) {
      throw error instanceof TarRefusal ? this.#refused(`${error.message}. Make it again`) : error;
    }
  }

  /** @returns whether the end was found; without one the archive ends with its last entry. @throws as `write`. */
  end(): boolean {
    const state = this.#state;
    if (state.at === "end") return true;
    if (state.at === "header" && state.missing === BLOCK && this.#extensions.size === 0) return false;
    throw this.#refused("is no intact tar archive (it ends in the middle of an entry)");
  }

  #read(chunk: Uint8Array): number | undefined {
    let found: number | undefined;
    for (let at = 0; at < chunk.length; ) {
      const state = this.#state;
      if (state.at === "end") {
        mustBeZeros(chunk.subarray(at));
        break;
      }
      // No entry begins with a zero byte: it would have no name.
      if (state.at === "header" && state.missing === BLOCK && this.#extensions.size === 0 && chunk[at] === 0) {
        this.#state = { at: "end" };
        found = at;
        continue;
      }
      const part = chunk.subarray(at, at + state.missing);
      at += part.length;
      state.missing -= part.length;
      if (state.at !== "content") this.#gathered.push(Buffer.from(part));
      if (state.missing === 0) this.#complete(state);
    }
    return found;
  }

  #complete(state: Exclude<State, { at: "end" }>): void {
    const bytes = Buffer.concat(this.#gathered.splice(0));
    if (state.at === "header") this.#state = this.#header(readHeader(bytes));
    else {
      if (state.at === "extension")
        this.#extensions.set(state.flag, readExtension(state.flag, bytes.subarray(0, state.size)));
      this.#state = nextHeader();
    }
  }

  #header(header: RawHeader): State {
    const { flag, size } = header;
    if (EXTENSIONS.has(flag)) {
      if (this.#extensions.has(flag)) throw new TarRefusal(`has two headers of type ${flag} before one entry`);
      if (size === 0 || size > MAX_EXTENSION)
        throw new TarRefusal(`has a header of type ${flag} with ${size} bytes, expected 1 to ${MAX_EXTENSION}`);
      return { at: "extension", flag, size, missing: padded(size) };
    }
    this.#entry(header);
    return size === 0 ? nextHeader() : { at: "content", missing: padded(size) };
  }

  #entry({ flag, size, ...own }: RawHeader): void {
    const said = this.#said();
    const name = said.path ?? own.name;
    const linkname = said.linkpath ?? own.linkname;
    const at = `entry ${quoted(name)}`;
    for (const path of [name, linkname]) {
      const bytes = Buffer.byteLength(path);
      if (bytes > MAX_PATH)
        throw new TarRefusal(`${at} has a path of ${bytes} bytes, at most ${MAX_PATH} are possible`);
    }
    this.#entries++;
    this.#memory += ENTRY + name.length + linkname.length;
    if (this.#memory > MAX_ENTRIES)
      throw new TarRefusal(`has more than ${this.#entries} entries, which is more than layers of images have`);
    const type = TYPES[flag] as string;
    // Old archives have folders as files of such names, and not every reader takes them for folders.
    if (type === "file" && (name.endsWith("/") || own.name.endsWith("/")))
      throw new TarRefusal(`${at} is a file with the name of a folder, which extractors read differently`);
    if (size > 0 && type !== "file")
      throw new TarRefusal(`${at} is a ${type} with content, which extractors read differently`);
    if (said.size !== undefined && said.size !== size)
      throw new TarRefusal(
        `${at}: its pax record says ${said.size} bytes and its header ${size}; extractors believe one or the other. ` +
          "Files of more than 8 GiB belong into a folder or a dataset instead",
      );
    this.check({ name, type, linkname });
  }

  /** What stands before the entry; extractors disagree on what counts when two of them say the same. */
  #said(): Extension {
    const [pax, path, linkpath] = ["x", "L", "K"].map((flag) => this.#extensions.get(flag));
    this.#extensions.clear();
    if ((pax?.path !== undefined && path) || (pax?.linkpath !== undefined && linkpath))
      throw new TarRefusal("has an entry with a name in a pax record and a long one of GNU");
    return { ...pax, ...path, ...linkpath };
  }

  #refused(what: string): ImageError {
    return new ImageError("IMAGE_LAYER", `${this.label}: ${what}`);
  }
}

function mustBeZeros(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const part = bytes.subarray(at, at + ZEROS.length);
    if (!ZEROS.subarray(0, part.length).equals(part))
      throw new TarRefusal("has bytes after the end of the archive, which extractors read differently");
  }
}
