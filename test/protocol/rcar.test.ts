import { generateKeyPairSync } from "node:crypto";
import { FlattenedEncrypt, flattenedDecrypt } from "jose";
import { base64, fromBase64url, hex, utf8 } from "../../protocol/bytes";
import { jcs } from "../../protocol/canonical";
import { sha384 } from "../../protocol/crypto";
import {
  type Attestation,
  attestation,
  type KbsJwe,
  openKbsJwe,
  reportData,
  sampleAttestation,
  sampleEvidenceBinds,
  sealKbsJwe,
  type TeePubKey,
  teePubKeyOf,
} from "../../protocol/rcar";
import { parse } from "../../protocol/shape";

const pair = () => generateKeyPairSync("ec", { namedCurve: "P-256" });
const random = () => ({ ephemeral: pair().privateKey, contentKey: new Uint8Array(32).fill(7), iv: new Uint8Array(12) });
const pub: TeePubKey = {
  kty: "EC",
  crv: "P-256",
  alg: "ECDH-ES+A256KW",
  x: "QT3_slJmispaOwnAo6hxebXGLRuiveFuRCLpS4j4S4k",
  y: "jcDn4N4nRBQ-a7_D3qjqtb6hwOAXh_ve1wvibPSi1G0",
};

describe("report data", () => {
  it("equals upstream's digest of canonical JSON", () => {
    expect(hex(sha384(utf8(jcs({ c: { d: "e" }, b: 1, a: "test" }))))).toBe(
      "e71ce8e70d814ba6639c3612ebee0ff1f76f650f8dbb5e47157e0f3f525cd22c4597480a186427c813ca941da78870c3",
    );
  });

  it("equals the vector of the handshake", () => {
    expect(base64(reportData("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", pub))).toBe(
      "eGZ9cmfXVx2Ekay6FR7bdOk7+2We+rnXAsohfQVSRZN/MUI/QOkl1KXAOITZjBZO",
    );
  });

  it("of another nonce, key or device does not bind sample evidence", () => {
    const { privateKey } = pair();
    const made = sampleAttestation("bm9uY2U=", privateKey, null);
    const evidence = made["tee-evidence"].primary_evidence as { svn: string; report_data: string };
    expect(sampleEvidenceBinds(evidence, reportData("bm9uY2U=", teePubKeyOf(privateKey)))).toBe(true);
    expect(sampleEvidenceBinds(evidence, reportData("bm9uY2V=", teePubKeyOf(privateKey)))).toBe(false);
    expect(sampleEvidenceBinds(evidence, reportData("bm9uY2U=", pub))).toBe(false);
    expect(sampleEvidenceBinds(evidence, reportData("bm9uY2U=", teePubKeyOf(privateKey), "{}"))).toBe(false);
  });
});

describe("an attestation", () => {
  it("keeps upstream's member names", () => {
    const made: Attestation = sampleAttestation("bm9uY2U=", pair().privateKey, "x = 1\n");
    expect(Object.keys(made).sort()).toEqual(["init-data", "runtime-data", "tee-evidence"]);
    expect(Object.keys(made["tee-evidence"]).sort()).toEqual(["additional_evidence", "primary_evidence"]);
    expect(parse(attestation, JSON.parse(JSON.stringify(made)), "attestation")).toEqual(made);
  });

  it("with a private key member in the JWK is refused", () => {
    const made = sampleAttestation("bm9uY2U=", pair().privateKey, null);
    const key = { ...made["runtime-data"]["tee-pubkey"], d: "AAAA" };
    const bad = { ...made, "runtime-data": { ...made["runtime-data"], "tee-pubkey": key } };
    expect(() => parse(attestation, bad, "attestation")).toThrow('unknown field "d"');
  });
});

describe("a sealed resource", () => {
  it("has exactly the header text that the guest serialises", () => {
    const { publicKey } = pair();
    const r = random();
    const epk = teePubKeyOf(r.ephemeral);
    const jwe = sealKbsJwe(teePubKeyOf(publicKey), utf8("secret"), r);
    expect(Object.keys(jwe)).toEqual(["protected", "encrypted_key", "iv", "ciphertext", "tag"]);
    expect(Buffer.from(fromBase64url(jwe.protected)).toString()).toBe(
      `{"alg":"ECDH-ES+A256KW","enc":"A256GCM","epk":{"crv":"P-256","kty":"EC","x":"${epk.x}","y":"${epk.y}"}}`,
    );
  });

  it("opens with another implementation of RFC 7518", async () => {
    const { privateKey, publicKey } = pair();
    const jwe = sealKbsJwe(teePubKeyOf(publicKey), utf8("secret"), random());
    const { plaintext } = await flattenedDecrypt(jwe, privateKey);
    expect(Buffer.from(plaintext).toString()).toBe("secret");
  });

  it("opens for its guest and no other", () => {
    const { privateKey, publicKey } = pair();
    const jwe = sealKbsJwe(teePubKeyOf(publicKey), utf8("secret"), random());
    expect(Buffer.from(openKbsJwe(privateKey, jwe)).toString()).toBe("secret");
    expect(() => openKbsJwe(pair().privateKey, jwe)).toThrow("cannot be opened");
  });

  it.each(["protected", "encrypted_key", "iv", "ciphertext", "tag"] as const)(
    "with a changed %s is refused",
    (field) => {
      const { privateKey, publicKey } = pair();
      const jwe = sealKbsJwe(teePubKeyOf(publicKey), utf8("secret"), random());
      const bytes = Buffer.from(jwe[field], "base64url");
      bytes[5] = (bytes[5] ?? 0) ^ 1;
      expect(() => openKbsJwe(privateKey, { ...jwe, [field]: bytes.toString("base64url") })).toThrow(
        "cannot be opened",
      );
    },
  );

  it("sealed by a library that orders the header otherwise does not open, as it does not in the guest", async () => {
    const { privateKey, publicKey } = pair();
    const made = await new FlattenedEncrypt(utf8("secret"))
      .setProtectedHeader({ alg: "ECDH-ES+A256KW", enc: "A256GCM" })
      .encrypt(publicKey);
    await expect(flattenedDecrypt(made, privateKey)).resolves.toBeDefined();
    expect(() => openKbsJwe(privateKey, made as KbsJwe)).toThrow("cannot be opened");
  });
});
