/** Callers' own keys as JWK files (RFC 8037, OKP): the run key (Ed25519) and the release key (X25519). */
import { createPrivateKey, type KeyObject } from "node:crypto";
import { existsSync } from "node:fs";
import { type Curve, rawPublic } from "../../protocol/crypto";
import { KeyError } from "./errors";
import { readPrivateFile, writePrivateFile } from "./private-file";

/**
 * Writes the private key; the same key again is fine.
 * @param options.replace also over another key: for whoever knows that it is of an older root.
 * @throws KeyError KEY_EXISTS when the file holds another key.
 */
export function writeKeyFile(file: string, key: KeyObject, { replace = false } = {}): void {
  const jwk = key.export({ format: "jwk" });
  if (existsSync(file) && !replace) {
    const found = readKeyFile(file, jwk.crv as Curve);
    if (rawPublic(found) === rawPublic(key)) return;
    throw new KeyError("KEY_EXISTS", `${file}: holds another key (${rawPublic(found)}). Move it away first`);
  }
  writePrivateFile(file, `${JSON.stringify({ ...jwk, kid: rawPublic(key) })}\n`);
}

/** @throws KeyError KEY_MISSING, KEY_MODE or KEY_FORM. */
export function readKeyFile(file: string, curve: Curve): KeyObject {
  const text = readPrivateFile(file, curve === "Ed25519" ? "run key" : "release key");
  let jwk: { kty?: unknown; crv?: unknown; d?: unknown; x?: unknown };
  try {
    jwk = JSON.parse(text);
  } catch {
    throw new KeyError("KEY_FORM", `${file}: not JSON; expected a private ${curve} JWK`);
  }
  if (jwk?.kty !== "OKP" || jwk.crv !== curve || typeof jwk.d !== "string" || typeof jwk.x !== "string") {
    throw new KeyError("KEY_FORM", `${file}: not a private ${curve} JWK (kty OKP, crv ${curve}, x, d)`);
  }
  let key: KeyObject;
  try {
    key = createPrivateKey({ format: "jwk", key: { kty: "OKP", crv: curve, d: jwk.d, x: jwk.x } });
  } catch {
    throw new KeyError("KEY_FORM", `${file}: the JWK does not hold a ${curve} key`);
  }
  if (rawPublic(key) !== jwk.x) throw new KeyError("KEY_FORM", `${file}: x is not the public half of d`);
  return key;
}
