import { type DeriveStepOptions, deriveStep, type StepPlan } from "../../owner/step";
import { grantId } from "../../policy";
import { base64url, fromBase64url } from "../../protocol/bytes";
import { publicKey } from "../../protocol/crypto";
import { jwsDigest, verifyJws } from "../../protocol/jws";
import { datasetRoot, edgeRoot, kek, kekId, publicOf } from "../../protocol/keys";
import { bundle, programId as programIdOf } from "../../protocol/messages";
import { hex, makeWorld } from "./support/pipeline";

const world = makeWorld("step");
const CA = "-----BEGIN CERTIFICATE-----\nMIIBtestonly\n-----END CERTIFICATE-----\n";
const key = kekId(world.root, hex("manifest"));

const PLAN: StepPlan = {
  name: "train",
  command: ["node", "/app/train.js", "--secret-flag"],
  env: { MODE: "fast" },
  inputs: { data: { from: "split.train", format: "jsonl" }, words: { dataset: "words", format: "text" } },
  outputs: { model: { format: "json" } },
  releases: [{ output: "model", as: "model", recipients: ["partner"] }],
  limits: { timeoutSeconds: 60, waitSeconds: 60, retryLimit: 2, shards: 1 },
};

const options: DeriveStepOptions = {
  root: world.root,
  pipelineUid: world.facts.pipelineUid,
  step: PLAN,
  image: {
    digest: `sha256:${hex("sealed")}`,
    kekId: key,
    reference: `${world.facts.ns}.sealflow.local/train@sha256:${hex("sealed")}`,
  },
  connection: {
    kbsUrl: "https://127.0.0.1:8443",
    ledgerUrl: "https://127.0.0.1:8444",
    caPem: CA,
    ledgerKey: world.ledgerKey,
  },
  tee: "sample",
  datasets: { words: "english" },
  recipients: { owner: world.facts.releaseKey, partner: base64url(new Uint8Array(32).fill(9)) },
};

const derive = (change: Partial<StepPlan> = {}, other: Partial<DeriveStepOptions> = {}) =>
  deriveStep({ ...options, ...other, step: { ...PLAN, ...change } });

const open = (token: string) =>
  verifyJws("sealflow-bundle+jwt", token, publicKey("Ed25519", world.facts.ownerPublicKey), bundle);

test("the same step twice gives the same bytes everywhere", async () => {
  expect(await derive()).toEqual(await derive());
});

test("the bundle is owner-signed, and programId follows from program and blind inside it", async () => {
  const step = await derive();
  const read = await open(step.bundle);
  expect(programIdOf(fromBase64url(read.blind), read.program)).toBe(step.programId);
  expect(step.bundleDigest).toBe(jwsDigest(step.bundle));
  expect(read.identity).toBe(step.identity);
  expect(publicOf("Ed25519", fromBase64url(read.signingSeed))).toBe(step.publicKey);
  expect(publicOf("X25519", fromBase64url(read.parameterSeed))).toBe(step.parameterKey);
  expect(read.program.releases).toEqual([{ output: "model", as: "model", recipients: options.recipients }]);
});

test("a bundle carries keys of its own outputs and inputs, and of no other edge or dataset", async () => {
  const read = await open((await derive()).bundle);
  const uid = world.facts.pipelineUid;
  expect(read.edgeRoots).toEqual({
    "train.model": base64url(edgeRoot(world.root, uid, "train", "model")),
    "split.train": base64url(edgeRoot(world.root, uid, "split", "train")),
  });
  expect(read.datasetRoots).toEqual({
    words: { id: "english", root: base64url(datasetRoot(world.root, "english")) },
  });
});

test("KBS gets bundle and image key, and the grant names exactly these two paths", async () => {
  const step = await derive();
  const { ns } = world.facts;
  expect(step.resources.map((r) => r.path)).toEqual([`${ns}/step/${step.programId}`, `${ns}/image/${key}`]);
  expect(Buffer.from(step.resources[0]?.bytes ?? []).toString()).toBe(step.bundle);
  expect(step.resources[1]?.bytes).toEqual(kek(world.root, key));
  expect(step.grant.id).toBe(grantId("sample", step.identity));
  expect(JSON.stringify(step.grant.value)).toContain(`${ns}/step/${step.programId}`);
  expect(JSON.stringify(step.grant.value)).toContain(`${ns}/image/${key}`);
});

test("nothing of the program is in what is public: grant, annotation, descriptor", async () => {
  const step = await derive();
  const open = JSON.stringify([step.grant, step.descriptorStep, step.annotation, step.programId]);
  for (const word of ["secret-flag", "/app/train.js", "MODE"]) expect(open).not.toContain(word);
});

test.each<[string, Partial<StepPlan>]>([
  ["command", { command: ["node", "/app/train.js"] }],
  ["env", { env: { MODE: "slow" } }],
  ["name", { name: "train-2" }],
  ["an input", { inputs: { data: { from: "split.test", format: "jsonl" } } }],
  ["a format", { outputs: { model: { format: "bytes" } } }],
  ["a recipient", { releases: [{ output: "model", as: "model" }] }],
  ["a limit", { limits: { ...PLAN.limits, retryLimit: 3 } }],
  ["egress", { egress: true }],
  ["exit class", { exitClass: "hidden" }],
  ["a waiver", { trustProgram: "old code" }],
])("another %s is another programId, identity, path, grant and signing key", async (_what, change) => {
  const [a, b] = [await derive(), await derive(change)];
  for (const field of ["programId", "identity", "resource", "publicKey"] as const) expect(a[field]).not.toBe(b[field]);
  expect(a.grant.id).not.toBe(b.grant.id);
});

test.each<[string, Partial<DeriveStepOptions>]>([
  ["image", { image: { ...options.image, digest: `sha256:${hex("x")}`, reference: `a.b/c@sha256:${hex("x")}` } }],
  ["KBS", { connection: { ...options.connection, kbsUrl: "https://127.0.0.1:9443" } }],
  ["root", { root: makeWorld("other").root }],
])("another %s is another programId and identity", async (_what, other) => {
  const [a, b] = [await derive(), await derive({}, other)];
  expect(a.programId).not.toBe(b.programId);
  expect(a.identity).not.toBe(b.identity);
});

test("two steps that share one image have different identities and bundles, and one image key", async () => {
  const [a, b] = [await derive(), await derive({ name: "other" })];
  expect(a.identity).not.toBe(b.identity);
  expect(a.resource).not.toBe(b.resource);
  expect(a.resources[1]?.path).toBe(b.resources[1]?.path);
  expect(JSON.stringify(a.grant.value)).not.toContain(b.resource);
});

test("all problems of a plan are listed at once, each with its place", async () => {
  const bad = derive({
    releases: [
      { output: "nothing", as: "a" },
      { output: "model", as: "b", recipients: ["eve"] },
    ],
    inputs: { data: { format: "json" } },
  });
  await expect(bad).rejects.toMatchObject({ code: "STEP_PLAN" });
  await expect(bad).rejects.toThrow(/steps\.train\.releases\.a: .*"nothing".*releases\.b: .*"eve".*inputs\.data/s);
});

test("a pipeline input without a dataset is named", async () => {
  await expect(derive({}, { datasets: {} })).rejects.toThrow(/pipeline input "words" has no dataset/);
});
