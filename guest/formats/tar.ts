/**
 * tar (ustar, pax, GNU long names): regular files and folders with plain relative names; every member is checked as its
 * name's ending says. A member of unknown kind must be text, or the edge must allow unsafe formats. What programs read in
 * two ways (a name said twice, a file that some take for a folder) is refused: what was checked is what they find.
 */
import type { Format } from "../../protocol/formats";
import { Collector } from "./gather";
import { TextChecker } from "./text";
import { type Checker, refuse } from "./types";

const BLOCK = 512;
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
  #nextName: string | undefined;
  #nextSize: number | undefined;
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
    checkSum(h);
    const type = String.fromCharCode(h[156] || 0x30);
    const size = sizeField(h);
    if (type === "x" || type === "L") {
      this.#beginExtension(type, size);
      return;
    }
    if (type !== "0" && type !== "5") refuse("tar has a member that is neither file nor folder");
    const own = ustarName(h);
    const name = this.#nextName ?? own;
    // Of the oldest type, a folder is a file whose name ends so: readers of it look for the next header in its content.
    if (type === "0" && (name.endsWith("/") || (h[156] === 0 && own.endsWith("/")))) refuse(TWO_WAYS);
    const bytes = this.#nextSize ?? size;
    this.#nextName = undefined;
    this.#nextSize = undefined;
    checkName(name);
    if (type === "5") {
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
    if (this.#nextName !== undefined || this.#nextSize !== undefined) refuse(TWO_WAYS);
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
    if (type === "L") {
      this.#nextName = bytes.toString("utf8").replace(/\0+$/, "");
      return;
    }
    for (const [key, value] of paxRecords(bytes)) {
      if (key === "path") {
        if (this.#nextName !== undefined) refuse(TWO_WAYS);
        this.#nextName = value;
      } else if (key === "size") {
        if (this.#nextSize !== undefined) refuse(TWO_WAYS);
        if (!/^\d{1,15}$/.test(value)) refuse("tar has a malformed size");
        this.#nextSize = Number(value);
      } else if (key === "linkpath" || key.startsWith("GNU.sparse")) refuse("tar has a link or a sparse file");
    }
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

function checkSum(h: Buffer): void {
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 0x20 : (h[i] as number);
  if (octal(h, 148, 8) !== sum) refuse("tar has a header with a wrong checksum");
}

function sizeField(h: Buffer): number {
  // Base 256, for sizes from 8 GiB.
  if (((h[124] as number) & 0x80) === 0) return octal(h, 124, 12);
  const size = h.readBigUInt64BE(128);
  if (h[124] !== 0x80 || h.subarray(125, 128).some((b) => b !== 0) || size > BigInt(Number.MAX_SAFE_INTEGER))
    refuse("tar has a malformed size");
  return Number(size);
}

function octal(h: Buffer, at: number, length: number): number {
  const text = h
    .toString("latin1", at, at + length)
    .replace(/[\0 ]+$/, "")
    .trimStart();
  return /^[0-7]*$/.test(text) ? Number.parseInt(text || "0", 8) : refuse("tar has a malformed number");
}

function ustarName(h: Buffer): string {
  const field = (at: number, length: number) => h.toString("utf8", at, at + length).replace(/\0[\s\S]*$/, "");
  // Only POSIX has a prefix; GNU's own variant uses the field for other things, and readers take it for one all the same.
  const posix = h.toString("latin1", 257, 263) === "ustar\0";
  if (!posix && h.subarray(345, 500).some((byte) => byte !== 0)) refuse(TWO_WAYS);
  const prefix = posix ? field(345, 155) : "";
  return prefix ? `${prefix}/${field(0, 100)}` : field(0, 100);
}

function checkName(name: string): void {
  const parts = name.replace(/\/+$/, "").split("/");
  const bad = name === "" || name.startsWith("/") || name.includes("\0") || name.includes("\\") || parts.includes("..");
  if (bad) refuse("tar has a member outside of its folder");
}

function* paxRecords(bytes: Buffer): Generator<[string, string]> {
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const digits = bytes.toString("latin1", at, space);
    const length = /^[1-9]\d{0,5}$/.test(digits) ? Number(digits) : 0;
    const record = bytes.subarray(space + 1, at + length - 1);
    const equals = record.indexOf(0x3d);
    if (space < 0 || length < 5 || at + length > bytes.length || bytes[at + length - 1] !== 0x0a || equals < 1) {
      refuse("tar has a malformed extended header");
    }
    yield [record.toString("utf8", 0, equals), record.toString("utf8", equals + 1)];
    at += length;
  }
}
