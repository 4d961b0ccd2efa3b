/**
 * JWE's ECDH-ES+A256KW and A256GCM (RFC 7516, 7518 sections 4.6 and 5.3) on Node's own functions, without its header:
 * each use has exactly one, and says what may stand in it. Pure: keys and initialisation vectors are arguments.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  diffieHellman,
  type KeyObject,
} from "node:crypto";
import { base64url, concat, fromBase64url, u32be, utf8 } from "./bytes";

export const ALG = "ECDH-ES+A256KW";
export const ENC = "A256GCM";

/** IV of AES key wrap, RFC 3394 section 2.2.3.1. */
const WRAP_IV = Buffer.alloc(8, 0xa6);
/** What the derivation is told beside the secret: algorithm, no party information, 256 bits (RFC 7518 section 4.6.2). */
const KDF_INFO = concat(u32be(ALG.length), utf8(ALG), u32be(0), u32be(0), u32be(256));

/** Base64url of a JWE's parts behind its header. */
export interface JweParts {
  readonly encryptedKey: string;
  readonly iv: string;
  readonly ciphertext: string;
  readonly tag: string;
}

export interface Sealing {
  /** The ephemeral private key and the reader's public one. */
  readonly mine: KeyObject;
  readonly theirs: KeyObject;
  /** 32 bytes, used once. */
  readonly contentKey: Uint8Array;
  /** 12 bytes. */
  readonly iv: Uint8Array;
  /** Base64url of the header. */
  readonly header: string;
}

export function sealParts({ mine, theirs, contentKey, iv, header }: Sealing, plaintext: Uint8Array): JweParts {
  if (contentKey.length !== 32 || iv.length !== 12) throw new RangeError("expected a key of 32 bytes, an IV of 12");
  const wrap = createCipheriv("id-aes256-wrap", wrappingKey(mine, theirs), WRAP_IV);
  const encryptedKey = concat(wrap.update(contentKey), wrap.final());
  const gcm = createCipheriv("aes-256-gcm", createSecretKey(contentKey), iv).setAAD(utf8(header));
  const ciphertext = concat(gcm.update(plaintext), gcm.final());
  return {
    encryptedKey: base64url(encryptedKey),
    iv: base64url(iv),
    ciphertext: base64url(ciphertext),
    tag: base64url(gcm.getAuthTag()),
  };
}

/**
 * @param mine the reader's private key. @param theirs the ephemeral public one.
 * @throws for another key, changed parts, lengths other than the algorithms', and base64url in a second spelling.
 */
export function openParts(mine: KeyObject, theirs: KeyObject, header: string, parts: JweParts): Uint8Array {
  const [encryptedKey, iv, ciphertext, tag] = [parts.encryptedKey, parts.iv, parts.ciphertext, parts.tag].map(
    fromBase64url,
  ) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  if (encryptedKey.length !== 40 || iv.length !== 12 || tag.length !== 16) throw new RangeError("other lengths");
  const unwrap = createDecipheriv("id-aes256-wrap", wrappingKey(mine, theirs), WRAP_IV);
  const contentKey = concat(unwrap.update(encryptedKey), unwrap.final());
  const gcm = createDecipheriv("aes-256-gcm", createSecretKey(contentKey), iv, { authTagLength: 16 }).setAAD(
    utf8(header),
  );
  gcm.setAuthTag(tag);
  return concat(gcm.update(ciphertext), gcm.final());
}

/**
 * Concat KDF, RFC 7518 section 4.6.2: one round of SHA-256. Keys go to ciphers as key objects: of bytes Node finds out by
 * an exception that they are none, which takes longer than the cipher.
 * @throws for a public key that makes the secret zero.
 */
function wrappingKey(mine: KeyObject, theirs: KeyObject): KeyObject {
  const secret = diffieHellman({ privateKey: mine, publicKey: theirs });
  // OpenSSL refuses points of small order itself (RFC 7748 section 6.1); this does not depend on it.
  if (secret.every((byte) => byte === 0)) throw new RangeError("the shared secret is zero");
  return createSecretKey(createHash("sha256").update(u32be(1)).update(secret).update(KDF_INFO).digest());
}
