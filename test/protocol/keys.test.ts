/**
 * The key schedule, against values that were computed from HMAC-SHA256 alone. A failure here means protocol version 2:
 * existing objects, images and identities would no longer open.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fromHex, hex } from "../../protocol/bytes";
import { privateKey, rawPublic } from "../../protocol/crypto";
import * as keys from "../../protocol/keys";
import { MEDIA } from "../../protocol/oci";

const vectors = JSON.parse(readFileSync(join(__dirname, "../vectors/keys.json"), "utf8"));
const root: keys.Root = { secret: fromHex(vectors.root), generation: vectors.generation };
const { pipelineUid: uid, identity, contentDigest, plaintextManifestDigest: digest, run } = vectors;
const value = (name: string): string => vectors.derived.find((v: { name: string }) => v.name === name).value;
const publicOf = (curve: "Ed25519" | "X25519", name: string) => rawPublic(privateKey(curve, fromHex(value(name))));

test.each<[string, () => Uint8Array]>([
  ["blind", () => keys.blind(root, uid, "train")],
  ["edgeRoot", () => keys.edgeRoot(root, uid, "train", "model")],
  ["stepSigningSeed", () => keys.stepSigningSeed(root, uid, "train", identity)],
  ["parameterSeed", () => keys.parameterSeed(root, uid, "train")],
  ["logRoot", () => keys.logRoot(root, uid, "train")],
  ["kek", () => keys.kek(root, vectors.kekId)],
  ["layerKey", () => keys.layerKey(root, "train", 2, digest, MEDIA.layer).key],
  ["layerNonce", () => keys.layerKey(root, "train", 2, digest, MEDIA.layer).nonce],
  ["wrapIv", () => keys.wrapIv(root, vectors.kekId, contentDigest)],
  ["layerSalt", () => keys.layerSalt(root, "train", 2)],
  ["datasetDigestKey", () => keys.datasetDigestKey(root)],
  ["datasetRoot", () => keys.datasetRoot(root, "mails")],
])("%s has its pinned bytes", (name, derive) => expect(hex(derive())).toBe(value(name)));

test("signing, run, release and parameter keys are those of their pinned seeds", () => {
  expect(rawPublic(keys.ownerSigningKey(root))).toBe(publicOf("Ed25519", "ownerSigningSeed"));
  expect(rawPublic(keys.runKey(root))).toBe(publicOf("Ed25519", "runSeed"));
  expect(rawPublic(keys.ownerReleaseKey(root))).toBe(publicOf("X25519", "releaseSeed"));
  expect(keys.parameterPublic(root, uid, "train")).toBe(publicOf("X25519", "parameterSeed"));
});

test("names: fingerprint, namespace, pipeline, key of an image, object", () => {
  expect(keys.fingerprint(root)).toBe(vectors.fingerprint);
  expect(keys.namespaceOf(keys.fingerprint(root))).toBe(vectors.namespace);
  const { ownerPublicKey, stackUuid, name, value: expected } = vectors.pipelineUidOf;
  expect(keys.pipelineUid(ownerPublicKey, stackUuid, name)).toBe(expected);
  expect(keys.kekId(root, digest)).toBe(vectors.kekId);
  expect(keys.objectName(run, "train.model", 4, 2)).toBe(vectors.objectName);
});

test("datasets and objects of a run", () => {
  const from = fromHex(value("datasetRoot"));
  expect(hex(keys.datasetKey(from, "mails", contentDigest))).toBe(vectors.datasetKey);
  const { salt, prefix } = keys.datasetNonce(from, "mails", contentDigest);
  expect([hex(salt), hex(prefix)]).toEqual([vectors.datasetSalt, vectors.datasetPrefix]);
  const key = keys.objectKey(fromHex(value("edgeRoot")), fromHex(vectors.runSecret), run, "train", 4, 2);
  expect(hex(key)).toBe(vectors.objectKey);
  expect(keys.keyCommit(key)).toBe(vectors.keyCommit);
});

describe("separation", () => {
  const derivations: [string, (r: keys.Root) => Uint8Array][] = [
    ["blind", (r) => keys.blind(r, uid, "train")],
    ["edge root", (r) => keys.edgeRoot(r, uid, "train", "model")],
    ["signing seed", (r) => keys.stepSigningSeed(r, uid, "train", identity)],
    ["KEK", (r) => keys.kek(r, digest)],
    ["layer key", (r) => keys.layerKey(r, "train", 2, digest, MEDIA.layer).key],
    ["dataset root", (r) => keys.datasetRoot(r, "mails")],
    ["log root", (r) => keys.logRoot(r, uid, "train")],
    ["fingerprint", (r) => fromHex(keys.fingerprint(r))],
  ];

  test.each(derivations)("another root or generation gives another %s", (_name, derive) => {
    const other = { ...root, secret: root.secret.map((b) => b ^ 1) };
    const made = [root, other, { ...root, generation: 4 }].map((r) => hex(derive(r)));
    expect(new Set(made).size).toBe(3);
  });

  test("no two purposes share a key", () => {
    const made = derivations.map(([, derive]) => hex(derive(root)));
    expect(new Set([...made, ...vectors.derived.map((v: { value: string }) => v.value)]).size).toBeGreaterThan(15);
    expect(new Set(vectors.derived.map((v: { value: string }) => v.value)).size).toBe(vectors.derived.length);
  });

  test("fields of pipelineUid cannot shift into each other", () => {
    expect(keys.pipelineUid("a", "bc", "d")).not.toBe(keys.pipelineUid("ab", "c", "d"));
  });

  test("shard and attempt, run and secret each change an object's key", () => {
    const from = new Uint8Array(32);
    const secret = new Uint8Array(32).fill(1);
    const made = [
      keys.objectKey(from, secret, run, "a", 1, 12),
      keys.objectKey(from, secret, run, "a", 11, 2),
      keys.objectKey(from, secret, run, "a", 1, 2),
      keys.objectKey(secret, from, run, "a", 1, 2),
      keys.objectKey(from, secret, uid, "a", 1, 2),
      keys.objectKey(from, secret, run, "b", 1, 2),
    ].map(hex);
    expect(new Set(made).size).toBe(made.length);
  });

  test("a root, edge root or run secret of another size is refused", () => {
    expect(() => keys.blind({ secret: new Uint8Array(31), generation: 1 }, uid, "a")).toThrow("expected 32");
    expect(() => keys.objectKey(new Uint8Array(31), new Uint8Array(32), run, "a", 0, 1)).toThrow("32 bytes");
    expect(() => keys.objectKey(new Uint8Array(32), new Uint8Array(33), run, "a", 0, 1)).toThrow("32 bytes");
  });
});
