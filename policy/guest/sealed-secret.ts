/**
 * Sealed secrets: a text that may stand in a manifest and that the guest replaces by a resource of the key broker.
 * `sealed.` and a JWS (ES256). Source: guest-components confidential-data-hub/docs/SEALED_SECRET.md.
 */
import { createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { base64url, fromBase64url, utf8 } from "../../protocol/bytes";
import { PolicyError } from "../errors";
import { isP256 } from "./p256";

export interface SealedSecretArgs {
  /** What the guest gets: `kbs:///repository/type/tag`. */
  readonly resourceUri: string;
  /** Where the guest finds the public key: `kbs:///repository/type/tag` of `sealingJwk`. */
  readonly keyUri: string;
}

const KBS_URI = /^kbs:\/\/(\/[\w.-]+){3}$/;
const PREFIX = "sealed.";

/** @param key EC P-256, private. @throws PolicyError GUEST_CONFIG. */
export function sealSecret({ resourceUri, keyUri }: SealedSecretArgs, key: KeyObject): string {
  for (const [name, uri] of Object.entries({ resourceUri, keyUri })) {
    if (!KBS_URI.test(uri)) throw refuse(`${name} "${uri}" is not kbs:///repository/type/tag`);
  }
  requireP256(key);
  const payload = {
    version: "0.1.0",
    type: "vault",
    name: resourceUri,
    provider: "kbs",
    // Both maps are mandatory, also when they are empty.
    provider_settings: {},
    annotations: {},
  };
  const part = (value: object) => base64url(utf8(JSON.stringify(value)));
  const signed = `${part({ alg: "ES256", kid: keyUri })}.${part(payload)}`;
  const signature = sign("sha256", utf8(signed), { key, dsaEncoding: "ieee-p1363" });
  return `${PREFIX}${signed}.${base64url(new Uint8Array(signature))}`;
}

/** The public key as the guest reads it, for a resource of the key broker. No private member, whatever is given. */
export function sealingJwk(key: KeyObject): string {
  requireP256(key);
  const { kty, crv, x, y } = (key.type === "private" ? createPublicKey(key) : key).export({ format: "jwk" });
  return JSON.stringify({ kty, crv, x, y, alg: "ES256", use: "sig" });
}

/**
 * Opens a sealed text as the guest does. @returns the payload. @throws PolicyError GUEST_CONFIG when a guest would leave
 * it sealed.
 */
export function openSealedSecret(text: string, key: KeyObject): Record<string, unknown> {
  const [header, payload, signature, more] = text.startsWith(PREFIX) ? text.slice(PREFIX.length).split(".") : [];
  if (!header || !payload || !signature || more !== undefined)
    throw refuse("not sealed.<header>.<payload>.<signature>");
  try {
    const { alg, kid } = JSON.parse(Buffer.from(fromBase64url(header)).toString()) as { alg?: unknown; kid?: unknown };
    if (alg !== "ES256" || typeof kid !== "string") throw refuse("the header needs alg ES256 and a kid");
    const raw = fromBase64url(signature);
    const ok =
      raw.length === 64 && verify("sha256", utf8(`${header}.${payload}`), { key, dsaEncoding: "ieee-p1363" }, raw);
    if (!ok) throw refuse("the signature is not of this key");
    const body = JSON.parse(Buffer.from(fromBase64url(payload)).toString()) as Record<string, unknown>;
    if (body.version !== "0.1.0") throw refuse(`version ${JSON.stringify(body.version)}, expected "0.1.0"`);
    for (const map of ["provider_settings", "annotations"]) {
      if (typeof body[map] !== "object" || body[map] === null) throw refuse(`${map} is missing`);
    }
    return body;
  } catch (cause) {
    throw cause instanceof PolicyError ? cause : refuse("header or payload is not base64url of JSON");
  }
}

function requireP256(key: KeyObject): void {
  if (!isP256(key)) throw refuse("the key must be EC P-256");
}

const refuse = (why: string): PolicyError => new PolicyError("GUEST_CONFIG", `sealed secret: ${why}`);
