/**
 * `verify` on runs of schedules, conditions, imports and rotated keys: each is accepted as it should be, and a folder in
 * which owner, ledger or guest broke one of their rules is refused with the code of that rule.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { writeRunFolder } from "../../owner/fetch";
import { pinImport } from "../../owner/import";
import { signSchedule } from "../../owner/schedule";
import { type Report, verifyRunFolder } from "../../owner/verify";
import { jwsDigest } from "../../protocol/jws";
import { ownerSigningKey } from "../../protocol/keys";
import type { Commit, Descriptor, Predicate, RunImport } from "../../protocol/messages";
import { runIdOf, slotToken } from "../../protocol/opening";
import { hex, makeWorld } from "./support/pipeline";
import { type Bend, downloadFrom, type FinishedRun, finishedRun, type Ledger, NOW, openHere } from "./support/run";

const home = mkdtempSync(path.join(tmpdir(), "sealflow-verify-"));
afterAll(() => rmSync(home, { recursive: true }));
let count = 0;

async function folderOf(run: FinishedRun): Promise<string> {
  const dir = path.join(home, `run-${count++}`);
  await writeRunFolder({ exported: run.exported, dir, download: downloadFrom(run.objects), objects: "released" });
  return dir;
}

async function verified(bend: Bend): Promise<Report> {
  const run = await finishedRun("features", bend);
  const { world } = run;
  return verifyRunFolder(await folderOf(run), {
    ownerPublicKey: world.facts.ownerPublicKey,
    ledgerKey: world.ledgerKey,
  });
}

const places = (report: Report): string[] =>
  report.problems.map((p) => `${p.code} ${p.file}${p.entry ? ` ${p.entry}` : ""}`);

describe("a run that a schedule's slot opened", () => {
  // A whole minute, as every slot is.
  const slot = NOW - (NOW % 60);
  interface Slot {
    readonly cron?: string;
    readonly pipelineUid?: string;
    /** Whether the version lists the schedule. */
    readonly listed?: boolean;
    /** Seconds after the slot when the ledger opens it. */
    readonly after?: number;
  }

  async function opened({ cron = "* * * * *", listed = true, after = 5, ...named }: Slot): Promise<string[]> {
    const { facts, root } = makeWorld("features");
    const about = { facts: { ...facts, ...named }, steps: {}, name: "tick", cron, lateSeconds: 300 };
    const token = await signSchedule(about, ownerSigningKey(root));
    const bend: Bend = {
      version: (d) => (listed ? { ...d, schedules: { tick: jwsDigest(token) } } : d),
      open: async (version, ledger) => {
        ledger.now = slot + after;
        const opening = slotToken(token, slot);
        return { token: opening, run: runIdOf(opening), version: jwsDigest(version.token) };
      },
    };
    return places(await verified(bend));
  }

  test("in its time verifies", async () => {
    expect(await opened({})).toEqual([]);
  });

  test.each<[string, Slot, string]>([
    ["of a schedule that the version does not list", { listed: false }, "SCHEDULE request.jws name"],
    ["of another pipeline of the same owner", { pipelineUid: hex("other") }, "SCHEDULE request.jws pipelineUid"],
    ["that its expression does not have", { cron: "0 0 1 1 *" }, "SCHEDULE request.jws slot"],
    ["before its time", { after: -1 }, "SCHEDULE request.jws slot"],
    ["too late", { after: 301 }, "SCHEDULE request.jws slot"],
  ])("%s is refused", async (_what, change, expected) => {
    expect((await opened(change))[0]).toBe(expected);
  });
});

describe("a run with a condition", () => {
  /** `split` declassifies a bit, and `train` runs when it is true; `report` waits for `train`. */
  const version = (d: Descriptor): Descriptor => {
    const { split, train } = d.steps as Record<string, Descriptor["steps"][string]>;
    if (!split || !train) throw new Error("steps");
    const outputs = { ...split.outputs, gate: { format: "json" as const, declassify: "test" } };
    const when = { from: "split.gate", equals: true };
    return { ...d, steps: { ...d.steps, split: { ...split, outputs }, train: { ...train, when } } };
  };
  const declared = (gate: boolean): Bend => ({
    version,
    predicate: (p: Predicate) => (p.step === "split" ? { ...p, declassified: { gate } } : p),
    commit: (c: Commit) => (c.step === "split" ? { ...c, declassified: { gate } } : c),
  });

  test("that holds verifies", async () => {
    expect(places(await verified(declared(true)))).toEqual([]);
  });

  test("that does not hold verifies without the steps that it skips", async () => {
    const report = await verified({ ...declared(false), without: ["train", "report"] });
    expect(places(report)).toEqual([]);
    expect(report).toMatchObject({ ok: true, skipped: ["report", "train"], receipts: { verified: 3, expected: 3 } });
  });

  test("that does not hold is refused when the step ran all the same, and what waits for it", async () => {
    expect(new Set(places(await verified(declared(false))))).toEqual(
      new Set(["CONDITION commits/train.0.1.jws", "CONDITION commits/report.0.1.jws"]),
    );
  });

  test("is refused when the step claimed before the bit was committed", async () => {
    let early = "";
    const bend: Bend = {
      ...declared(true),
      beforeCommit: async (step, ledger: Ledger) => {
        if (step === "split" && early === "") early = await ledger.head();
      },
      predicate: (p) => {
        if (p.step === "train") return { ...p, head: early };
        return declared(true).predicate?.(p) ?? p;
      },
    };
    expect(places(await verified(bend))).toContain("CONDITION commits/train.0.1.jws receipt.head");
  });

  test("is refused when nobody declassified the bit", async () => {
    expect(places(await verified({ version }))).toContain("CONDITION commits/train.0.1.jws");
  });
});

describe("a run that reads another pipeline's release", () => {
  let pinned: RunImport;
  let other: RunImport;
  let ciphertext: Uint8Array;
  const producer = makeWorld("producer");
  const source = {
    input: "base",
    pipelineUid: producer.facts.pipelineUid,
    ownerPublicKey: producer.facts.ownerPublicKey,
    ledgerKey: producer.ledgerKey,
    release: "model",
  };
  beforeAll(async () => {
    const pin = async (run: FinishedRun) => (await pinImport(await folderOf(run), source)).pinned;
    const run = await finishedRun("producer");
    pinned = await pin(run);
    ciphertext = run.objects.get(pinned.object.digest) as Uint8Array;
    const open: Bend["open"] = async (version, ledger) => {
      ledger.add({ kind: "attempt", digest: hex("later"), pipelineUid: hex("foreign pipeline") });
      return openHere(version, ledger);
    };
    other = await pin(await finishedRun("producer", { open }));
  });

  const reading = (imports: Readonly<Record<string, RunImport>>): Bend => ({
    version: (d) => {
      const { train } = d.steps;
      if (!train) throw new Error("steps");
      const inputs = { ...train.inputs, base: { imported: source, format: "json" as const } };
      return { ...d, steps: { ...d.steps, train: { ...train, inputs } } };
    },
    predicate: (p) => {
      const read = { input: "base", imported: "base", shard: 0, digest: pinned.object.digest, format: "json" as const };
      return p.step === "train" ? { ...p, inputs: [...p.inputs, read] } : p;
    },
    open: (version, ledger) => openHere(version, ledger, { imports }),
  });

  test("verifies with the producer's proof", async () => {
    expect(other.run).not.toBe(pinned.run);
    expect(places(await verified(reading({ base: pinned })))).toEqual([]);
  });

  test("verifies with the release's ciphertext in its folder, and not with another", async () => {
    const run = await finishedRun("features", reading({ base: pinned }));
    const { digest } = pinned.object;
    const objects = { ...run.exported.objects, [digest]: `https://store.invalid/${digest}` };
    const dir = path.join(home, "with-objects");
    const download = downloadFrom(new Map([...run.objects, [digest, ciphertext]]));
    await writeRunFolder({ exported: { ...run.exported, objects }, dir, download, objects: "all" });
    const { facts, ledgerKey } = run.world;
    const verify = () => verifyRunFolder(dir, { ownerPublicKey: facts.ownerPublicKey, ledgerKey });
    expect(places(await verify())).toEqual([]);
    writeFileSync(path.join(dir, "objects", digest), ciphertext.subarray(1));
    expect(places(await verify())).toContain(`OBJECT objects/${digest}`);
  });

  test.each<[string, () => Record<string, RunImport>, string]>([
    ["that the run does not pin", () => ({}), "base"],
    ["under another name", () => ({ base: pinned, more: pinned }), "more"],
    ["of another run of the producer", () => ({ base: { ...pinned, run: other.run } }), "base"],
    ["with another run's commit", () => ({ base: { ...pinned, commit: other.commit } }), "base"],
    ["with another run's object", () => ({ base: { ...pinned, object: other.object } }), "base"],
    ["with another run's log entry", () => ({ base: { ...pinned, leafBytes: other.leafBytes } }), "base"],
    ["under another run's head", () => ({ base: { ...pinned, head: other.head } }), "base"],
  ])("%s is refused", async (_what, imports, input) => {
    expect(places(await verified(reading(imports())))).toContain(`IMPORT request.jws imports.${input}`);
  });
});

describe("generations of keys", () => {
  const generations = (...of: number[]): Bend => ({
    version: (d) => ({ ...d, generation: of[d.sequence - 1] as number }),
  });

  test("that count up verify", async () => {
    expect(places(await verified(generations(1, 1, 2)))).toEqual([]);
  });

  test("that go back are refused", async () => {
    expect(places(await verified(generations(1, 2, 1)))).toEqual(["GENERATION descriptors/3.jws generation"]);
  });
});

describe("a run request", () => {
  const openedAfter = (seconds: number): Bend => ({
    open: async (version, ledger) => {
      const request = await openHere(version, ledger);
      ledger.now += seconds;
      return request;
    },
  });

  test("opened in its ten minutes verifies", async () => {
    expect(places(await verified(openedAfter(600)))).toEqual([]);
  });

  test("kept back by the ledger, and opened when it had expired, is refused", async () => {
    expect(places(await verified(openedAfter(601)))).toEqual(["REQUEST request.jws expiresAt"]);
  });
});
