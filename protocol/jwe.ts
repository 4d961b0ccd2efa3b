/** JWE compact (RFC 7516) to an X25519 key: ECDH-ES+A256KW, A256GCM. For run secrets, parameters and releases. */
import type { KeyObject } from "node:crypto";
import { CompactEncrypt, compactDecrypt } from "jose";
import { publicKey, rawPublic } from "./crypto";
import { ProtocolError } from "./errors";

/** @param to base64url raw X25519 key. @param context binds the JWE to its place; the opener must name the same. */
export async function sealTo(to: string, context: string, plaintext: Uint8Array): Promise<string> {
  const key = publicKey("X25519", to);
  return new CompactEncrypt(plaintext)
    .setProtectedHeader({ alg: "ECDH-ES+A256KW", enc: "A256GCM", kid: to, typ: context })
    .encrypt(key);
}

/** @throws ProtocolError KEY when the JWE is for another key or context, or was changed. */
export async function openFrom(key: KeyObject, context: string, token: string): Promise<Uint8Array> {
  try {
    const { plaintext, protectedHeader } = await compactDecrypt(token, key, {
      keyManagementAlgorithms: ["ECDH-ES+A256KW"],
      contentEncryptionAlgorithms: ["A256GCM"],
    });
    if (protectedHeader.typ !== context || protectedHeader.kid !== rawPublic(key)) throw new Error("other context");
    return plaintext;
  } catch (cause) {
    throw new ProtocolError("KEY", `${context}: cannot be opened with this key`, { cause });
  }
}
