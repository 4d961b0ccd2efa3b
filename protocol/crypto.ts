/** The primitives, all from Node's crypto (OpenSSL). Nothing here chooses a key, a nonce or a label. */
import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  hash,
  hkdfSync,
  type KeyObject,
  sign as nodeSign,
  verify as nodeVerify,
  timingSafeEqual,
} from "node:crypto";
import { base64url, buffer, concat, fromBase64url, fromHex, utf8 } from "./bytes";
import { ProtocolError } from "./errors";

export const sha256 = (b: Uint8Array): Uint8Array => new Uint8Array(hash("sha256", b, "buffer"));
export const sha384 = (b: Uint8Array): Uint8Array => new Uint8Array(hash("sha384", b, "buffer"));
/** Of a text: of its UTF-8. */
export const sha256hex = (b: Uint8Array | string): string => hash("sha256", b, "hex");
/** @param key a key object where it is used often: making one takes longer than the HMAC. */
export const hmacSha256 = (key: Uint8Array | KeyObject, b: Uint8Array): Uint8Array =>
  new Uint8Array(createHmac("sha256", key).update(b).digest());

/** HKDF-SHA256, RFC 5869. @param length bytes, at most 8160. */
export function hkdf(ikm: Uint8Array, salt: Uint8Array, info: string | Uint8Array, length = 32): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", ikm, salt, typeof info === "string" ? utf8(info) : info, length));
}

export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);

// DER wrappings of raw 32-byte keys, RFC 8410.
const PKCS8 = {
  Ed25519: fromHex("302e020100300506032b657004220420"),
  X25519: fromHex("302e020100300506032b656e04220420"),
};
const SPKI = { Ed25519: fromHex("302a300506032b6570032100"), X25519: fromHex("302a300506032b656e032100") };

export type Curve = "Ed25519" | "X25519";

/** @param seed 32 bytes. */
export function privateKey(curve: Curve, seed: Uint8Array): KeyObject {
  if (seed.length !== 32) throw new ProtocolError("KEY", `${curve} seed: ${seed.length} bytes, expected 32`);
  return createPrivateKey({ key: buffer(concat(PKCS8[curve], seed)), format: "der", type: "pkcs8" });
}

/**
 * Keys by curve and text. A ledger verifies with the same few keys again and again; parsing one, and what the JWS library
 * keeps with each key object, takes longer than a signature's verification.
 */
const parsedKeys = new Map<string, KeyObject>();
const MAX_PARSED_KEYS = 512;

/** @param raw base64url of the 32 raw bytes, as all messages carry public keys. */
export function publicKey(curve: Curve, raw: string): KeyObject {
  const name = `${curve} ${raw}`;
  const known = parsedKeys.get(name);
  if (known) return known;
  const key = unkeptPublicKey(curve, raw);
  if (parsedKeys.size >= MAX_PARSED_KEYS) {
    const [oldest] = parsedKeys.keys();
    if (oldest !== undefined) parsedKeys.delete(oldest);
  }
  parsedKeys.set(name, key);
  return key;
}

/** As `publicKey`, for a key that is used once. */
export function unkeptPublicKey(curve: Curve, raw: string): KeyObject {
  let bytes: Uint8Array;
  try {
    bytes = fromBase64url(raw);
  } catch {
    throw new ProtocolError("KEY", `${curve} public key is not base64url`);
  }
  if (bytes.length !== 32) throw new ProtocolError("KEY", `${curve} public key: ${bytes.length} bytes, expected 32`);
  return createPublicKey({ key: buffer(concat(SPKI[curve], bytes)), format: "der", type: "spki" });
}

/** base64url of the raw 32 bytes of a key's public half. */
export function rawPublic(key: KeyObject): string {
  const half = key.type === "private" ? createPublicKey(key) : key;
  return base64url(new Uint8Array(half.export({ format: "der", type: "spki" })).slice(-32));
}

/** Ed25519, RFC 8032: 64 bytes. */
export const signEd25519 = (key: KeyObject, message: Uint8Array): Uint8Array =>
  new Uint8Array(nodeSign(null, message, key));

export const verifyEd25519 = (key: KeyObject, message: Uint8Array, signature: Uint8Array): boolean =>
  nodeVerify(null, message, key, signature);
