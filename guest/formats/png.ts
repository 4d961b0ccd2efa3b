/** PNG: signature, chunks with right checksums, IHDR first, IDAT there, IEND last, nothing after it. */
import { crc32 } from "node:zlib";
import { Collector } from "./gather";
import { type Checker, refuse } from "./types";

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

export class PngChecker implements Checker {
  #part: "signature" | "head" | "body" | "crc" | "over" = "signature";
  #held = new Collector(8);
  #type = "";
  #left = 0;
  #crc = 0;
  #first = true;
  #hasData = false;
  readonly #header = new Collector(8);

  write(piece: Uint8Array): void {
    for (let at = 0; at < piece.length; ) {
      if (this.#part === "over") refuse("PNG has bytes after its end");
      if (this.#part === "body") at += this.#body(piece.subarray(at, at + this.#left));
      else {
        at += this.#held.take(piece, at);
        if (this.#held.done) this.#advance(this.#held.bytes);
      }
    }
  }

  end(): void {
    if (this.#part !== "over") refuse("PNG is cut off");
    if (!this.#hasData) refuse("PNG has no image data");
  }

  #advance(bytes: Buffer): void {
    if (this.#part === "signature") {
      if (!bytes.equals(SIGNATURE)) refuse("not a PNG");
      this.#expect("head", 8);
    } else if (this.#part === "head") this.#head(bytes);
    else {
      if (bytes.readUInt32BE(0) !== this.#crc) refuse("PNG has a chunk with a wrong checksum");
      if (this.#type === "IEND") this.#part = "over";
      else this.#expect("head", 8);
    }
  }

  #head(bytes: Buffer): void {
    this.#left = bytes.readUInt32BE(0);
    this.#type = bytes.toString("latin1", 4, 8);
    this.#crc = crc32(bytes.subarray(4));
    if (!/^[A-Za-z]{4}$/.test(this.#type) || this.#left > 0x7fffffff) refuse("PNG has a malformed chunk");
    if (this.#first !== (this.#type === "IHDR") || (this.#first && this.#left !== 13)) {
      refuse("PNG does not begin with its header");
    }
    if (this.#type === "IEND" && this.#left > 0) refuse("PNG has a malformed end");
    if (this.#type === "IDAT") this.#hasData = true;
    this.#first = false;
    if (this.#left > 0) this.#part = "body";
    else this.#expect("crc", 4);
  }

  #body(part: Uint8Array): number {
    this.#crc = crc32(part, this.#crc);
    if (this.#type === "IHDR" && !this.#header.done) {
      this.#header.take(part, 0);
      const { bytes, done } = this.#header;
      if (done && (bytes.readUInt32BE(0) === 0 || bytes.readUInt32BE(4) === 0)) refuse("PNG has no pixels");
    }
    this.#left -= part.length;
    if (this.#left === 0) this.#expect("crc", 4);
    return part.length;
  }

  #expect(part: "head" | "crc", bytes: number): void {
    this.#part = part;
    this.#held = new Collector(bytes);
  }
}
