/** JWE compact (RFC 7516) to an X25519 key: ECDH-ES+A256KW, A256GCM. For run secrets, parameters and releases. */
import { generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { base64url, fromBase64url, utf8 } from "./bytes";
import { rawPublic, unkeptPublicKey } from "./crypto";
import { ALG, ENC, openParts, sealParts } from "./ecdh-es";
import { ProtocolError } from "./errors";
import { literal, object, parse, text } from "./shape";

/** The only header there is: nothing else may change how it is read (`crit`, `zip`, `apu`, `apv`). */
const header = object({
  alg: literal(ALG),
  enc: literal(ENC),
  kid: text({ max: 43 }),
  typ: text(),
  epk: object({ crv: literal("X25519"), kty: literal("OKP"), x: text({ max: 43 }) }),
});

/** @param to base64url raw X25519 key. @param context binds the JWE to its place; the opener must name the same. */
export async function sealTo(to: string, context: string, plaintext: Uint8Array): Promise<string> {
  const theirs = unkeptPublicKey("X25519", to);
  const { privateKey: mine, publicKey: half } = generateKeyPairSync("x25519");
  const epk = { x: half.export({ format: "jwk" }).x, crv: "X25519", kty: "OKP" };
  const head = base64url(utf8(JSON.stringify({ alg: ALG, enc: ENC, kid: to, typ: context, epk })));
  const random = { contentKey: randomBytes(32), iv: randomBytes(12) };
  const { encryptedKey, iv, ciphertext, tag } = sealParts({ mine, theirs, ...random, header: head }, plaintext);
  return [head, encryptedKey, iv, ciphertext, tag].join(".");
}

/** @throws ProtocolError KEY when the JWE is for another key or context, or was changed. */
export async function openFrom(key: KeyObject, context: string, token: string): Promise<Uint8Array> {
  try {
    const [head = "", encryptedKey = "", iv = "", ciphertext = "", tag = "", ...more] = token.split(".");
    if (more.length > 0) throw new Error("other parts");
    const { kid, typ, epk } = parse(header, JSON.parse(Buffer.from(fromBase64url(head)).toString("utf8")), "header");
    if (typ !== context || kid !== rawPublic(key)) throw new Error("other context");
    return openParts(key, unkeptPublicKey("X25519", epk.x), head, { encryptedKey, iv, ciphertext, tag });
  } catch (cause) {
    throw new ProtocolError("KEY", `${context}: cannot be opened with this key`, { cause });
  }
}
