/** Byte helpers; no format knowledge. */

const encoder = new TextEncoder();

export const utf8 = (text: string): Uint8Array => encoder.encode(text);

export function concat(...parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** A view, not a copy. */
export const buffer = (b: Uint8Array): Buffer => Buffer.from(b.buffer, b.byteOffset, b.byteLength);

export const hex = (b: Uint8Array): string => buffer(b).toString("hex");
export const base64 = (b: Uint8Array): string => buffer(b).toString("base64");
export const base64url = (b: Uint8Array): string => buffer(b).toString("base64url");

export const fromHex = (text: string): Uint8Array => strict(text, "hex");
export const fromBase64 = (text: string): Uint8Array => strict(text, "base64");
export const fromBase64url = (text: string): Uint8Array => strict(text, "base64url");

export function u32be(n: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, n, false);
  return out;
}

/** Length-prefixed (u32, big-endian), so that joined fields cannot shift into each other. */
export const prefixed = (b: Uint8Array): Uint8Array => concat(u32be(b.length), b);

/** Node's decoders skip what they do not know; only text that encodes back to itself is accepted. */
function strict(text: string, encoding: "hex" | "base64" | "base64url"): Uint8Array {
  const bytes = Buffer.from(text, encoding);
  if (bytes.toString(encoding) !== text) throw new RangeError(`not canonical ${encoding}`);
  return new Uint8Array(bytes);
}

export const equalBytesHex = (a: Uint8Array, text: string): boolean => hex(a) === text;

/**
 * Gives a buffer's memory back at once. The collector does not see how much memory hangs on small objects until tens of
 * megabytes have gathered, and memory that was just used is in the cores' caches. A wish: Node 20 cannot.
 */
export function release(bytes: Uint8Array): void {
  const { buffer: whole, byteOffset, byteLength } = bytes;
  // A part of a larger buffer is somebody else's too.
  if (byteOffset !== 0 || byteLength !== whole.byteLength || !(whole instanceof ArrayBuffer)) return;
  (whole as ArrayBuffer & { transfer?: (size: number) => ArrayBuffer }).transfer?.(0);
}
