/**
 * RCAR, the handshake between a guest and the KBS: protocol 0.4.0 of Confidential Containers.
 * Request → Challenge → Attestation → token; resources come back as flattened JWE to the guest's TEE key.
 * Source: confidential-containers/kbs-types (crate 0.15) and trustee kbs/docs/kbs_attestation_protocol.md.
 * Pure: keys, nonces and initialisation vectors are arguments.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { base64, base64url, fromBase64url, utf8 } from "./bytes";
import { jcs } from "./canonical";
import { equalBytes, sha384 } from "./crypto";
import { ALG, ENC, openParts, sealParts } from "./ecdh-es";
import { ProtocolError } from "./errors";
import { type Infer, json, literal, nullable, object, text } from "./shape";

export const RCAR_VERSION = "0.4.0";

/** TEE kinds that carry a CPU guest which Sealflow knows how to grant. */
export const TEES = ["sample", "snp", "tdx", "az-snp-vtpm", "az-tdx-vtpm"] as const;
export type Tee = (typeof TEES)[number];

const COORDINATE = /^[A-Za-z0-9_-]{43}$/;
const coordinate = text({ pattern: COORDINATE, what: "a 32-byte coordinate in base64url", max: 43 });

/** EC P-256 JWK of a guest. Further JWK members are not part of the hashed form and are refused here. */
export const teePubKey = object({
  kty: literal("EC"),
  crv: literal("P-256"),
  alg: literal("ECDH-ES+A256KW"),
  x: coordinate,
  y: coordinate,
});
export type TeePubKey = Infer<typeof teePubKey>;

export const rcarRequest = object({
  version: text({ max: 40 }),
  tee: text({ max: 40 }),
  "extra-params": json,
});
export type RcarRequest = Infer<typeof rcarRequest>;

/** `nonce`: standard base64 of 32 bytes, 44 characters. */
export const challenge = object({
  nonce: text({ pattern: /^[A-Za-z0-9+/]{43}=$/, what: "base64 of 32 bytes", max: 44 }),
  "extra-params": json,
});
export type Challenge = Infer<typeof challenge>;

export const initDataMessage = object({ format: literal("toml"), body: text({ max: 1_048_576 }) });

/** Attestation of the guest. Names inside `tee-evidence` are in snake case, all others in kebab case. */
export const attestation = object({
  "init-data": nullable(initDataMessage),
  "runtime-data": object({ nonce: text({ max: 400 }), "tee-pubkey": teePubKey }),
  "tee-evidence": object({ primary_evidence: json, additional_evidence: text({ max: 1_048_576 }) }),
});
export type Attestation = Infer<typeof attestation>;

export const sampleEvidence = object({ svn: text({ max: 40 }), report_data: text({ max: 200 }) });
export type SampleEvidence = Infer<typeof sampleEvidence>;

/** First message. @param tee kind of the evidence that will follow. */
export const requestFor = (tee: Tee): RcarRequest => ({ version: RCAR_VERSION, tee, "extra-params": "" });

/** What the evidence binds: SHA-384 over the canonical JSON of nonce, TEE key and additional evidence; 48 bytes. */
export function reportData(nonce: string, key: TeePubKey, additionalEvidence = ""): Uint8Array {
  return sha384(utf8(jcs(runtimeDataClaims(nonce, key, additionalEvidence))));
}

/** The structured runtime data as it appears in tokens. */
export const runtimeDataClaims = (nonce: string, key: TeePubKey, additionalEvidence = "") => ({
  "additional-evidence": additionalEvidence,
  nonce,
  "tee-pubkey": { alg: key.alg, crv: key.crv, kty: key.kty, x: key.x, y: key.y },
});

/** Evidence of the `sample` TEE: proves nothing, for development only. */
export const sampleEvidenceFor = (report: Uint8Array): SampleEvidence => ({ svn: "1", report_data: base64(report) });

/** true if this sample evidence was made for exactly this report data. */
export const sampleEvidenceBinds = (evidence: SampleEvidence, report: Uint8Array): boolean =>
  equalBytes(utf8(evidence.report_data), utf8(base64(report)));

/** Public half of an EC P-256 key as the messages carry it. @throws ProtocolError KEY for any other key. */
export function teePubKeyOf(key: KeyObject): TeePubKey {
  const jwk = (key.type === "private" ? createPublicKey(key) : key).export({ format: "jwk" });
  if (jwk.kty !== "EC" || jwk.crv !== "P-256" || !jwk.x || !jwk.y) {
    throw new ProtocolError("KEY", "TEE key: expected EC P-256");
  }
  return { kty: "EC", crv: "P-256", alg: "ECDH-ES+A256KW", x: jwk.x, y: jwk.y };
}

/** The whole attestation of a sample guest. @param initdata TOML text, or null for a guest without initdata. */
export function sampleAttestation(nonce: string, key: KeyObject, initdata: string | null): Attestation {
  const pub = teePubKeyOf(key);
  return {
    "init-data": initdata === null ? null : { format: "toml", body: initdata },
    "runtime-data": { nonce, "tee-pubkey": pub },
    "tee-evidence": {
      primary_evidence: sampleEvidenceFor(reportData(nonce, pub)),
      additional_evidence: "",
    },
  };
}

const part = (max: number) => text({ pattern: /^[A-Za-z0-9_-]*$/, what: "base64url", max });
/** Flattened JWE exactly as the KBS answers: five members, no `aad`. */
export const kbsJwe = object({
  protected: part(4096),
  encrypted_key: part(200),
  iv: part(16),
  ciphertext: part(16_000_000),
  tag: part(22),
});
export type KbsJwe = Infer<typeof kbsJwe>;

/** What sealing needs from outside: an ephemeral EC P-256 private key, a 32-byte content key, a 12-byte IV. */
export interface JweRandomness {
  readonly ephemeral: KeyObject;
  readonly contentKey: Uint8Array;
  readonly iv: Uint8Array;
}

/**
 * Seals as the KBS does: ECDH-ES+A256KW, A256GCM. The header text is made by hand because the guest authenticates not
 * the text it received but its own serialisation of it, `alg`, `enc`, then `epk` with sorted members; any other order
 * or member would fail to open there. (kbs-types `ProtectedHeader::generate_aad`.)
 */
export function sealKbsJwe(to: TeePubKey, plaintext: Uint8Array, random: JweRandomness): KbsJwe {
  if (random.contentKey.length !== 32) throw new ProtocolError("KEY", "content key: expected 32 bytes");
  if (random.iv.length !== 12) throw new ProtocolError("KEY", "IV: expected 12 bytes");
  const epk = teePubKeyOf(random.ephemeral);
  const header = `{"alg":"${ALG}","enc":"${ENC}","epk":{"crv":"P-256","kty":"EC","x":"${epk.x}","y":"${epk.y}"}}`;
  const protectedText = base64url(utf8(header));
  const { contentKey, iv, ephemeral: mine } = random;
  const sealing = { mine, theirs: publicKeyOf(to), contentKey, iv, header: protectedText };
  const { encryptedKey, ...parts } = sealParts(sealing, plaintext);
  return { protected: protectedText, encrypted_key: encryptedKey, ...parts };
}

/**
 * Opens an answer of the KBS with the guest's private key.
 * @throws ProtocolError KEY: for another key, changed, or another algorithm; never retry with the same bytes.
 */
export function openKbsJwe(key: KeyObject, jwe: KbsJwe): Uint8Array {
  try {
    const header: unknown = JSON.parse(new TextDecoder().decode(fromBase64url(jwe.protected)));
    const { alg, enc, epk } = header as { alg?: unknown; enc?: unknown; epk?: { x: string; y: string } };
    if (alg !== ALG || enc !== ENC || !epk || Object.keys(header as object).length !== 3) {
      throw new Error("other algorithm");
    }
    // The guest's own serialisation is the additional data, so a reordered header fails here as it fails there.
    const { x, y } = epk;
    const own = JSON.stringify({ alg, enc, epk: { crv: "P-256", kty: "EC", x, y } });
    const { encrypted_key: encryptedKey, iv, ciphertext, tag } = jwe;
    return openParts(key, publicKeyOf({ x, y }), base64url(utf8(own)), { encryptedKey, iv, ciphertext, tag });
  } catch (cause) {
    throw new ProtocolError("KEY", "answer of the KBS: cannot be opened with this guest's key", { cause });
  }
}

const publicKeyOf = ({ x, y }: { x: string; y: string }): KeyObject =>
  createPublicKey({ key: { kty: "EC", crv: "P-256", x, y }, format: "jwk" });

/** Private TEE key from a JWK (tests, simulated guests). @throws ProtocolError KEY. */
export function teePrivateKey(jwk: { x: string; y: string; d: string }): KeyObject {
  try {
    return createPrivateKey({ key: { kty: "EC", crv: "P-256", x: jwk.x, y: jwk.y, d: jwk.d }, format: "jwk" });
  } catch (cause) {
    throw new ProtocolError("KEY", "TEE key: not an EC P-256 private JWK", { cause });
  }
}
