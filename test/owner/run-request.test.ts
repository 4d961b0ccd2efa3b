import { openRunRequest, signCancel, signReadToken } from "../../owner/run-request";
import { privateKey, publicKey, rawPublic } from "../../protocol/crypto";
import { openFrom } from "../../protocol/jwe";
import { jwsDigest, verifyJws } from "../../protocol/jws";
import { parameterSeed, runKey } from "../../protocol/keys";
import { cancelRequest, parameterContext, readToken, runRequest } from "../../protocol/messages";
import { runIdOf } from "../../protocol/opening";
import { bytes, DATASET, hex, makeVersion, makeWorld } from "./support/pipeline";

const world = makeWorld("run");
const now = new Date("2025-11-24T10:00:00Z");
const key = runKey(world.root);
const verifier = publicKey("Ed25519", rawPublic(key));

async function open(parameters: Record<string, unknown> = {}) {
  const version = await makeVersion(world, null);
  return {
    version,
    ...(await openRunRequest({ ...version, runKey: key, parameters, head: null, now, random: bytes("n") })),
  };
}

test("a request pins the version, its inputs and a ten-minute life, and its run id is its digest", async () => {
  const { token, run, version } = await open();
  const read = await verifyJws("sealflow-run+jwt", token, verifier, runRequest);
  expect(read).toMatchObject({
    descriptor: jwsDigest(version.token),
    inputs: { mails: DATASET.digest },
    head: null,
    runKey: rawPublic(key),
  });
  expect(read.expiresAt - read.issuedAt).toBe(600);
  expect(run).toBe(runIdOf(token));
  expect(run).toBe(jwsDigest(token));
});

test("parameters open with that step's key alone", async () => {
  const { token, version } = await open({ train: { rate: 0.5 } });
  const read = await verifyJws("sealflow-run+jwt", token, verifier, runRequest);
  const { pipelineUid } = version.descriptor;
  const sealed = read.parameters.train as string;
  const seed = (step: string) => privateKey("X25519", parameterSeed(world.root, pipelineUid, step));
  const opened = await openFrom(seed("train"), parameterContext(pipelineUid, "train"), sealed);
  expect(new TextDecoder().decode(opened)).toBe('{"rate":0.5}');
  expect(token).not.toContain("rate");
  await expect(openFrom(seed("split"), parameterContext(pipelineUid, "train"), sealed)).rejects.toMatchObject({
    code: "KEY",
  });
  await expect(openFrom(seed("train"), parameterContext(pipelineUid, "split"), sealed)).rejects.toMatchObject({
    code: "KEY",
  });
});

test("two requests with other nonces are two runs", async () => {
  const version = await makeVersion(world, null);
  const options = { ...version, runKey: key, head: null, now };
  const a = await openRunRequest({ ...options, random: bytes("a") });
  const b = await openRunRequest({ ...options, random: bytes("b") });
  expect(a.run).not.toBe(b.run);
});

test("a key that the descriptor does not list opens no run", async () => {
  const version = await makeVersion(world, null);
  const stranger = privateKey("Ed25519", bytes("stranger"));
  await expect(
    openRunRequest({ ...version, runKey: stranger, head: null, now, random: bytes("n") }),
  ).rejects.toMatchObject({ code: "RUN_KEY" });
});

test("parameters for unknown steps, and parameters that are no objects, are listed together", async () => {
  await expect(open({ trian: {}, split: 3 })).rejects.toMatchObject({
    code: "RUN_PARAMETERS",
    message: expect.stringMatching(/"trian".*split, train.*"split" must be an object/s),
  });
});

test("read token and cancellation verify with the run key", async () => {
  const read = await signReadToken(
    { ledgerKey: world.ledgerKey, pipelineUid: world.facts.pipelineUid, now, random: bytes("r") },
    key,
  );
  expect(await verifyJws("sealflow-read+jwt", read, verifier, readToken)).toMatchObject({ by: rawPublic(key) });
  const cancel = await signCancel(
    {
      pipelineUid: world.facts.pipelineUid,
      run: hex("x"),
      reason: "test",
      now,
      random: bytes("c"),
    },
    key,
  );
  expect(await verifyJws("sealflow-cancel+jwt", cancel, verifier, cancelRequest)).toMatchObject({ reason: "test" });
});
