/** What the ledger promises, whatever database it is on. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { ReadableStream as WebStream } from "node:stream/web";
import { fromHex, hex, utf8 } from "../../../protocol/bytes";
import { privateKey, publicKey, rawPublic, sha256hex } from "../../../protocol/crypto";
import { jwsDigest, peekJws, verifyJws } from "../../../protocol/jws";
import { type NodeSource, nodeHash, subtreeRoot, verifyConsistency, verifyInclusion } from "../../../protocol/merkle";
import { type DescriptorStep, guestSeconds, type Head, head, peekReceipt } from "../../../protocol/messages";
import { createLedger, type Ledger } from "../../../relying-party/ledger";
import { readEvents } from "../../../relying-party/ledger-client/sse";
import { caller } from "../../support/ledger-caller";
import type { Engine } from "../../support/ledger-engines";
import {
  type CommitOptions,
  ciphertext,
  createWorld,
  nextVersion,
  type World,
  type WorldPlan,
} from "../../support/ledger-world";

export function ledgerSuite(engine: Engine): void {
  let dir: string;
  let database: Awaited<ReturnType<Engine["fresh"]>>;
  let ledger: Ledger;
  let clock: number;
  let call: ReturnType<typeof caller>;
  const now = () => clock;

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), "ledger-"));
    clock = 1_800_000_000_000;
    database = await engine.fresh();
    ledger = await createLedger({ dir, publicUrl: "https://ledger.test", now, sweepMs: 0, ...database });
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
      expect(go).toMatchObject({ run, shard: 0, attempt: 1 });
      expect(jwsDigest(go.descriptor)).toBe(jwsDigest(w.descriptor));
      expect(await call.finish(w, "split", go)).toMatchObject({ status: "committed" });
      expect(await call.claim(await w.claim("split", run))).toMatchObject({ status: "superseded" });
      expect(await call.run(w, "train", run)).toMatchObject({ status: "committed" });
      expect(await call.status(w, run)).toMatchObject({ state: "open", steps: { gate: { state: "waiting" } } });
      expect(await call.run(w, "gate", run)).toMatchObject({ status: "committed" });

      const status = await call.status(w, run);
      expect(status).toMatchObject({ state: "succeeded", endedAt: clock / 1000, pipelineUid: w.pipelineUid });
      expect(Object.values(status.steps).map((s) => (s as { state: string }).state)).toEqual(
        Array(3).fill("committed"),
      );
    });

    it("runs steps and outputs whose names every object of JavaScript has", async () => {
      const w = await world({
        steps: {
          constructor: { inputs: { mails: { dataset: "mails" } }, outputs: { constructor: "json" } },
          reader: { inputs: { constructor: { from: "constructor.constructor" } }, outputs: { sum: "json" } },
        } as unknown as WorldPlan["steps"],
        releases: { constructor: "constructor.constructor" } as unknown as Record<string, string>,
      });
      const run = await call.openRun(w);
      expect(await call.run(w, "constructor", run)).toMatchObject({ status: "committed" });
      expect(await call.run(w, "reader", run)).toMatchObject({ status: "committed" });
      expect(await call.status(w, run)).toMatchObject({ state: "succeeded" });
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
      verifyConsistency(await readHead(peekReceipt(input.receipt).predicate.head), at, input.consistency);
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

  const ONE: WorldPlan["steps"] = { only: { outputs: { data: "json" }, retryLimit: 1 } };
  const one = (change: Partial<WorldPlan> = {}) => world({ steps: ONE, datasets: {}, releases: {}, ...change });

  describe("attempts", () => {
    it("a claim while another attempt runs is a twin; the second commit is superseded and counts nothing", async () => {
      const w = await one();
      const run = await call.openRun(w);
      const [first, second] = [await call.go(w, "only", run), await call.go(w, "only", run)];
      expect([first.attempt, second.attempt]).toEqual([1, 2]);
      expect(await call.finish(w, "only", second)).toMatchObject({ status: "committed" });
      expect(await call.finish(w, "only", first)).toMatchObject({ status: "superseded" });
      const status = await call.status(w, run);
      expect(status).toMatchObject({ state: "succeeded", steps: { only: { shards: [{ attempt: 2, attempts: 2 }] } } });
    });

    it("a twin is superseded also while the run goes on", async () => {
      const w = await world();
      const run = await call.openRun(w);
      const [first, second] = [await call.go(w, "split", run), await call.go(w, "split", run)];
      await call.finish(w, "split", first);
      expect(await call.finish(w, "split", second)).toMatchObject({ status: "superseded" });
    });

    it("a reported failure leaves the next attempt; the last one fails the run", async () => {
      const w = await one();
      const run = await call.openRun(w);
      const failed = { outcome: "failed" as const };
      expect(await call.finish(w, "only", await call.go(w, "only", run), failed)).toMatchObject({ status: "recorded" });
      expect(await call.status(w, run)).toMatchObject({ state: "open", steps: { only: { state: "failed" } } });
      expect(await call.finish(w, "only", await call.go(w, "only", run), failed)).toMatchObject({ status: "recorded" });
      expect(await call.status(w, run)).toMatchObject({
        state: "failed",
        steps: {
          only: {
            shards: [
              {
                attempts: 2,
                failures: [
                  { attempt: 1, exitClass: "program" },
                  { attempt: 2, exitClass: "program" },
                ],
              },
            ],
          },
        },
      });
      expect(await call.claim(await w.claim("only", run))).toMatchObject({ status: "refused", refusal: "RUN_CLOSED" });
    });

    it("a claim beyond the last attempt is refused, and ends no attempt that is out: its commit counts", async () => {
      const w = await one();
      const run = await call.openRun(w);
      await call.go(w, "only", run);
      const last = await call.go(w, "only", run);
      const refused = { status: "refused", refusal: "ATTEMPTS_EXHAUSTED" };
      expect(await call.claim(await w.claim("only", run))).toMatchObject(refused);
      expect(await call.status(w, run)).toMatchObject({ state: "open" });
      expect(await call.finish(w, "only", last)).toMatchObject({ status: "committed" });
      expect(await call.status(w, run)).toMatchObject({ state: "succeeded" });
    });

    it("the run fails with a claim when its attempts are used up and silent for longer than a guest may live", async () => {
      const w = await one();
      const run = await call.openRun(w);
      await call.go(w, "only", run);
      const last = await call.go(w, "only", run);
      const { limits } = w.steps.only as DescriptorStep;
      const refused = { status: "refused", refusal: "ATTEMPTS_EXHAUSTED" };
      pass(guestSeconds(limits) - 1);
      expect(await call.claim(await w.claim("only", run))).toMatchObject(refused);
      expect(await call.status(w, run)).toMatchObject({ state: "open" });
      pass(1);
      expect(await call.claim(await w.claim("only", run))).toMatchObject(refused);
      expect(await call.status(w, run)).toMatchObject({ state: "failed" });
      expect(await call.finish(w, "only", last)).toMatchObject({ status: "refused", refusal: "RUN_CLOSED" });
    });

    it("waits and refusals use up nothing", async () => {
      const w = await world();
      const run = await call.openRun(w);
      for (let i = 0; i < 5; i++)
        expect(await call.claim(await w.claim("train", run))).toMatchObject({ status: "wait" });
      await call.run(w, "split", run);
      expect(await call.go(w, "train", run)).toMatchObject({ attempt: 1 });
    });

    it("the same claim bytes get the same attempt, and after its end none", async () => {
      const w = await one();
      const run = await call.openRun(w);
      const guest = await w.claim("only", run);
      const [first, again] = [await call.claim(guest), await call.claim(guest)];
      expect(again.go).toMatchObject({ run, shard: 0, attempt: first.go?.attempt as number });
      if (!first.go || !again.go) throw new Error("refused");
      expect(await guest.open(again.go)).toEqual(await guest.open(first.go));
      await call.finish(w, "only", first.go, { outcome: "failed" });
      expect(await call.claim(guest)).toMatchObject({ status: "refused", refusal: "RUN_CLOSED" });
      expect(await call.go(w, "only", run)).toMatchObject({ attempt: 2 });
    });

    it("shards are assigned one by one, then those that failed, then twins; all of them make the step", async () => {
      const w = await one({
        steps: {
          map: { outputs: { part: "json" }, shards: 3, retryLimit: 1 },
          join: { inputs: { parts: { from: "map.part", collect: true } }, outputs: { all: "json" } },
        },
      });
      const run = await call.openRun(w);
      const [a, b, c] = [await call.go(w, "map", run), await call.go(w, "map", run), await call.go(w, "map", run)];
      expect([a.shard, b.shard, c.shard]).toEqual([0, 1, 2]);
      await call.finish(w, "map", b, { outcome: "failed" });
      const again = await call.go(w, "map", run);
      expect(again).toMatchObject({ shard: 1, attempt: 2 });
      expect(await call.go(w, "map", run)).toMatchObject({ shard: 0, attempt: 2 });
      for (const go of [a, again]) await call.finish(w, "map", go);
      expect(await call.claim(await w.claim("join", run))).toMatchObject({ status: "wait" });
      await call.finish(w, "map", c);
      expect(await call.claim(await w.claim("map", run))).toMatchObject({ status: "superseded" });
      const join = await call.go(w, "join", run);
      expect(join.inputs.parts?.map((i) => [i.shard, i.attempt])).toEqual([
        [0, 1],
        [1, 2],
        [2, 1],
      ]);
      expect(await call.finish(w, "join", join)).toMatchObject({ status: "committed" });
    });
  });

  describe("which run a claim gets", () => {
    it("without a hint the oldest where the step can run; with a hint that one", async () => {
      const w = await one();
      const first = await call.openRun(w);
      pass(1);
      const second = await call.openRun(w);
      expect((await call.go(w, "only")).run).toBe(first);
      expect((await call.go(w, "only", second)).run).toBe(second);
      await call.run(w, "only", first);
      expect((await call.go(w, "only")).run).toBe(second);
    });

    it("a run that waits does not hold up a later one", async () => {
      const w = await world();
      const first = await call.openRun(w);
      pass(1);
      const second = await call.openRun(w);
      await call.run(w, "split", second);
      expect((await call.go(w, "train")).run).toBe(second);
      expect(first).not.toBe(second);
    });

    it.each([
      ["an unknown run", "RUN_UNKNOWN", async () => "0".repeat(64)],
      ["another pipeline's run", "RUN_UNKNOWN", async () => call.openRun(await one({ name: "other" }))],
    ])("a hint at %s is refused with %s", async (_what, refusal, hint) => {
      const w = await one();
      await call.openRun(w);
      expect(await call.claim(await w.claim("only", await hint()))).toMatchObject({ status: "refused", refusal });
    });

    it("no open run is refused with NO_OPEN_RUN, an unregistered program with PIPELINE_UNKNOWN", async () => {
      const w = await one();
      expect(await call.claim(await w.claim("only"))).toMatchObject({ refusal: "NO_OPEN_RUN" });
      const stranger = await createWorld({ ledgerKey: ledger.ledgerKey, steps: ONE });
      expect(await call.claim(await stranger.claim("only"))).toMatchObject({ refusal: "PIPELINE_UNKNOWN" });
      const wrongBundle = await w.claim("only", null, { bundle: "0".repeat(64) });
      expect(await call.claim(wrongBundle)).toMatchObject({ refusal: "PIPELINE_UNKNOWN" });
    });
  });

  describe("versions", () => {
    it("a new version closes its predecessor: no new run, no claim, no commit, and the secret is gone", async () => {
      const w = await one();
      const run = await call.openRun(w);
      const go = await call.go(w, "only", run);
      const next = await nextVersion(w, { steps: { only: { ...ONE.only, command: ["changed"] } } });
      await call.deploy(next);
      expect(await call.post("/v1/runs", (await w.runRequest()).token)).toMatchObject({
        status: 409,
        code: "VERSION_CLOSED",
      });
      expect(await call.claim(await w.claim("only", run))).toMatchObject({ refusal: "VERSION_CLOSED" });
      expect(await call.claim(await w.claim("only"))).toMatchObject({ refusal: "VERSION_CLOSED" });
      expect(await call.finish(w, "only", go)).toMatchObject({ status: "refused", refusal: "VERSION_CLOSED" });
      expect(await call.status(next, run)).toMatchObject({ state: "closed" });
      const versions = (await call.get(`/v1/pipelines/${w.pipelineUid}`, await w.readToken())).body.descriptors;
      expect(versions.map((v: { state: string }) => v.state)).toEqual(["closed", "open"]);
    });

    it("with a drain time open runs go on until it is over", async () => {
      const w = await world();
      const run = await call.openRun(w);
      await call.run(w, "split", run);
      await call.deploy(await nextVersion(w, { drainSeconds: 60 }));
      expect((await call.post("/v1/runs", (await w.runRequest()).token)).code).toBe("VERSION_CLOSED");
      expect(await call.run(w, "train", run)).toMatchObject({ status: "committed" });
      const go = await call.go(w, "gate", run);
      pass(60);
      expect(await call.finish(w, "gate", go)).toMatchObject({ refusal: "VERSION_CLOSED" });
      await ledger.sweep();
      expect(await call.status(w, run)).toMatchObject({ state: "closed" });
    });

    it.each([
      ["a gap", (w: World) => w.signDescriptor({ sequence: 3, predecessor: w.digest })],
      ["another predecessor", (w: World) => w.signDescriptor({ sequence: 2, predecessor: "0".repeat(64) })],
      ["a second first version", (w: World) => w.signDescriptor({ drainSeconds: 5 })],
    ])("a version with %s is refused with SEQUENCE", async (_what, sign) => {
      const w = await one();
      expect(await call.post("/v1/pipelines", await sign(w))).toMatchObject({ status: 409, code: "SEQUENCE" });
    });

    it("the same bytes again get the same answer and change nothing", async () => {
      const w = await one();
      const size = async () => (await readHead((await call.get("/v1/key")).body.head)).size;
      const before = await size();
      expect(await call.post("/v1/pipelines", w.descriptor)).toMatchObject({ status: 200, body: { sequence: 1 } });
      const { token, run } = await w.runRequest();
      await call.post("/v1/runs", token);
      expect(await call.post("/v1/runs", token)).toMatchObject({ status: 200, body: { run, state: "open" } });
      expect(await size()).toBe(before + 1);
    });

    it("a descriptor for another ledger is refused with LEDGER_KEY, another's pipelineUid with FORBIDDEN", async () => {
      const w = await createWorld({ ledgerKey: "A".repeat(43), steps: ONE });
      expect(await call.post("/v1/pipelines", w.descriptor)).toMatchObject({ status: 409, code: "LEDGER_KEY" });
      const own = await one();
      const thief = await createWorld({ ledgerKey: ledger.ledgerKey, steps: ONE });
      const stolen = await thief.signDescriptor({ pipelineUid: own.pipelineUid, sequence: 2, predecessor: own.digest });
      expect(await call.post("/v1/pipelines", stolen)).toMatchObject({ status: 403, code: "FORBIDDEN" });
    });

    it.each([
      ["an unknown edge", { steps: { a: { inputs: { x: { from: "b.y" } } } } }, "no output b.y"],
      [
        "a cycle",
        {
          steps: {
            a: { inputs: { x: { from: "b.y" } }, outputs: { y: "json" as const } },
            b: { inputs: { x: { from: "a.y" } }, outputs: { y: "json" as const } },
          },
        },
        "a, b wait for each other",
      ],
      ["an output named log", { steps: { a: { outputs: { log: "json" as const } } } }, "reserved"],
      ["a release of nothing", { steps: { a: {} }, releases: { r: "a.none" } }, "no output a.none"],
    ])("a descriptor with %s is refused with DESCRIPTOR", async (_what, plan, message) => {
      const w = await createWorld({ ledgerKey: ledger.ledgerKey, ...plan });
      const { status, code, body } = await call.post("/v1/pipelines", w.descriptor);
      expect([status, code]).toEqual([400, "DESCRIPTOR"]);
      expect(body.error.message).toContain(message);
    });

    it("a revoked version ends at once, and its successor can follow", async () => {
      const w = await one();
      const run = await call.openRun(w);
      const go = await call.go(w, "only", run);
      expect((await call.post(`/v1/pipelines/${w.pipelineUid}/revoke`, await w.revoke(w.digest))).status).toBe(200);
      expect((await call.post("/v1/runs", (await w.runRequest()).token)).code).toBe("REVOKED");
      expect(await call.claim(await w.claim("only", run))).toMatchObject({ refusal: "REVOKED" });
      expect(await call.claim(await w.claim("only"))).toMatchObject({ refusal: "REVOKED" });
      expect(await call.finish(w, "only", go)).toMatchObject({ refusal: "REVOKED" });
      const next = await nextVersion(w);
      await call.deploy(next);
      await call.openRun(next);
    });

    it("a pipeline closed for good takes neither runs nor versions, and only its owner can close it", async () => {
      const w = await one();
      const stranger = await one({ name: "stranger" });
      const path = `/v1/pipelines/${w.pipelineUid}/revoke`;
      expect(await call.post(path, await stranger.revoke(null))).toMatchObject({ status: 403, code: "FORBIDDEN" });
      expect(await call.post(path, await stranger.revoke(null, { pipelineUid: w.pipelineUid }))).toMatchObject({
        code: "FORBIDDEN",
      });
      const token = await w.revoke(null);
      expect((await call.post(path, token)).status).toBe(200);
      expect((await call.post(path, token)).status).toBe(200);
      expect((await call.post("/v1/runs", (await w.runRequest()).token)).code).toBe("PIPELINE_CLOSED");
      expect((await call.post("/v1/pipelines", (await nextVersion(w)).descriptor)).code).toBe("PIPELINE_CLOSED");
      await call.openRun(stranger);
    });
  });

  describe("a run request", () => {
    it.each([
      ["expired", "CLOCK", () => ({ expiresAt: clock / 1000 - 1 })],
      ["valid for weeks", "CLOCK", () => ({ expiresAt: clock / 1000 + 30 * 86_400 })],
      ["from the future", "CLOCK", () => ({ issuedAt: clock / 1000 + 3600 })],
      ["with another dataset", "INPUTS", () => ({ inputs: { mails: "0".repeat(64) } })],
      ["without its dataset", "INPUTS", () => ({ inputs: {} })],
      ["with a dataset too many", "INPUTS", () => ({ inputs: { extra: "0".repeat(64) } })],
      ["for an unknown version", "NOT_FOUND", () => ({ descriptor: "0".repeat(64) })],
      ["for an unknown pipeline", "PIPELINE_UNKNOWN", () => ({ pipelineUid: "0".repeat(64) })],
    ])("%s is refused with %s", async (_what, code, change) => {
      const w = await world();
      expect((await call.post("/v1/runs", (await w.runRequest(change())).token)).code).toBe(code);
    });

    it("by a key that is no run key of the version is refused with FORBIDDEN", async () => {
      const w = await one();
      const thief = await createWorld({ ledgerKey: ledger.ledgerKey, steps: ONE, now: () => clock / 1000 });
      const { token } = await thief.runRequest({ pipelineUid: w.pipelineUid, descriptor: w.digest });
      expect(await call.post("/v1/runs", token)).toMatchObject({ status: 403, code: "FORBIDDEN" });
    });

    it("whose dataset was not uploaded is refused with OBJECT_MISSING", async () => {
      const w = await createWorld({
        ledgerKey: ledger.ledgerKey,
        steps: { a: { inputs: { d: { dataset: "d" } } } },
        datasets: { d: ciphertext() },
        now: () => clock / 1000,
      });
      await call.post("/v1/pipelines", w.descriptor);
      expect((await call.post("/v1/runs", (await w.runRequest()).token)).code).toBe("OBJECT_MISSING");
    });
  });

  describe("the end of a run", () => {
    it("cancel is final, by a run key only, and its claims and commits are refused", async () => {
      const w = await one();
      const run = await call.openRun(w);
      const go = await call.go(w, "only", run);
      const stranger = await createWorld({ ledgerKey: ledger.ledgerKey, steps: ONE, now: () => clock / 1000 });
      const foreign = await stranger.cancel(run, { pipelineUid: w.pipelineUid });
      expect(await call.post(`/v1/runs/${run}/cancel`, foreign)).toMatchObject({ status: 403, code: "FORBIDDEN" });
      const token = await w.cancel(run);
      expect(await call.post(`/v1/runs/${run}/cancel`, token)).toMatchObject({ body: { state: "cancelled" } });
      expect(await call.post(`/v1/runs/${run}/cancel`, token)).toMatchObject({ body: { state: "cancelled" } });
      expect(await call.claim(await w.claim("only", run))).toMatchObject({ refusal: "RUN_CLOSED" });
      expect(await call.finish(w, "only", go)).toMatchObject({ refusal: "RUN_CLOSED" });
    });

    it("expiry refuses work before any sweep, and the sweep erases secret and objects but the releases", async () => {
      const w = await world({ runSeconds: 600 });
      const run = await call.openRun(w);
      for (const step of ["split", "train", "gate"]) await call.run(w, step, run);
      const late = await call.openRun(w);
      const guest = await w.claim("split", late);
      await call.claim(guest);
      pass(600);
      expect(await call.claim(await w.claim("split", late))).toMatchObject({ refusal: "RUN_CLOSED" });
      expect(await call.claim(guest)).toMatchObject({ refusal: "RUN_CLOSED" });
      expect(await call.status(w, late)).toMatchObject({ state: "expired" });
      const log = async () => (await call.get(`/v1/runs/${run}/log`, await w.readToken())).body;
      const objects = async () => Object.values((await log()).objects) as string[];
      expect(await objects()).toHaveLength(4 + 1 + 1);
      await ledger.sweep();
      expect(await objects()).toHaveLength(1 + 1);
      expect((await log()).commits).toHaveLength(3);
      expect(await call.status(w, run)).toMatchObject({ state: "succeeded" });
      expect(await call.status(w, late)).toMatchObject({ state: "expired" });
    });

    it("destroying with its objects leaves none of them", async () => {
      const w = await world();
      const run = await call.openRun(w);
      for (const step of ["split", "train", "gate"]) await call.run(w, step, run);
      const token = await w.revoke(null, { deleteObjects: true });
      await call.post(`/v1/pipelines/${w.pipelineUid}/revoke`, token);
      await ledger.sweep();
      const { body } = await call.get(`/v1/runs/${run}/log`, await w.readToken());
      expect(Object.keys(body.objects)).toEqual([w.content.datasets.mails?.digest]);
      const bytes = w.plan.datasets?.mails as Uint8Array;
      expect((await call.post("/v1/objects", await w.upload(bytes, "delete"))).status).toBe(200);
      expect((await call.get(`/v1/runs/${run}/log`, await w.readToken())).body.objects).toEqual({});
    });

    type Ending = (other: ReturnType<typeof caller>, w: World, run: string) => Promise<unknown>;
    const endings: [string, Ending][] = [
      ["an expired run", async () => pass(61)],
      ["a cancelled run", async (other, w, run) => other.post(`/v1/runs/${run}/cancel`, await w.cancel(run))],
      [
        "a revoked version's run",
        async (other, w) => other.post(`/v1/pipelines/${w.pipelineUid}/revoke`, await w.revoke(null)),
      ],
      ["a run whose version has a successor", async (other, w) => other.deploy(await nextVersion(w, {}))],
      [
        "a run that had succeeded when its version was revoked",
        async (other, w, run) => {
          await other.run(w, "only", run);
          await other.post(`/v1/pipelines/${w.pipelineUid}/revoke`, await w.revoke(jwsDigest(w.descriptor)));
        },
      ],
    ];
    (engine.name === "SQLite" ? it : it.skip).each(endings)(
      "no database file holds the secret of %s",
      async (what, end) => {
        const secrets: Uint8Array[] = [];
        const marked = await createLedger({
          dir: join(dir, "marked"),
          publicUrl: "https://ledger.test",
          now,
          sweepMs: 0,
          random: (n) => {
            const made = new Uint8Array(randomBytes(n));
            secrets.push(made);
            return made;
          },
        });
        try {
          const other = caller(marked);
          const w = await createWorld({
            ledgerKey: marked.ledgerKey,
            steps: ONE,
            runSeconds: 60,
            now: () => clock / 1000,
          });
          await other.deploy(w);
          const run = await other.openRun(w);
          const secret = Buffer.from(secrets.at(-1) as Uint8Array);
          const files = () =>
            readdirSync(join(dir, "marked"))
              .filter((f) => f.startsWith("ledger.db"))
              .map((f) => readFileSync(join(dir, "marked", f)));
          expect(files().some((bytes) => bytes.includes(secret))).toBe(true);
          await end(other, w, run);
          if (what === "an expired run") await marked.sweep();
          expect(files().some((bytes) => bytes.includes(secret))).toBe(false);
        } finally {
          await marked.close();
        }
      },
    );
  });

  describe("a commit", () => {
    it("repeated gets the same answer, also when the run has ended since", async () => {
      const w = await one();
      const run = await call.openRun(w);
      const go = await call.go(w, "only", run);
      const token = await w.commit("only", go, await call.upload(go));
      expect(await call.commit(token)).toMatchObject({ status: "committed" });
      expect(await call.commit(token)).toMatchObject({ status: "committed" });
      const status = await call.status(w, run);
      expect(status.steps.only.shards[0]).toMatchObject({ attempts: 1, attempt: 1 });
      const { body } = await call.get(`/v1/runs/${run}/log`, await w.readToken());
      expect(body.commits).toHaveLength(1);
    });

    it.each<[string, CommitOptions]>([
      ["another run", { predicate: { run: "0".repeat(64) } }],
      ["another step", { predicate: { step: "other" } }],
      ["another shard", { predicate: { shard: 1 } }],
      ["another attempt", { predicate: { attempt: 2 } }],
      ["another program", { predicate: { programId: "0".repeat(64) } }],
      ["another identity", { predicate: { identity: "0".repeat(64) } }],
      ["another version", { predicate: { descriptor: "0".repeat(64) } }],
      ["another pipeline", { predicate: { pipelineUid: "0".repeat(64) } }],
      ["other parameters", { predicate: { parameters: "0".repeat(64) } }],
      ["no key commitments", { predicate: { keyCommits: {} } }],
      ["a failure", { predicate: { exitClass: "program" } }],
      ["no isolation", { predicate: { isolation: "none" } }],
      ["an unagreed reason to trust", { predicate: { trustProgram: "because" } }],
      ["a head of nobody", { predicate: { head: "a.b.c" } }],
      ["no subjects", { subject: [] }],
      ["a subject too many", { subject: [{ name: "x", digest: { sha256: "0".repeat(64) } }] }],
      ["an input it has not", { predicate: { inputs: [extraInput()] } }],
      ["a release it has not", { commit: { releases: { extra: { owner: "a.b.c.d.e" } } } }],
      ["outputs missing", { commit: { outputs: {} } }],
    ])("whose receipt says %s is refused with RECEIPT_MISMATCH, and counts nothing", async (_what, options) => {
      const w = await one();
      const run = await call.openRun(w);
      const go = await call.go(w, "only", run);
      expect(await call.finish(w, "only", go, options)).toMatchObject({ refusal: "RECEIPT_MISMATCH" });
      expect(await call.status(w, run)).toMatchObject({ state: "open", steps: { only: { state: "running" } } });
    });

    it("that names another input digest than its producer committed is refused with RECEIPT_MISMATCH", async () => {
      const w = await world();
      const run = await call.openRun(w);
      await call.run(w, "split", run);
      const go = await call.go(w, "train", run);
      const inputs = (go.inputs.data ?? []).map((i) => ({ ...i, object: { ...i.object, digest: "0".repeat(64) } }));
      expect(await call.finish(w, "train", { ...go, inputs: { data: inputs } })).toMatchObject({
        refusal: "RECEIPT_MISMATCH",
      });
      expect(await call.finish(w, "train", { ...go, inputs: { data: [] } })).toMatchObject({
        refusal: "RECEIPT_MISMATCH",
      });
    });

    it("without its release for every recipient is refused with RECEIPT_MISMATCH", async () => {
      const w = await one({ releases: { result: "only.data" } });
      const go = await call.go(w, "only", await call.openRun(w));
      for (const releases of [{}, { result: {} }, { result: { owner: "a.b.c.d.e", mallory: "a.b.c.d.e" } }]) {
        expect(await call.finish(w, "only", go, { commit: { releases } })).toMatchObject({
          refusal: "RECEIPT_MISMATCH",
        });
      }
    });

    it("may carry the log's key for the owner, also when the attempt failed", async () => {
      const w = await one();
      const go = await call.go(w, "only", await call.openRun(w));
      const commit = { releases: { log: { owner: "a.b.c.d.e" } } };
      expect(await call.finish(w, "only", go, { outcome: "failed", commit })).toMatchObject({ status: "recorded" });
      const again = await call.go(w, "only");
      const stranger = { releases: { log: { mallory: "a.b.c.d.e" } } };
      expect(await call.finish(w, "only", again, { commit: stranger })).toMatchObject({ refusal: "RECEIPT_MISMATCH" });
    });

    it("of an attempt that was never granted, or has ended, is refused with ATTEMPT_UNKNOWN", async () => {
      const w = await one();
      const go = await call.go(w, "only", await call.openRun(w));
      const outputs = await call.upload(go);
      const commit = (attempt: number) => w.commit("only", { ...go, attempt }, outputs);
      expect(await call.commit(await commit(2))).toMatchObject({ refusal: "ATTEMPT_UNKNOWN" });
      await call.finish(w, "only", go, { outcome: "failed" });
      expect(await call.commit(await commit(1))).toMatchObject({ refusal: "ATTEMPT_UNKNOWN" });
    });

    it("without its objects, or with other bytes, is refused with OBJECT_MISSING", async () => {
      const w = await one();
      const go = await call.go(w, "only", await call.openRun(w));
      expect(await call.commit(await w.commit("only", go, { data: ciphertext() }))).toMatchObject({
        refusal: "OBJECT_MISSING",
      });
      await call.upload(go);
      expect(await call.commit(await w.commit("only", go, { data: ciphertext() }))).toMatchObject({
        refusal: "OBJECT_MISSING",
      });
    });

    it("signed by another step is refused with SIGNATURE", async () => {
      const w = await world();
      const go = await call.go(w, "split", await call.openRun(w));
      const token = await w.commit("split", go, await call.upload(go), { step: "train" });
      expect(await call.post("/v1/commits", token)).toMatchObject({ status: 403, code: "SIGNATURE" });
    });

    it("of a hidden step tells nothing but that it failed", async () => {
      const w = await one({ steps: { only: { exitClass: "hidden", outputs: {} } } });
      const run = await call.openRun(w);
      const go = await call.go(w, "only", run);
      const loud = { outcome: "failed" as const, predicate: { exitClass: "timeout" as const } };
      expect(await call.finish(w, "only", go, loud)).toMatchObject({ refusal: "RECEIPT_MISMATCH" });
      expect(await call.finish(w, "only", go, { outcome: "failed" })).toMatchObject({ status: "recorded" });
      const status = await call.status(w, run);
      expect(status.steps.only.shards[0].failures).toEqual([{ attempt: 1, exitClass: "hidden" }]);
    });
  });

  describe("the border", () => {
    it.each([
      ["another media type", { headers: { "content-type": "text/plain" }, body: "{}" }, 415, "MEDIA_TYPE"],
      ["no JSON", { headers: { "content-type": "application/json" }, body: "{" }, 400, "SHAPE"],
      ["another shape", { headers: { "content-type": "application/json" }, body: '{"token":1}' }, 400, "SHAPE"],
      [
        "more than 8 MiB",
        { headers: { "content-type": "application/json" }, body: " ".repeat(8 * 1024 * 1024 + 1) },
        413,
        "TOO_LARGE",
      ],
    ])("%s is refused", async (_what, init, status, code) => {
      for (const path of ["/v1/pipelines", "/v1/runs", "/v1/claims", "/v1/commits", "/v1/objects"]) {
        expect(await call.send(path, { method: "POST", ...init })).toMatchObject({ status, code });
      }
    });

    it("a message of another type is refused with TYPE or SHAPE, a changed one with SIGNATURE", async () => {
      const w = await one();
      const guest = await w.claim("only");
      expect((await call.post("/v1/commits", guest.token)).status).toBe(400);
      expect((await call.post("/v1/claims", w.descriptor)).status).toBe(400);
      const flip = (token: string) => {
        const [header, payload, signature = ""] = token.split(".");
        return `${header}.${payload}.${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`;
      };
      const { token } = await w.runRequest();
      for (const [path, bytes] of [
        ["/v1/claims", guest.token],
        ["/v1/runs", token],
        ["/v1/pipelines", (await nextVersion(w)).descriptor],
      ] as const) {
        expect(await call.post(path, flip(bytes))).toMatchObject({ status: 403, code: "SIGNATURE" });
      }
    });

    it("a token that its owner made for another ledger does nothing here", async () => {
      const w = await one();
      const ledgerKey = rawPublic(privateKey("Ed25519", new Uint8Array(32).fill(7)));
      const read = await w.readToken({ ledgerKey }, "owner");
      const answers = [
        await call.post(`/v1/pipelines/${w.pipelineUid}/revoke`, await w.revoke(null, { ledgerKey })),
        await call.post(`/v1/pipelines/${w.pipelineUid}/revoke`, await w.revoke(w.digest, { ledgerKey })),
        await call.get(`/v1/pipelines/${w.pipelineUid}`, read),
        await call.get(`/v1/events?pipeline=${w.pipelineUid}`, read),
        await call.post("/v1/objects", await w.upload(new Uint8Array(5), "put", { ledgerKey })),
        await call.post("/v1/objects", await w.upload(new Uint8Array(5), "delete", { ledgerKey })),
      ];
      for (const answer of answers) expect(answer).toMatchObject({ code: "LEDGER_KEY" });
      expect(await call.openRun(w)).toMatch(/^[0-9a-f]{64}$/);
    });

    it("unknown calls are 404", async () => {
      expect(await call.get("/v1/nothing")).toMatchObject({ status: 404, code: "NOT_FOUND" });
    });
  });

  describe("reads", () => {
    it("need a token of the pipeline's owner or run key, fresh and short", async () => {
      const w = await one();
      const run = await call.openRun(w);
      const path = `/v1/runs/${run}`;
      expect((await call.get(path, await w.readToken({}, "owner"))).status).toBe(200);
      expect(await call.get(path)).toMatchObject({ status: 401, code: "TOKEN_MISSING" });
      const stranger = await one({ name: "stranger" });
      expect(await call.get(path, await stranger.readToken())).toMatchObject({ status: 404, code: "RUN_UNKNOWN" });
      const forged = await stranger.readToken({ pipelineUid: w.pipelineUid });
      expect(await call.get(path, forged)).toMatchObject({ status: 403, code: "FORBIDDEN" });
      const long = await w.readToken({ expiresAt: clock / 1000 + 86_400 });
      expect(await call.get(path, long)).toMatchObject({ code: "CLOCK" });
      const old = await w.readToken();
      pass(1200);
      expect(await call.get(path, old)).toMatchObject({ code: "CLOCK" });
      expect(await call.get(`/v1/runs?pipeline=${w.pipelineUid}`, await stranger.readToken())).toMatchObject({
        code: "FORBIDDEN",
      });
    });

    it("the export is the whole log with this pipeline's entries, under its head", async () => {
      const other = await one({ name: "other" });
      const w = await world();
      const run = await call.openRun(w);
      await call.openRun(other);
      for (const step of ["split", "train", "gate"]) await call.run(w, step, run);
      const { body } = await call.get(`/v1/runs/${run}/log`, await w.readToken());
      const at = await readHead(body.head);
      expect(body.entries).toHaveLength(at.size);
      const root = await subtreeRoot(perfect(body.entries.map((e: { hash: string }) => fromHex(e.hash))), 0, at.size);
      expect(hex(root)).toBe(at.root);
      const own = body.entries
        .filter((e: { entry?: string }) => e.entry)
        .map((e: { entry: string }) => JSON.parse(e.entry));
      expect(own.map((e: { kind: string }) => e.kind)).toEqual([
        "descriptor",
        "run",
        ...["attempt", "commit", "attempt", "commit", "attempt", "commit"],
      ]);
      expect(own.every((e: { pipelineUid: string }) => e.pipelineUid === w.pipelineUid)).toBe(true);
      for (const [digest, url] of Object.entries(body.objects) as [string, string][]) {
        const bytes = new Uint8Array(await (await ledger.handle(new Request(url))).arrayBuffer());
        expect(sha256hex(bytes)).toBe(digest);
      }
    });

    it("heads extend each other; a larger one than there is means ROLLBACK", async () => {
      const w = await one();
      const first = await readHead((await call.get("/v1/key")).body.head);
      for (let i = 0; i < 9; i++) {
        await call.openRun(w);
        const { head: token, consistency } = (await call.get(`/v1/heads?old=${first.size}`)).body;
        verifyConsistency(first, await readHead(token), consistency);
      }
      expect(await call.get("/v1/heads?old=1000")).toMatchObject({ status: 409, code: "ROLLBACK" });
    });

    /** An empty database in the place of the old one, under the same key. */
    async function forget(): Promise<void> {
      await ledger.close();
      for (const file of ["ledger.db", "ledger.db-wal", "ledger.db-shm"]) rmSync(join(dir, file), { force: true });
      const fresh = await engine.fresh();
      ledger = await createLedger({ dir, publicUrl: "https://ledger.test", now, sweepMs: 0, ...fresh });
      call = caller(ledger);
    }

    it("a commit whose receipt has seen another log is refused: nobody could read what it makes", async () => {
      const w = await one();
      await call.openRun(w);
      const heads = [(await call.get("/v1/key")).body.head];
      for (let i = 0; i < 9; i++) await call.openRun(w);
      heads.push((await call.get("/v1/key")).body.head);
      await forget();
      await call.deploy(w);
      const run = await call.openRun(w);
      const go = await call.go(w, "only", run);
      const outputs = await call.upload(go);
      const commit = async (options: CommitOptions = {}) => call.commit(await w.commit("only", go, outputs, options));
      // Of the same ledger: a size that this log has with another root, and one that it has not.
      for (const head of heads) {
        const answer = await commit({ predicate: { head } });
        expect(answer).toMatchObject({ status: "refused", refusal: "RECEIPT_MISMATCH" });
        expect(answer.detail).toMatch(/restored/);
      }
      expect(await commit()).toMatchObject({ status: "committed" });
    });

    it("a run request that has seen more than the log has is refused with ROLLBACK", async () => {
      const w = await one();
      await call.openRun(w);
      const seen = (await call.get("/v1/key")).body.head;
      await forget();
      await call.deploy(w);
      expect((await call.post("/v1/runs", (await w.runRequest({ head: seen })).token)).code).toBe("ROLLBACK");
    });

    it("events tell status as it happens", async () => {
      const w = await one();
      const res = await ledger.handle(
        new Request(`https://ledger.test/v1/events?pipeline=${w.pipelineUid}`, {
          headers: { authorization: `Bearer ${await w.readToken()}` },
        }),
      );
      const events = readEvents(Readable.fromWeb(res.body as WebStream));
      await new Promise((resolve) => setTimeout(resolve, 50));
      const run = await call.openRun(w);
      await call.run(w, "only", run);
      const seen: unknown[] = [];
      for await (const { data } of events) {
        if (data !== undefined) seen.push(JSON.parse(data));
        if (seen.length === 3) break;
      }
      expect(seen).toMatchObject([
        { kind: "run", run, step: null },
        { kind: "attempt", run, step: "only", shard: 0, attempt: 1 },
        { kind: "commit", run, step: "only", state: "succeeded" },
      ]);
    });

    it("events end with the token that they were asked for with, and begin by saying where", async () => {
      const w = await one();
      const asked = async (token: string) => {
        const headers = { authorization: `Bearer ${token}` };
        const path = `https://ledger.test/v1/events?pipeline=${w.pipelineUid}`;
        return (await ledger.handle(new Request(path, { headers }))).body as ReadableStream<Uint8Array>;
      };
      const token = await w.readToken();
      const seen: unknown[] = [];
      let ended = false;
      const listening = (async () => {
        for await (const message of readEvents(Readable.fromWeb((await asked(token)) as WebStream))) seen.push(message);
        ended = true;
      })();
      // What clocks may differ by is added to its life.
      clock += 899_000;
      await new Promise((resolve) => setTimeout(resolve, 700));
      const { size } = peekJws("sealflow-head+jwt", (await call.get("/v1/key")).body.head, head);
      expect(seen).toEqual([{ id: String(size - 1), data: undefined }]);
      expect(ended).toBe(false);
      clock += 2000;
      await listening;
      expect((await call.get(`/v1/events?pipeline=${w.pipelineUid}`, token)).code).toBe("CLOCK");
      await (await asked(await w.readToken())).cancel();
    });

    it("health and metrics answer without a token and name no pipeline", async () => {
      const w = await one();
      await call.openRun(w);
      expect((await call.get("/healthz")).status).toBe(200);
      expect((await call.get("/readyz")).status).toBe(200);
      const { body } = await call.get("/metrics");
      expect(body).toContain('sealflow_ledger_requests_total{method="POST",route="/v1/runs",status="200"} 1');
      expect(body).toContain('sealflow_ledger_runs{state="open"} 1');
      expect(body).not.toContain(w.pipelineUid);
    });
  });

  describe("a fixed list of owners", () => {
    it("keeps strangers from registering and uploading", async () => {
      const known = await createWorld({ ledgerKey: ledger.ledgerKey, steps: ONE, now: () => clock / 1000 });
      const closed = await createLedger({
        dir,
        publicUrl: "https://ledger.test",
        now,
        sweepMs: 0,
        ...database,
        owners: [known.ownerPublicKey],
      });
      try {
        const other = caller(closed);
        await other.deploy(known);
        const stranger = await createWorld({ ledgerKey: ledger.ledgerKey, steps: ONE, now: () => clock / 1000 });
        expect(await other.post("/v1/pipelines", stranger.descriptor)).toMatchObject({
          status: 403,
          code: "FORBIDDEN",
        });
        expect(await other.post("/v1/objects", await stranger.upload(ciphertext()))).toMatchObject({
          code: "FORBIDDEN",
        });
      } finally {
        await closed.close();
      }
    });
  });
}

function extraInput() {
  return { input: "x", dataset: "x", shard: 0, digest: "0".repeat(64), format: "json" as const };
}

/** Hashes of perfect subtrees over these leaves. */
function perfect(leaves: Uint8Array[]): NodeSource {
  const node = (level: number, index: number): Uint8Array =>
    level === 0 ? (leaves[index] as Uint8Array) : nodeHash(node(level - 1, index * 2), node(level - 1, index * 2 + 1));
  return node;
}
