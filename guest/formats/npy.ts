/** NPY (numpy.lib.format): header read as the restricted literal it is; object arrays hold pickles, which run code. */
import { Collector } from "./gather";
import { type Checker, refuse } from "./types";

const MAGIC = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]);
const MAX_HEADER = 1024 * 1024;

export class NpyChecker implements Checker {
  #held = new Collector(8);
  #part: "magic" | "length" | "header" | "data" = "magic";
  #version = 1;
  /** Bytes of elements still to come; undefined when they cannot be told (objects allowed). */
  #left: number | undefined;

  constructor(private readonly allowObjects: boolean) {}

  write(piece: Uint8Array): void {
    for (let at = 0; at < piece.length; ) {
      if (this.#part === "data") {
        if (this.#left === undefined) return;
        this.#left -= piece.length - at;
        if (this.#left < 0) refuse("npy has bytes after its elements");
        return;
      }
      at += this.#held.take(piece, at);
      if (this.#held.done) this.#advance(this.#held.bytes);
    }
  }

  end(): void {
    if (this.#part !== "data" || (this.#left ?? 0) !== 0) refuse("npy is cut off");
  }

  #advance(bytes: Buffer): void {
    switch (this.#part) {
      case "magic":
        this.#version = bytes[6] as number;
        if (!bytes.subarray(0, 6).equals(MAGIC) || this.#version < 1 || this.#version > 3 || bytes[7] !== 0) {
          refuse("not an npy file of a known version");
        }
        this.#part = "length";
        this.#held = new Collector(this.#version === 1 ? 2 : 4);
        return;
      case "length": {
        const length = this.#version === 1 ? bytes.readUInt16LE(0) : bytes.readUInt32LE(0);
        if (length === 0 || length > MAX_HEADER) refuse("npy has an impossible header length");
        this.#part = "header";
        this.#held = new Collector(length);
        return;
      }
      default:
        this.#left = this.#elements(bytes.toString(this.#version === 3 ? "utf8" : "latin1"));
        this.#part = "data";
    }
  }

  #elements(header: string): number | undefined {
    const value = new Literal(header).read();
    if (!(value instanceof Map) || value.size !== 3) return refuse("npy has a header of unknown form");
    const shape = value.get("shape");
    if (typeof value.get("fortran_order") !== "boolean" || !Array.isArray(shape)) {
      return refuse("npy has a header of unknown form");
    }
    const item = itemBytes(value.get("descr"));
    if (item === undefined) {
      if (!this.allowObjects) refuse("npy holds Python objects, which run code when they are loaded");
      return undefined;
    }
    let count = 1;
    for (const n of shape) {
      if (typeof n !== "number") return refuse("npy has a shape that is not numbers");
      count *= n;
    }
    return Number.isSafeInteger(count * item) ? count * item : refuse("npy is impossibly large");
  }
}

type Value = string | number | boolean | Value[] | Map<string, Value>;

/** Bytes per element; undefined when it contains objects. */
function itemBytes(descr: Value | undefined): number | undefined {
  if (typeof descr === "string") return scalarBytes(descr);
  if (!Array.isArray(descr)) return refuse("npy has an unknown element type");
  let total = 0;
  for (const field of descr) {
    // (name, type) or (name, type, shape); a name may be (title, name).
    if (!Array.isArray(field) || field.length < 2 || field.length > 3) return refuse("npy has an unknown element type");
    const bytes = itemBytes(field[1]);
    if (bytes === undefined) return undefined;
    const shape = field[2] ?? [];
    const counts = Array.isArray(shape) ? shape : [shape];
    total += counts.reduce<number>(
      (n, c) => (typeof c === "number" ? n * c : refuse("npy has a malformed field")),
      bytes,
    );
  }
  return total;
}

function scalarBytes(descr: string): number | undefined {
  const [, kind, digits] = /^[<>=|]?([?bBiufcSUVmMOa])(\d{0,9})(?:\[[0-9a-zA-Zµ/]{1,20}\])?$/.exec(descr) ?? [];
  if (!kind) return refuse("npy has an unknown element type");
  if (kind === "O") return undefined;
  const size = digits ? Number(digits) : 1;
  return kind === "U" ? size * 4 : size;
}

/** The subset of Python literals that numpy writes. */
class Literal {
  #at = 0;
  #depth = 0;

  constructor(private readonly text: string) {}

  read(): Value {
    const value = this.#value();
    this.#space();
    if (this.#at !== this.text.length) return refuse("npy has something after its header");
    return value;
  }

  #value(): Value {
    if (++this.#depth > 32) return refuse("npy has a header that is nested too deeply");
    try {
      this.#space();
      const c = this.text[this.#at];
      if (c === "{") return this.#map();
      if (c === "[") return this.#sequence("]");
      if (c === "(") return this.#sequence(")");
      if (c === "'" || c === '"') return this.#string(c);
      return this.#word();
    } finally {
      this.#depth--;
    }
  }

  #map(): Map<string, Value> {
    const map = new Map<string, Value>();
    this.#at++;
    while (!this.#end("}")) {
      const key = this.#value();
      if (typeof key !== "string" || map.has(key)) return refuse("npy has a header of unknown form");
      this.#expect(":");
      map.set(key, this.#value());
      if (!this.#comma("}")) break;
    }
    return map;
  }

  #sequence(close: string): Value[] {
    const list: Value[] = [];
    this.#at++;
    while (!this.#end(close)) {
      list.push(this.#value());
      if (!this.#comma(close)) break;
    }
    return list;
  }

  #string(quote: string): string {
    const end = this.text.indexOf(quote, this.#at + 1);
    const value = this.text.slice(this.#at + 1, end);
    if (end < 0 || value.includes("\\")) return refuse("npy has a header of unknown form");
    this.#at = end + 1;
    return value;
  }

  #word(): Value {
    const word = /^(True|False|\d{1,18}L?)/.exec(this.text.slice(this.#at, this.#at + 20))?.[0];
    if (!word) return refuse("npy has a header of unknown form");
    this.#at += word.length;
    return word === "True" || word === "False" ? word === "True" : Number(word.replace("L", ""));
  }

  #space(): void {
    while (/[ \n\t]/.test(this.text[this.#at] ?? "")) this.#at++;
  }

  #end(close: string): boolean {
    this.#space();
    if (this.text[this.#at] !== close) return false;
    this.#at++;
    return true;
  }

  /** @returns false when `close` was read instead. */
  #comma(close: string): boolean {
    if (this.#end(close)) return false;
    this.#expect(",");
    return true;
  }

  #expect(mark: string): void {
    this.#space();
    if (this.text[this.#at] !== mark) refuse("npy has a header of unknown form");
    this.#at++;
  }
}
