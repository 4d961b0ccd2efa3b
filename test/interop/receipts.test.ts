/** Receipts as others read them: DSSE as sigstore's library does, and in-toto's Statement. */
import { crypto, dsse } from "@sigstore/core";
import { fromBase64 } from "../../protocol/bytes";
import { privateKey, publicKey, rawPublic } from "../../protocol/crypto";
import { type Dsse, type Predicate, signReceipt, verifyReceipt } from "../../protocol/messages";

const key = privateKey("Ed25519", new Uint8Array(32).fill(7));
const raw = rawPublic(key);
const digest = "d".repeat(64);
const predicate: Predicate = {
  v: 1,
  pipelineUid: digest,
  descriptor: digest,
  run: digest,
  step: "train",
  shard: 0,
  attempt: 1,
  programId: digest,
  identity: digest,
  inputs: [{ input: "data", from: "split.train", shard: 0, digest, format: "jsonl" }],
  parameters: digest,
  keyCommits: { "train.model": digest },
  plaintext: { "train.model": digest },
  exitClass: "ok",
  head: "a.b.c",
  isolation: "none",
  // Lengths in the pre-authentication encoding count bytes, not letters.
  trustProgram: "läuft nur so: ✓",
};
const subject = [{ name: "train.model/0", digest: { sha256: digest } }];
const receipt = signReceipt({ subject, predicate }, key, raw);

/** What a stranger does with it. */
function verifies(envelope: Dsse, rawKey: string): boolean {
  const payload = Buffer.from(envelope.payload, "base64");
  const pem = publicKey("Ed25519", rawKey).export({ format: "pem", type: "spki" });
  return crypto.verify(
    dsse.preAuthEncoding(envelope.payloadType, payload),
    crypto.createPublicKey(pem),
    Buffer.from(envelope.signatures[0]?.sig ?? "", "base64"),
  );
}

test("sigstore's library verifies a receipt, and only with the key that signed", () => {
  expect(verifies(receipt, raw)).toBe(true);
  const other = rawPublic(privateKey("Ed25519", new Uint8Array(32).fill(8)));
  expect(verifies(receipt, other)).toBe(false);
});

test("sigstore's library and ours refuse the same changed receipts", () => {
  const text = Buffer.from(fromBase64(receipt.payload)).toString();
  for (const changed of [text.replace('"attempt":1', '"attempt":2'), `${text} `, text.replace("läuft", "laeuft")]) {
    expect(changed).not.toBe(text);
    const envelope = { ...receipt, payload: Buffer.from(changed).toString("base64") };
    expect(verifies(envelope, raw)).toBe(false);
    expect(() => verifyReceipt(envelope, raw)).toThrow(expect.objectContaining({ code: "SIGNATURE" }));
  }
});

test("what a receipt holds is an in-toto Statement v1, with the subjects where in-toto has them", () => {
  expect(receipt.payloadType).toBe("application/vnd.in-toto+json");
  const statement = JSON.parse(Buffer.from(fromBase64(receipt.payload)).toString());
  expect(Object.keys(statement).sort()).toEqual(["_type", "predicate", "predicateType", "subject"]);
  expect(statement._type).toBe("https://in-toto.io/Statement/v1");
  expect(statement.subject).toEqual([{ name: "train.model/0", digest: { sha256: digest } }]);
  expect(() => new URL(statement.predicateType)).not.toThrow();
});
