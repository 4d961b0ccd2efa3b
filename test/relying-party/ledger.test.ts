/** @jest-environment node */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { utf8 } from "../../protocol/bytes";
import { publicKey } from "../../protocol/crypto";
import { verifyJws } from "../../protocol/jws";
import { verifyConsistency, verifyInclusion } from "../../protocol/merkle";
import { type Head, head } from "../../protocol/messages";
import { createLedger, type Ledger } from "../../relying-party/ledger";
import { caller } from "../support/ledger-caller";
import { ciphertext, createWorld, type World, type WorldPlan } from "../support/ledger-world";

let dir: string;
let ledger: Ledger;
let clock: number;
let call: ReturnType<typeof caller>;
const now = () => clock;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "ledger-"));
  clock = 1_800_000_000_000;
  ledger = await createLedger({ dir, publicUrl: "https://ledger.test", now, sweepMs: 0 });
  call = caller(ledger);
});
afterEach(async () => {
  await ledger.close();
  rmSync(dir, { recursive: true, force: true });
});

const STEPS: WorldPlan["steps"] = {
  split: { inputs: { mails: { dataset: "mails" } }, outputs: { train: "json", test: "json" }, retryLimit: 1 },
  train: { inputs: { data: { from: "split.train" } }, outputs: { model: "json" }, retryLimit: 1 },
  gate: { inputs: { model: { from: "train.model" }, test: { from: "split.test" } }, outputs: { verdict: "json" } },
};
async function world(change: Partial<WorldPlan> = {}): Promise<World> {
  const made = await createWorld({
    ledgerKey: ledger.ledgerKey,
    steps: STEPS,
    datasets: { mails: ciphertext("mails") },
    releases: { verdict: "gate.verdict" },
    now: () => Math.floor(clock / 1000),
    ...change,
  });
  await call.deploy(made);
  return made;
}
const pass = (seconds: number): void => {
  clock += seconds * 1000;
};
const readHead = (token: string): Promise<Head> =>
  verifyJws("sealflow-head+jwt", token, publicKey("Ed25519", ledger.ledgerKey), head);

describe("a pipeline of three steps", () => {
  it("runs to success, step by step, with waits where inputs are missing", async () => {
    const w = await world();
    const run = await call.openRun(w);
    expect(await call.claim(await w.claim("train", run))).toMatchObject({ status: "wait" });

    const go = await call.go(w, "split", run);
    expect(go).toMatchObject({ run, shard: 0, attempt: 1, descriptor: w.descriptor });
    expect(await call.finish(w, "split", go)).toMatchObject({ status: "committed" });
    expect(await call.claim(await w.claim("split", run))).toMatchObject({ status: "superseded" });
    expect(await call.run(w, "train", run)).toMatchObject({ status: "committed" });
    expect(await call.status(w, run)).toMatchObject({ state: "open", steps: { gate: { state: "waiting" } } });
    expect(await call.run(w, "gate", run)).toMatchObject({ status: "committed" });

    const status = await call.status(w, run);
    expect(status).toMatchObject({ state: "succeeded", endedAt: clock / 1000, pipelineUid: w.pipelineUid });
    expect(Object.values(status.steps).map((s) => (s as { state: string }).state)).toEqual(Array(3).fill("committed"));
  });

  it("answers a claim with what proves its inputs: receipt, inclusion, and a log that extends the request's head", async () => {
    const w = await world();
    const seen = (await call.get("/v1/key")).body.head;
    const run = await call.openRun(w, { head: seen });
    await call.run(w, "split", run);
    const go = await call.go(w, "train", run);
    const at = await readHead(go.head);
    verifyConsistency(await readHead(seen), at, go.consistency);
    const [input] = go.inputs.data ?? [];
    expect(input).toMatchObject({ edge: "split.train", shard: 0, attempt: 1 });
    if (!input) throw new Error("no input");
    verifyInclusion(utf8(input.leafBytes), input.leaf, at.size, input.inclusion, at.root);
    const stored = await ledger.handle(new Request(input.url));
    expect((await stored.arrayBuffer()).byteLength).toBe(input.object.size);
  });

  it("gives every claim of a run the same secret, sealed to that claim, and another run another", async () => {
    const w = await world();
    const [one, two] = [await call.openRun(w), await call.openRun(w)];
    const secret = async (run: string) => {
      const guest = await w.claim("split", run);
      const answer = await call.claim(guest);
      if (!answer.go) throw new Error("refused");
      return guest.open(answer.go);
    };
    const first = await secret(one);
    expect(first).toHaveLength(32);
    expect(await secret(one)).toEqual(first);
    expect(await secret(two)).not.toEqual(first);
  });
});
