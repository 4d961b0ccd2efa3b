/**
 * ONNX: the ModelProto and its graph's tensors as protobuf wire format. Tensors that live in other files are refused:
 * a loader would open paths that the model names. Source: github.com/onnx/onnx onnx.proto3.
 */
import { type Checker, refuse } from "./types";

/** Messages that are looked into: name → field → message inside. */
const INSIDE: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  model: { 7: "graph", 20: "training", 25: "function" },
  training: { 1: "graph", 2: "graph" },
  function: { 7: "node", 11: "attribute" },
  graph: { 1: "node", 5: "tensor", 15: "sparse" },
  node: { 5: "attribute" },
  attribute: { 5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse" },
  sparse: { 1: "tensor", 2: "tensor" },
  tensor: {},
};
const MAX_DEPTH = 64;
/** Fields of TensorProto: external_data, data_location (1 = EXTERNAL). */
const EXTERNAL_DATA = 13;
const DATA_LOCATION = 14;
const KNOWN_MODEL_FIELDS = new Set([1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26]);

interface Frame {
  readonly message: string;
  /** Bytes of this message still to come; Infinity for the model. */
  left: number;
}

export class OnnxChecker implements Checker {
  readonly #frames: Frame[] = [{ message: "model", left: Number.POSITIVE_INFINITY }];
  #skip = 0;
  #varint = 0n;
  #shift = 0n;
  #want: "tag" | "varint" | "length" = "tag";
  #field = 0;
  readonly #seen = new Set<number>();

  write(piece: Uint8Array): void {
    for (let at = 0; at < piece.length; ) {
      if (this.#skip > 0) {
        const n = Math.min(this.#skip, piece.length - at);
        this.#skip -= n;
        at += n;
        this.#consume(n);
        this.#leave();
        continue;
      }
      const byte = piece[at++] as number;
      this.#consume(1);
      this.#varint |= BigInt(byte & 0x7f) << this.#shift;
      this.#shift += 7n;
      if (byte >= 0x80) {
        if (this.#shift > 63n) refuse("onnx has a malformed number");
        continue;
      }
      const value = this.#varint;
      this.#varint = 0n;
      this.#shift = 0n;
      this.#number(value);
      this.#leave();
    }
  }

  end(): void {
    if (this.#frames.length > 1 || this.#skip > 0 || this.#shift > 0n || this.#want !== "tag")
      refuse("onnx is cut off");
    if (!this.#seen.has(1) || !this.#seen.has(7)) refuse("not an ONNX model: no version or graph");
  }

  #number(value: bigint): void {
    if (this.#want === "tag") {
      this.#tag(value);
      return;
    }
    const want = this.#want;
    this.#want = "tag";
    if (want === "varint") {
      if (this.#top.message === "tensor" && this.#field === DATA_LOCATION && value !== 0n) {
        refuse("onnx has tensors in other files");
      }
      return;
    }
    if (value > BigInt(Math.min(this.#top.left, Number.MAX_SAFE_INTEGER)))
      refuse("onnx has a field longer than its message");
    this.#enter(Number(value));
  }

  #tag(value: bigint): void {
    this.#field = Number(value >> 3n);
    if (this.#field === 0) refuse("onnx has a malformed field");
    if (this.#frames.length === 1) {
      if (!KNOWN_MODEL_FIELDS.has(this.#field)) refuse("not an ONNX model: unknown field");
      this.#seen.add(this.#field);
    }
    switch (Number(value & 7n)) {
      case 0:
        this.#want = "varint";
        return;
      case 1:
        this.#skip = 8;
        return;
      case 2:
        this.#want = "length";
        return;
      case 5:
        this.#skip = 4;
        return;
      default:
        refuse("onnx has a malformed field");
    }
  }

  #enter(length: number): void {
    const { message } = this.#top;
    if (message === "tensor" && this.#field === EXTERNAL_DATA) refuse("onnx has tensors in other files");
    const inside = INSIDE[message]?.[this.#field];
    if (inside === undefined) {
      this.#skip = length;
      return;
    }
    if (this.#frames.length === MAX_DEPTH) refuse(`onnx is nested deeper than ${MAX_DEPTH}`);
    this.#frames.push({ message: inside, left: length });
  }

  get #top(): Frame {
    return this.#frames.at(-1) as Frame;
  }

  #consume(n: number): void {
    for (const frame of this.#frames) {
      frame.left -= n;
      if (frame.left < 0) refuse("onnx has a field longer than its message");
    }
  }

  /** Messages that are complete; one may end only between fields. */
  #leave(): void {
    while (this.#frames.length > 1 && this.#top.left === 0 && this.#skip === 0) {
      if (this.#want !== "tag" || this.#shift > 0n) refuse("onnx has a message that ends inside a field");
      this.#frames.pop();
    }
  }
}
