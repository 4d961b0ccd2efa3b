/** safetensors: u64le header length, JSON header, tensors without gaps. Source: github.com/huggingface/safetensors. */
import { Collector } from "./gather";
import { type Checker, refuse } from "./types";

/** The format allows 100 MB; real headers have some hundred bytes per tensor. */
const MAX_HEADER = 25 * 1024 * 1024;
/** Bits per element. */
const BITS: Readonly<Record<string, number>> = {
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  I64: 64,
  U64: 64,
  F64: 64,
};

export class SafetensorsChecker implements Checker {
  #held = new Collector(8);
  #inHeader = false;
  /** Bytes of tensors still to come; undefined before the header was read. */
  #left: number | undefined;

  write(piece: Uint8Array): void {
    for (let at = 0; at < piece.length; ) {
      if (this.#left !== undefined) {
        this.#left -= piece.length - at;
        if (this.#left < 0) refuse("safetensors has bytes after its tensors");
        return;
      }
      at += this.#held.take(piece, at);
      if (this.#held.done) this.#advance();
    }
  }

  end(): void {
    if (this.#left !== 0) refuse("safetensors is cut off");
  }

  #advance(): void {
    if (this.#inHeader) {
      this.#left = dataBytes(this.#held.bytes);
      return;
    }
    const length = this.#held.bytes.readBigUInt64LE(0);
    if (length < 2n || length > MAX_HEADER) refuse("safetensors has an impossible header length");
    this.#held = new Collector(Number(length));
    this.#inHeader = true;
  }
}

/** @returns size of all tensors. */
function dataBytes(header: Buffer): number {
  let entries: [string, unknown][];
  try {
    const parsed: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(header));
    if (header[0] !== 0x7b || typeof parsed !== "object" || parsed === null) throw new Error("no object");
    entries = Object.entries(parsed);
  } catch {
    return refuse("safetensors has a header that is not a JSON object");
  }
  const spans = entries.filter(([name]) => name !== "__metadata__").map(([, entry]) => span(entry));
  spans.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let end = 0;
  for (const [from, to] of spans) {
    if (from !== end) refuse("safetensors has tensors with gaps or overlaps");
    end = to;
  }
  return end;
}

function span(entry: unknown): [number, number] {
  const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
  const bits = typeof dtype === "string" && Object.hasOwn(BITS, dtype) ? BITS[dtype] : undefined;
  if (!bits || !Array.isArray(shape) || !Array.isArray(offsets) || offsets.length !== 2) {
    return refuse("safetensors has a tensor without known type, shape or place");
  }
  const [from, to] = offsets as unknown[];
  if (!isCount(from) || !isCount(to) || !shape.every(isCount)) return refuse("safetensors has a malformed tensor");
  const bytes = (shape as number[]).reduce((n, d) => n * d, bits) / 8;
  if (to - from !== bytes) return refuse("safetensors has a tensor whose size is not that of its shape");
  return [from, to];
}

const isCount = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;
