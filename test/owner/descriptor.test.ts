import { buildDescriptor, signDescriptor, signRevocation, verifyDescriptor } from "../../owner/descriptor";
import { publicFacts } from "../../owner/keys";
import { publicKey } from "../../protocol/crypto";
import { jwsDigest, verifyJws } from "../../protocol/jws";
import { ownerSigningKey } from "../../protocol/keys";
import { revoke } from "../../protocol/messages";
import { bytes, DATASET, descriptorSteps, makeVersion, makeWorld } from "./support/pipeline";

const world = makeWorld("descriptor");
const base = {
  facts: world.facts,
  previous: null,
  ledgerKey: world.ledgerKey,
  steps: descriptorSteps(world),
  datasets: { mails: DATASET },
  releases: { metrics: { from: "report.metrics" } },
};

test("a signed version verifies with the owner's key and names its predecessor", async () => {
  const first = await makeVersion(world, null);
  const second = await makeVersion(world, { token: first.token, sequence: 1 }, "b");
  const read = await verifyDescriptor(second.token, world.facts.ownerPublicKey);
  expect(read).toEqual(second.descriptor);
  expect(read).toMatchObject({ sequence: 2, predecessor: jwsDigest(first.token) });
  expect(first.descriptor).toMatchObject({ sequence: 1, predecessor: null });
});

test("the owner is a recipient of every release, and its run key is listed", () => {
  const d = buildDescriptor(base);
  expect(d.recipients).toEqual({ owner: world.facts.releaseKey });
  expect(d.releases.metrics).toEqual({ from: "report.metrics", recipients: ["owner"] });
  expect(d.runKeys).toEqual([world.facts.runKey]);
});

test("the same parts give the same bytes", async () => {
  expect((await makeVersion(world, null)).token).toBe((await makeVersion(world, null)).token);
});

test.each([
  [
    "an unknown edge",
    { releases: { metrics: { from: "report.nothing" } } },
    'releases.metrics: there is no "report.nothing"',
  ],
  [
    "an unknown recipient",
    { releases: { m: { from: "train.model", recipients: ["eve"] } } },
    'no recipient is called "eve"',
  ],
  ["a missing dataset", { datasets: {} }, 'steps.split.inputs.mails: no dataset "mails"'],
  ["a dataset of another format", { datasets: { mails: { ...DATASET, format: "csv" as const } } }, "is csv, not jsonl"],
  ["the reserved release name", { releases: { log: { from: "train.model" } } }, '"log" is reserved'],
])("%s is refused with its place", (_what, change, message) => {
  expect(() => buildDescriptor({ ...base, ...change })).toThrow(
    expect.objectContaining({ code: "DESCRIPTOR", message: expect.stringContaining(message) }),
  );
});

test("all problems are listed at once", () => {
  expect(() =>
    buildDescriptor({ ...base, datasets: {}, releases: { a: { from: "x.y" }, b: { from: "y.z" } } }),
  ).toThrow(/mails.*"x\.y".*"y\.z"/s);
});

test("another owner's key neither signs nor verifies a version", async () => {
  const other = makeWorld("other");
  const { descriptor, token } = await makeVersion(world, null);
  await expect(signDescriptor(descriptor, ownerSigningKey(other.root))).rejects.toMatchObject({
    code: "DESCRIPTOR_OWNER",
  });
  await expect(verifyDescriptor(token, other.facts.ownerPublicKey)).rejects.toMatchObject({ code: "SIGNATURE" });
});

test("a pipelineUid that does not follow from owner, stack and name is refused", () => {
  const facts = { ...publicFacts(world.root, world.facts.stackUuid, "spam"), name: "ham" };
  expect(() => buildDescriptor({ ...base, facts })).toThrow(/pipelineUid does not follow/);
});

test("a revocation verifies with the owner's key inside", async () => {
  const token = await signRevocation(
    {
      ledgerKey: world.ledgerKey,
      pipelineUid: world.facts.pipelineUid,
      descriptor: null,
      reason: "destroyed",
      random: bytes("nonce"),
    },
    ownerSigningKey(world.root),
  );
  const read = await verifyJws("sealflow-revoke+jwt", token, publicKey("Ed25519", world.facts.ownerPublicKey), revoke);
  expect(read).toMatchObject({ descriptor: null, reason: "destroyed" });
});
