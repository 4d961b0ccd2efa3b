/** Schedules, conditions and generations as the ledger keeps them, whatever database it is on. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { privateKey, rawPublic } from "../../../protocol/crypto";
import { jwsDigest, peekJws, signJws } from "../../../protocol/jws";
import { logEntry, schedule } from "../../../protocol/messages";
import { slotToken } from "../../../protocol/opening";
import { slotAfter, slotBefore } from "../../../protocol/slots";
import { createLedger, type Ledger } from "../../../relying-party/ledger";
import { caller } from "../../support/ledger-caller";
import type { Engine } from "../../support/ledger-engines";
import { createWorld, nextVersion, type World, type WorldPlan } from "../../support/ledger-world";

const HOURLY = "0 * * * *";

export function featuresSuite(engine: Engine): void {
  let dir: string;
  let ledger: Ledger;
  let clock: number;
  let call: ReturnType<typeof caller>;
  const seconds = () => Math.floor(clock / 1000);

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), "ledger-features-"));
    clock = 1_800_000_000_000;
    const database = await engine.fresh();
    ledger = await createLedger({ dir, publicUrl: "https://ledger.test", now: () => clock, sweepMs: 0, ...database });
    call = caller(ledger);
  });
  afterEach(async () => {
    await ledger.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const world = async (change: Partial<WorldPlan>): Promise<World> => {
    const made = await createWorld({ ledgerKey: ledger.ledgerKey, steps: { a: {} }, now: seconds, ...change });
    await call.deploy(made);
    return made;
  };

  describe("a slot of a schedule", () => {
    let w: World;
    let token: string;
    let slot: number;
    const open = (text: string) => call.post("/v1/runs", text);
    beforeEach(async () => {
      w = await world({ schedules: { hourly: HOURLY } });
      token = w.schedules.hourly as string;
      slot = slotBefore(HOURLY, seconds()) as number;
    });

    it("opens one run however often and by whomever it is asked for, and the run works", async () => {
      const { body } = await open(slotToken(token, slot));
      expect(body).toMatchObject({ run: jwsDigest(slotToken(token, slot)), state: "open" });
      const again = await Promise.all([open(slotToken(token, slot)), open(token), open(slotToken(token, slot))]);
      expect(again.map((a) => a.body.run)).toEqual([body.run, body.run, body.run]);
      expect((await call.run(w, "a", body.run)).status).toBe("committed");
      expect(await call.status(w, body.run)).toMatchObject({ state: "succeeded", descriptor: w.digest });
    });

    it("names its version in the log", async () => {
      const { body } = await open(slotToken(token, slot));
      const log = (await call.get(`/v1/runs/${body.run}/log`, await w.readToken())).body;
      const entries = log.entries.flatMap((e: { entry?: string }) => (e.entry ? [JSON.parse(e.entry)] : []));
      const found = entries.find((e: { kind: string }) => e.kind === "run");
      expect(logEntry(found, "entry", [])).toMatchObject({ digest: body.run, run: body.run, version: w.digest });
      expect(log.request).toBe(slotToken(token, slot));
    });

    it("does not open before its time, by the ledger's clock", async () => {
      const next = slotAfter(HOURLY, seconds()) as number;
      expect((await open(slotToken(token, next))).code).toBe("SLOT_TIME");
      clock = next * 1000;
      expect((await open(slotToken(token, next))).body.state).toBe("open");
    });

    it("does not open long after its time: slots that were held back cannot be multiplied later", async () => {
      clock += 3 * 3_600_000;
      expect((await open(slotToken(token, slot))).code).toBe("SLOT_TIME");
    });

    it.each([
      ["a minute that the expression has not", (s: number) => slotToken(token, s + 60), "SCHEDULE"],
      ["half a minute", (s: number) => slotToken(token, s + 30), "SCHEDULE"],
      ["a number with zeros in front", (s: number) => `${token}|0${s}`.slice(0, -1), "SHAPE"],
      ["two slots", (s: number) => `${token}|${s}|${s}`, "SHAPE"],
    ])("%s is refused", async (_what, text, code) => {
      expect((await open(text(slot))).code).toBe(code);
    });

    it.each([
      ["a stranger, as owner", (p: object, k: string) => ({ ...p, ownerPublicKey: k }), "FORBIDDEN"],
      ["a stranger, in the owner's name", (p: object) => p, "SIGNATURE"],
    ])("of a schedule signed by %s is refused", async (_who, change, code) => {
      const stranger = privateKey("Ed25519", new Uint8Array(32).fill(9));
      const content = change(peekJws("sealflow-schedule+jwt", token, schedule), rawPublic(stranger));
      const forged = await signJws("sealflow-schedule+jwt", content, stranger);
      expect((await open(slotToken(forged, slot))).code).toBe(code);
    });

    it("of another pipeline's schedule, or of one that the version does not list, is refused", async () => {
      const other = await createWorld({
        ...w.plan,
        root: w.root,
        stackUuid: w.stackUuid,
        schedules: { hourly: "* * * * *" },
      });
      expect((await open(slotToken(other.schedules.hourly as string, slot))).code).toBe("SCHEDULE");
      const foreign = await createWorld({ ...w.plan, schedules: { hourly: HOURLY } });
      expect((await open(slotToken(foreign.schedules.hourly as string, slot))).code).toBe("PIPELINE_UNKNOWN");
    });

    it("is one run also when a new version lists the same schedule", async () => {
      const first = (await open(slotToken(token, slot))).body.run;
      const next = await nextVersion(w, { drainSeconds: 60 });
      await call.deploy(next);
      expect(next.schedules.hourly).toBe(token);
      expect((await open(slotToken(token, slot))).body).toMatchObject({ run: first });
      expect((await call.get(`/v1/runs?pipeline=${w.pipelineUid}`, await next.readToken())).body.runs).toHaveLength(1);
    });

    it("is gone with the version that listed its schedule", async () => {
      await call.deploy(await nextVersion(w, { schedules: {} }));
      expect((await open(slotToken(token, slot))).code).toBe("SCHEDULE");
    });

    it.each([
      ["revoked", (x: World) => x.digest, "REVOKED"],
      ["closed for good", () => null, "PIPELINE_CLOSED"],
    ])("does not open once its version is %s", async (_how, what, code) => {
      await call.post(`/v1/pipelines/${w.pipelineUid}/revoke`, await w.revoke(what(w)));
      expect((await open(slotToken(token, slot))).code).toBe(code);
    });
  });

  describe("a condition", () => {
    const STEPS: WorldPlan["steps"] = {
      gate: { outputs: { go: "json" }, declassify: ["go"] },
      yes: { when: { from: "gate.go", equals: true }, outputs: { data: "json" }, shards: 2 },
      after: { inputs: { data: { from: "yes.data", collect: true } } },
      no: { when: { from: "gate.go", equals: false } },
    };
    let w: World;
    let run: string;
    beforeEach(async () => {
      w = await world({ steps: STEPS });
      run = await call.openRun(w);
    });
    const decide = async (bit: boolean) => {
      const go = await call.go(w, "gate", run);
      return call.finish(w, "gate", go, { bits: { go: bit } });
    };
    const ask = async (step: string) => (await call.claim(await w.claim(step, run))).status;

    it("makes its step wait until the bit is committed", async () => {
      expect([await ask("yes"), await ask("no")]).toEqual(["wait", "wait"]);
    });

    it("skips the step and all that wait for it when the bit says so, and the run succeeds without them", async () => {
      await decide(false);
      expect([await ask("yes"), await ask("after")]).toEqual(["skipped", "skipped"]);
      expect((await call.run(w, "no", run)).status).toBe("committed");
      const { state, steps } = await call.status(w, run);
      expect([state, steps.yes.state, steps.after.state, steps.no.state]).toEqual([
        "succeeded",
        "skipped",
        "skipped",
        "committed",
      ]);
    });

    it("lets the step run with the proof of the bit", async () => {
      await decide(true);
      expect(await ask("no")).toBe("skipped");
      const go = await call.go(w, "yes", run);
      expect(go.condition?.leafBytes).toContain('"step":"gate"');
      await call.finish(w, "yes", go);
      await call.run(w, "yes", run);
      await call.run(w, "after", run);
      expect((await call.status(w, run)).state).toBe("succeeded");
    });

    it("is decided by the first counted commit; a twin with the other bit changes nothing", async () => {
      const retried = await world({ name: "twins", steps: { ...STEPS, gate: { ...STEPS.gate, retryLimit: 1 } } });
      const id = await call.openRun(retried);
      const [first, second] = [await call.go(retried, "gate", id), await call.go(retried, "gate", id)];
      await call.finish(retried, "gate", first, { bits: { go: true } });
      expect((await call.finish(retried, "gate", second, { bits: { go: false } })).status).toBe("superseded");
      expect((await call.claim(await retried.claim("no", id))).status).toBe("skipped");
      expect((await call.claim(await retried.claim("yes", id))).status).toBe("go");
    });

    it.each([
      ["a bit that the receipt has not", { commit: { declassified: { go: true } } }],
      ["a receipt without the bit", { predicate: { declassified: {} } }],
      ["a bit that nobody declassified", { predicate: { declassified: { go: false, more: true } } }],
    ])("refuses %s", async (_what, change) => {
      const go = await call.go(w, "gate", run);
      expect(await call.finish(w, "gate", go, change)).toMatchObject({
        status: "refused",
        refusal: "RECEIPT_MISMATCH",
      });
      expect(await ask("yes")).toBe("wait");
    });

    it.each<[string, WorldPlan["steps"]]>([
      [
        "on an output that is not declassified",
        { a: { outputs: { x: "json" } }, b: { when: { from: "a.x", equals: true } } },
      ],
      ["on an output that does not exist", { b: { when: { from: "a.x", equals: true } } }],
      [
        "that waits for itself",
        { a: { outputs: { x: "json" }, declassify: ["x"], when: { from: "a.x", equals: true } } },
      ],
      [
        "on a step with shards",
        { a: { outputs: { x: "json" }, declassify: ["x"], shards: 2 }, b: { when: { from: "a.x", equals: true } } },
      ],
    ])("%s is refused with the version", async (_what, steps) => {
      const made = await createWorld({ ledgerKey: ledger.ledgerKey, steps, now: seconds });
      expect((await call.post("/v1/pipelines", made.descriptor)).code).toBe("DESCRIPTOR");
    });
  });

  describe("keys that rotate", () => {
    let old: World;
    let run: string;
    const rotated = (change: Partial<WorldPlan> = {}, by = 1): Promise<World> =>
      nextVersion(old, { root: { ...old.root, generation: old.root.generation + by }, ...change });
    beforeEach(async () => {
      old = await world({ steps: { a: { outputs: { x: "json" } } }, root: { secret: randomBytes(32), generation: 2 } });
      run = await call.openRun(old);
    });

    it("stay the same pipeline, and an old guest gets no work of the new version", async () => {
      const next = await rotated();
      expect(next.pipelineUid).toBe(old.pipelineUid);
      await call.deploy(next);
      const fresh = await call.openRun(next);
      for (const hint of [fresh, null]) {
        const refusal = hint === null ? "VERSION_CLOSED" : "RUN_UNKNOWN";
        expect(await call.claim(await old.claim("a", hint))).toMatchObject({ status: "refused", refusal });
      }
      expect((await call.run(next, "a", fresh)).status).toBe("committed");
    });

    it("let open runs of the old keys end while they drain", async () => {
      await call.deploy(await rotated({ drainSeconds: 60 }));
      expect((await call.run(old, "a", run)).status).toBe("committed");
    });

    it("leave an old guest that is at work without a commit", async () => {
      const go = await call.go(old, "a", run);
      await call.deploy(await rotated());
      expect(await call.finish(old, "a", go)).toMatchObject({ status: "refused", refusal: "VERSION_CLOSED" });
    });

    it("take the old run key's rights to open, read and cancel", async () => {
      const next = await rotated({ drainSeconds: 60 });
      await call.deploy(next);
      const read = `/v1/runs/${run}`;
      expect((await call.get(read, await old.readToken())).code).toBe("FORBIDDEN");
      expect((await call.get(read, await next.readToken())).status).toBe(200);
      expect((await call.post(`/v1/runs/${run}/cancel`, await old.cancel(run))).code).toBe("FORBIDDEN");
      expect((await call.post("/v1/runs", (await old.runRequest()).token)).code).toBe("VERSION_CLOSED");
      const forged = await old.runRequest({ descriptor: next.digest });
      expect((await call.post("/v1/runs", forged.token)).code).toBe("FORBIDDEN");
    });

    it("never go back", async () => {
      expect((await call.post("/v1/pipelines", (await rotated({}, -1)).descriptor)).code).toBe("GENERATION");
    });
  });
}
