/** JWS compact (RFC 7515), EdDSA, one `typ` per message so that no message can stand in for another. */
import type { KeyObject } from "node:crypto";
import { CompactSign, compactVerify, decodeProtectedHeader } from "jose";
import { fromBase64url, utf8 } from "./bytes";
import { jcs } from "./canonical";
import { sha256hex } from "./crypto";
import { ProtocolError } from "./errors";
import { parse, type Shape } from "./shape";

export type JwsType =
  | "sealflow-bundle+jwt"
  | "sealflow-descriptor+jwt"
  | "sealflow-revoke+jwt"
  | "sealflow-run+jwt"
  | "sealflow-schedule+jwt"
  | "sealflow-cancel+jwt"
  | "sealflow-read+jwt"
  | "sealflow-claim+jwt"
  | "sealflow-claim-answer+jwt"
  | "sealflow-commit+jwt"
  | "sealflow-commit-answer+jwt"
  | "sealflow-answer+jwt"
  | "sealflow-upload+jwt"
  | "sealflow-parts+jwt"
  | "sealflow-parts-answer+jwt"
  | "sealflow-head+jwt";

/** Signs the canonical JSON of `payload`. Deterministic: same payload and key, same text. */
export async function signJws(typ: JwsType, payload: unknown, key: KeyObject): Promise<string> {
  return new CompactSign(utf8(jcs(payload))).setProtectedHeader({ alg: "EdDSA", typ }).sign(key);
}

/**
 * Verifies signature, type and shape, in that order.
 * @throws ProtocolError TYPE, SIGNATURE or SHAPE.
 */
export async function verifyJws<T>(typ: JwsType, token: string, key: KeyObject, shape: Shape<T>): Promise<T> {
  if (typeof token !== "string") throw new ProtocolError("SHAPE", `${typ}: not a text`);
  let header: { typ?: unknown; alg?: unknown };
  try {
    header = decodeProtectedHeader(token);
  } catch {
    throw new ProtocolError("SHAPE", `${typ}: not a compact JWS`);
  }
  if (header.typ !== typ) throw new ProtocolError("TYPE", `expected a ${typ}`);
  requireCanonicalSignature(typ, token);
  let payload: Uint8Array;
  try {
    ({ payload } = await compactVerify(token, key, { algorithms: ["EdDSA"] }));
  } catch (cause) {
    throw new ProtocolError("SIGNATURE", `${typ}: signature does not verify`, { cause });
  }
  return parse(shape, decodeJson(payload, typ), typ);
}

/**
 * The signature's base64url has unused bits that decoders skip; texts that differ only there would all verify, and each
 * would be another run id or digest.
 */
function requireCanonicalSignature(typ: JwsType, token: string): void {
  try {
    fromBase64url(token.split(".")[2] ?? "");
  } catch (cause) {
    throw new ProtocolError("SIGNATURE", `${typ}: signature is not canonical base64url`, { cause });
  }
}

/** Reads without verifying: only to learn which key to verify with. Name the result `unverified…`. */
export function peekJws<T>(typ: JwsType, token: string, shape: Shape<T>): T {
  const part = typeof token === "string" ? token.split(".")[1] : undefined;
  if (part === undefined) throw new ProtocolError("SHAPE", `${typ}: not a compact JWS`);
  let payload: Uint8Array;
  try {
    payload = fromBase64url(part);
  } catch {
    throw new ProtocolError("SHAPE", `${typ}: not a compact JWS`);
  }
  return parse(shape, decodeJson(payload, typ), typ);
}

/** `typ` of a compact JWS, unverified; undefined when it is none. */
export function peekType(token: string): unknown {
  try {
    return decodeProtectedHeader(token).typ;
  } catch {
    return undefined;
  }
}

/** The digest by which other messages refer to a JWS: SHA-256 of its compact text, hex. */
export const jwsDigest = (token: string): string => sha256hex(utf8(token));

function decodeJson(payload: Uint8Array, typ: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
  } catch {
    throw new ProtocolError("SHAPE", `${typ}: payload is not JSON`);
  }
}
