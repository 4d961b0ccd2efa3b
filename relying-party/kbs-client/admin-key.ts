/**
 * The admin key of a key broker, and the tokens it signs. The key is an Ed25519 private JWK that only its owner reads; a
 * KBS knows its public half. Tokens are made per run and live for minutes, so none is ever kept.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { SignJWT } from "jose";
import { ADMIN_CLAIMS, type AdminClaims } from "../../policy";
import { rawPublic } from "../../protocol/crypto";
import { KbsError } from "./errors";

export interface AdminKey {
  readonly key: KeyObject;
  /** What its tokens say; a KBS with other names needs `iss`, `aud`, `role` beside the key in its file. */
  readonly claims: AdminClaims;
  /** The one key broker that its tokens are sent to; undefined: to any, which could then use them at another. */
  readonly kbsUrl?: string;
}

/** Long enough for one call with its repetitions, and for clocks that differ by a minute; seconds. */
const LIFE_SECONDS = 300;
/** A token is used until this long before it ends, seconds. */
const SPARE_SECONDS = 120;

/** Text of a new key file: a private JWK. */
export function createAdminKey(): string {
  const { privateKey } = generateKeyPairSync("ed25519");
  return `${JSON.stringify({ ...privateKey.export({ format: "jwk" }), alg: "EdDSA", kid: rawPublic(privateKey) })}\n`;
}

/**
 * @param text a private JWK (RFC 8037), optionally with members `iss`, `aud` and `role` for its tokens, and `kbsUrl` for whom they are.
 * @param where names the place in errors. @throws KbsError ADMIN_KEY.
 */
export function parseAdminKey(text: string, where: string): AdminKey {
  const wrong = (why: string) =>
    new KbsError("ADMIN_KEY", `${where}: ${why}; expected a private Ed25519 JWK (kty OKP, crv Ed25519, x, d)`);
  let jwk: Record<string, unknown>;
  try {
    jwk = JSON.parse(text);
  } catch {
    throw wrong("not JSON");
  }
  const { kty, crv, x, d, iss, aud, role, kbsUrl } = jwk ?? {};
  if (kty !== "OKP" || crv !== "Ed25519" || typeof x !== "string" || typeof d !== "string") throw wrong("another key");
  for (const [name, value] of Object.entries({ iss, aud, role })) {
    if (value !== undefined && (typeof value !== "string" || value === "")) throw wrong(`${name} is not a text`);
  }
  if (kbsUrl !== undefined && (typeof kbsUrl !== "string" || !URL.canParse(kbsUrl))) throw wrong("kbsUrl is no URL");
  let key: KeyObject;
  try {
    key = createPrivateKey({ format: "jwk", key: { kty, crv, x, d } });
  } catch {
    throw wrong("no valid key");
  }
  if (rawPublic(key) !== x) throw wrong("x is not the public half of d");
  const claims = {
    issuer: (iss as string) ?? ADMIN_CLAIMS.issuer,
    audience: (aud as string) ?? ADMIN_CLAIMS.audience,
    role: (role as string) ?? ADMIN_CLAIMS.role,
  };
  return { key, claims, ...(kbsUrl === undefined ? {} : { kbsUrl: kbsUrl as string }) };
}

/** What the KBS gets: `public_key_uri` of Trustee's admin.authentication names a file with it. */
export const adminPublicPem = ({ key }: Pick<AdminKey, "key">): string =>
  createPublicKey(key).export({ format: "pem", type: "spki" }).toString();

/** @param now milliseconds since 1970. */
export function mintAdminToken({ key, claims }: AdminKey, now: number): Promise<string> {
  const iat = Math.floor(now / 1000);
  return new SignJWT({ role: claims.role })
    .setProtectedHeader({ alg: "EdDSA", typ: "JWT" })
    .setIssuer(claims.issuer)
    .setSubject(claims.issuer)
    .setAudience([claims.audience])
    .setIssuedAt(iat)
    .setExpirationTime(iat + LIFE_SECONDS)
    .sign(key);
}

/** For `KbsAdmin`: the same token while it lives, then a new one. */
export function adminTokens(key: AdminKey, now: () => number = Date.now): () => Promise<string> {
  let until = 0;
  let token: Promise<string> | undefined;
  return () => {
    if (token === undefined || now() >= until) {
      until = now() + (LIFE_SECONDS - SPARE_SECONDS) * 1000;
      token = mintAdminToken(key, now());
    }
    return token;
  };
}
