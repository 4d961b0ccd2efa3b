import { readFileSync } from "node:fs";
import * as path from "node:path";
import { logObject, openLog, openObject, releasedObject, tinkKeyset } from "../../owner/release";
import { fromBase64 } from "../../protocol/bytes";
import { privateKey } from "../../protocol/crypto";
import { peekJws } from "../../protocol/jws";
import { ownerReleaseKey } from "../../protocol/keys";
import { type Commit, commit, peekReceipt } from "../../protocol/messages";
import { openBytes } from "../../protocol/stream";
import { bytes } from "./support/pipeline";
import { type FinishedRun, finishedRun, LOG_TEXT } from "./support/run";

let run: FinishedRun;
beforeAll(async () => {
  run = await finishedRun("release");
});

const owner = () => ({ name: "owner", key: ownerReleaseKey(run.world.root) });

function end(step: string, outcome: "commits" | "failures" = "commits") {
  const tokens = run.exported[outcome].map(({ commit: token }) => peekJws("sealflow-commit+jwt", token, commit));
  const found = tokens.find((c) => c.step === step) as Commit;
  return { commit: found, receipt: peekReceipt(found.receipt) };
}

async function* ciphertext(digest: string, pieces = 7) {
  const all = run.objects.get(digest) as Uint8Array;
  const size = Math.ceil(all.length / pieces);
  for (let at = 0; at < all.length; at += size) yield all.subarray(at, at + size);
}

async function text(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all).toString();
}

test("a release opens with its recipient's key, piece by piece", async () => {
  const object = await releasedObject(run.descriptor, end("report"), "metrics", owner());
  expect(await text(openObject(object, ciphertext(object.digest)))).toBe('{"report.metrics":0}\n');
});

test("logs open for the owner, of counted and of failed attempts, without padding", async () => {
  for (const attempt of [end("train"), end("split", "failures")]) {
    const object = await logObject(attempt, owner().key);
    expect(object.size).toBeGreaterThan(65536);
    expect(await openLog(object, ciphertext(object.digest))).toBe(LOG_TEXT);
  }
});

test("another key, another recipient, and a step without that release open nothing", async () => {
  const stranger = { name: "owner", key: privateKey("X25519", bytes("stranger")) };
  await expect(releasedObject(run.descriptor, end("report"), "metrics", stranger)).rejects.toMatchObject({
    code: "KEY",
  });
  const partner = { ...owner(), name: "partner" };
  await expect(releasedObject(run.descriptor, end("report"), "metrics", partner)).rejects.toMatchObject({
    code: "NOT_RELEASED",
  });
  await expect(releasedObject(run.descriptor, end("split"), "metrics", owner())).rejects.toMatchObject({
    code: "NOT_RELEASED",
  });
});

test("a key that the receipt does not commit to is refused before it is used", async () => {
  const { commit: c, receipt } = end("report");
  const predicate = { ...receipt.predicate, keyCommits: { "report.metrics": "0".repeat(64) } };
  const bad = { commit: c, receipt: { ...receipt, predicate } };
  await expect(releasedObject(run.descriptor, bad, "metrics", owner())).rejects.toMatchObject({ code: "RELEASE_KEY" });
});

test("a ciphertext with another digest is refused even when it decrypts", async () => {
  const object = await releasedObject(run.descriptor, end("report"), "metrics", owner());
  const pieces = text(openObject({ ...object, digest: "0".repeat(64) }, ciphertext(object.digest)));
  await expect(pieces).rejects.toMatchObject({ code: "OBJECT_DIGEST" });
});

describe("a Tink keyset", () => {
  const vectors = path.join(__dirname, "../vectors/tink");
  const keyset = (name: string) => JSON.parse(readFileSync(path.join(vectors, "keysets", name), "utf8"));

  test.each([
    ["aes256_gcm_hkdf_1mb.json", 1024 * 1024],
    ["aes256_gcm_hkdf_64kb.json", 64 * 1024],
    ["aes256_gcm_hkdf_4kb.json", 4096],
  ])("has the bytes that Tink itself writes (%s)", (name, segment) => {
    const made = keyset(name);
    // The key is the last field of Tink's message.
    const key = fromBase64(made.key[0].keyData.value).slice(-32);
    const { keyId, ...mine } = tinkKeyset(key, segment).key[0] as object & { keyId: number };
    const { keyId: _other, ...theirs } = made.key[0];
    expect(mine).toEqual(theirs);
    expect(keyId).toBe(tinkKeyset(key, segment).primaryKeyId);
  });

  test("of an object opens what Tink sealed with the same key and segment size", () => {
    const key = fromBase64(keyset("aes256_gcm_hkdf_1mb.json").key[0].keyData.value).slice(-32);
    const { vectors: list } = JSON.parse(readFileSync(path.join(vectors, "vectors.json"), "utf8"));
    const vector = list.find((v: { id: string }) => v.id === "1mb_17");
    const sealed = readFileSync(path.join(vectors, vector.ciphertext_file));
    const opened = openBytes(key, fromBase64(vector.associated_data_b64), sealed);
    expect([...opened]).toEqual([...Array(17).keys()].map((i) => (i * 31 + 7) % 256));
  });
});
