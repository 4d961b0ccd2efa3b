/** Receipts of the largest steps. */
import { generateKeyPairSync } from "node:crypto";
import { rawPublic, sha256hex } from "../../protocol/crypto";
import { type Predicate, signReceipt, subjectName, verifyReceipt } from "../../protocol/messages";
import { outputs as outputsShape } from "../../protocol/messages/common";
import { parse } from "../../protocol/shape";

const hex = sha256hex("");

test("a receipt has room for all outputs of a step, and its log", () => {
  const names = [...Array(200)].map((_, i) => `out-${i}`);
  expect(
    Object.keys(parse(outputsShape, Object.fromEntries(names.map((n) => [n, { format: "json" }])), "outputs")),
  ).toEqual(names);
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const predicate: Predicate = {
    v: 1,
    pipelineUid: hex,
    descriptor: hex,
    run: hex,
    step: "wide",
    shard: 0,
    attempt: 1,
    programId: hex,
    identity: hex,
    inputs: [],
    parameters: hex,
    keyCommits: Object.fromEntries([...names, "log"].map((n) => [`wide.${n}`, hex])),
    plaintext: Object.fromEntries(names.map((n) => [`wide.${n}`, hex])),
    exitClass: "ok",
    head: "a.b.c",
    isolation: "namespaces",
  };
  const subject = [...names, "log"].map((n) => ({ name: subjectName("wide", n, 0), digest: { sha256: hex } }));
  const raw = rawPublic(publicKey);
  expect(verifyReceipt(signReceipt({ subject, predicate }, privateKey, raw), raw).predicate).toEqual(predicate);
});
