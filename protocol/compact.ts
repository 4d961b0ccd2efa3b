/** A compact JWS without its content: header, signature and strict base64url (RFC 7515 section 3.1, RFC 8037). */
import { type KeyObject, sign, verify } from "node:crypto";
import { base64url, fromBase64url, utf8 } from "./bytes";
import { ProtocolError } from "./errors";

/** Deterministic: same type, payload and key, same text. */
export function signCompact(typ: string, payload: Uint8Array, key: KeyObject): string {
  const signed = `${base64url(utf8(JSON.stringify({ alg: "EdDSA", typ })))}.${base64url(payload)}`;
  return `${signed}.${base64url(sign(null, utf8(signed), key))}`;
}

/** @returns the payload, signed by the key. @throws ProtocolError SHAPE, TYPE or SIGNATURE. */
export function verifyCompact(typ: string, text: string, key: KeyObject): Uint8Array {
  const parts = text.split(".");
  const [protectedHeader = "", payload = "", signature = ""] = parts;
  const header = headerOf(protectedHeader);
  if (parts.length !== 3 || !header) throw new ProtocolError("SHAPE", `${typ}: not a compact JWS`);
  if (header.typ !== typ) throw new ProtocolError("TYPE", `expected a ${typ}`);
  // One algorithm; and no header that would change what is signed, or that a reader must understand (4.1.11).
  const plain = header.alg === "EdDSA" && key.asymmetricKeyType === "ed25519" && !("crit" in header || "b64" in header);
  if (!plain || !verifies(`${protectedHeader}.${payload}`, signature, key)) {
    throw new ProtocolError("SIGNATURE", `${typ}: signature does not verify`);
  }
  return payloadOf(typ, text);
}

/** Unverified. @throws ProtocolError SHAPE. */
export function payloadOf(typ: string, text: string): Uint8Array {
  const part = text.split(".")[1];
  try {
    if (part !== undefined) return fromBase64url(part);
  } catch {
    // Not canonical base64url.
  }
  throw new ProtocolError("SHAPE", `${typ}: not a compact JWS`);
}

/** `typ` of a compact JWS, unverified; undefined when it is none. */
export const typeOf = (text: string): unknown => headerOf(text.split(".")[0] ?? "")?.typ;

/**
 * Strict about base64url: its unused last bits are skipped by decoders; texts that differ only there would all verify,
 * and each would be another run id or digest.
 */
function verifies(signed: string, signature: string, key: KeyObject): boolean {
  try {
    return verify(null, utf8(signed), key, fromBase64url(signature));
  } catch {
    return false;
  }
}

function headerOf(part: string): Record<string, unknown> | undefined {
  try {
    const header: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(fromBase64url(part)));
    return typeof header === "object" && header !== null && !Array.isArray(header)
      ? (header as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
