/**
 * tar (ustar, pax, GNU long names): regular files and folders with plain relative names; every member is checked as its
 * name's ending says. A member of unknown kind must be text, or the edge must allow unsafe formats. What programs read in
 * two ways (a name said twice, a file that some take for a folder) is refused: what was checked is what they find.
 */
import type { Format } from "../../protocol/formats";
import { BLOCK, EXTENSIONS, type Extension, readExtension, readHeader, TarRefusal } from "../../protocol/tar";
import { Collector } from "./gather";
import { TextChecker } from "./text";
import { type Checker, refuse } from "./types";

/** Longest pax header or long name, bytes. */
const MAX_EXTENSION = 64 * 1024;
const ENDINGS: Readonly<Record<string, Format>> = {
  json: "json",
  jsonl: "jsonl",
  ndjson: "jsonl",
  csv: "csv",
  txt: "text",
  md: "text",
  tsv: "text",
  npy: "npy",
  png: "png",
  safetensors: "safetensors",
  parquet: "parquet",
  arrow: "arrow",
  feather: "arrow",
  onnx: "onnx",
};

/** What is read by unpickling, which runs code. The oldest form of a pickle is letters and digits only. */
const PICKLES = new Set(["pkl", "pickle", "pck", "dill", "joblib", "pt", "pth", "ckpt", "bin"]);

const TWO_WAYS = "tar has a member that is read in two ways";

export class TarChecker implements Checker {
  #part: "header" | "body" | "padding" | "extension" | "end" = "header";
  #held = new Collector(BLOCK);
  #left = 0;
  #padding = 0;
  #member: Checker | undefined;
  #extension: { type: string; bytes: Buffer[] } | undefined;
  /** What stands before the next member. */
  #said: Extension | undefined;
  #emptyBlocks = 0;

  constructor(
    private readonly allowUnsafe: boolean,
    private readonly checkerOf: (format: Format) => Checker,
  ) {}

  write(piece: Uint8Array): void {
    for (let at = 0; at < piece.length; ) {
      switch (this.#part) {
        case "header":
          at += this.#held.take(piece, at);
          if (this.#held.done) {
            const { bytes } = this.#held;
            this.#held = new Collector(BLOCK);
            this.#header(bytes);
          }
          break;
        case "padding": {
          const n = Math.min(this.#padding, piece.length - at);
          this.#padding -= n;
          at += n;
          if (this.#padding === 0) this.#part = "header";
          break;
        }
        case "end":
          if (piece.subarray(at).some((byte) => byte !== 0)) refuse("tar has bytes after its end");
          return;
        default: {
          const part = piece.subarray(at, at + this.#left);
          if (this.#part === "body") this.#member?.write(part);
          else this.#extension?.bytes.push(Buffer.from(part));
          this.#left -= part.length;
          at += part.length;
          if (this.#left === 0) this.#endOfBody();
        }
      }
    }
  }

  end(): void {
    if (this.#part !== "end") refuse("tar is cut off");
  }

  #header(h: Buffer): void {
    if (h.every((byte) => byte === 0)) {
      if (++this.#emptyBlocks === 2) this.#part = "end";
      return;
    }
    if (this.#emptyBlocks > 0) refuse("tar has a member after an empty block");
    const { flag, size, name: own } = inTar(() => readHeader(h));
    if (EXTENSIONS.has(flag)) {
      this.#beginExtension(flag, size);
      return;
    }
    if (flag !== "0" && flag !== "5") refuse("tar has a member that is neither file nor folder");
    const { path: name = own, size: bytes = size } = this.#said ?? {};
    this.#said = undefined;
    // Of the oldest type, a folder is a file whose name ends so: readers of it look for the next header in its content.
    if (flag === "0" && (name.endsWith("/") || (h[156] === 0 && own.endsWith("/")))) refuse(TWO_WAYS);
    checkName(name);
    if (flag === "5") {
      if (bytes !== 0) refuse("tar has a folder with content");
      return;
    }
    this.#member = this.#checkerOfMember(name);
    this.#begin("body", bytes);
  }

  #checkerOfMember(name: string): Checker {
    const ending = /\.([A-Za-z0-9]+)$/.exec(name)?.[1]?.toLowerCase() ?? "";
    const format = Object.hasOwn(ENDINGS, ending) ? ENDINGS[ending] : undefined;
    if (format) return this.checkerOf(format);
    if (!this.allowUnsafe && PICKLES.has(ending)) {
      refuse("tar has a member that is read by unpickling it; say allowUnsafeFormat");
    }
    return this.allowUnsafe ? { write: () => undefined, end: () => undefined } : new OtherMemberChecker();
  }

  #beginExtension(type: string, size: number): void {
    if (size === 0 || size > MAX_EXTENSION) refuse("tar has an extended header of impossible size");
    // Which of two says the name is another one for every reader.
    if (this.#said !== undefined) refuse(TWO_WAYS);
    this.#extension = { type, bytes: [] };
    this.#begin("extension", size);
  }

  #begin(part: "body" | "extension", size: number): void {
    this.#part = part;
    this.#left = size;
    this.#padding = (BLOCK - (size % BLOCK)) % BLOCK;
    if (size === 0) this.#endOfBody();
  }

  #endOfBody(): void {
    if (this.#part === "body") this.#member?.end();
    else if (this.#extension) this.#applyExtension(this.#extension.type, Buffer.concat(this.#extension.bytes));
    this.#member = undefined;
    this.#extension = undefined;
    this.#part = this.#padding > 0 ? "padding" : "header";
  }

  #applyExtension(type: string, bytes: Buffer): void {
    const said = inTar(() => readExtension(type, bytes));
    if (said.linkpath !== undefined) refuse("tar has a link");
    this.#said = said;
  }
}

/** Names nothing of the archive: the message is no secret. */
function inTar<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof TarRefusal) refuse(`tar ${error.what}`);
    throw error;
  }
}

/** Text passes; anything binary of unknown kind does not: pickles are among them. */
class OtherMemberChecker implements Checker {
  readonly #text = new TextChecker();
  write(piece: Uint8Array): void {
    this.#guard(() => this.#text.write(piece));
  }
  end(): void {
    this.#guard(() => this.#text.end());
  }
  #guard(check: () => void): void {
    try {
      check();
    } catch {
      refuse("tar has a binary member of unknown kind; name it by its format, or say allowUnsafeFormat");
    }
  }
}

function checkName(name: string): void {
  const parts = name.replace(/\/+$/, "").split("/");
  const bad = name === "" || name.startsWith("/") || name.includes("\0") || name.includes("\\") || parts.includes("..");
  if (bad) refuse("tar has a member outside of its folder");
}
