import { execFileSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import fc from "fast-check";
import { fetchRun, openRunFolder, writeManifest, writeRunFolder } from "../../owner/fetch";
import { type Report, verifyRunFolder } from "../../owner/verify";
import { privateKey, rawPublic } from "../../protocol/crypto";
import { jwsDigest } from "../../protocol/jws";
import { ownerReleaseKey } from "../../protocol/keys";
import type { Predicate } from "../../protocol/messages";
import { bytes, hex, makeWorld } from "./support/pipeline";
import { type Bend, downloadFrom, type FinishedRun, finishedRun } from "./support/run";

const home = mkdtempSync(path.join(tmpdir(), "sealflow-verify-"));
afterAll(() => rmSync(home, { recursive: true }));
let count = 0;

const keysOf = ({ world }: FinishedRun) => ({ ownerPublicKey: world.facts.ownerPublicKey, ledgerKey: world.ledgerKey });

async function folderOf(run: FinishedRun, objects: "released" | "all" = "all"): Promise<string> {
  const dir = path.join(home, `run-${count++}`);
  await writeRunFolder({ exported: run.exported, dir, download: downloadFrom(run.objects), objects });
  return dir;
}

async function bent(bend: Bend): Promise<Report> {
  const run = await finishedRun("bent", bend);
  return verifyRunFolder(await folderOf(run), keysOf(run));
}

const places = (report: Report): string[] =>
  report.problems.map((p) => `${p.code} ${p.file}${p.entry ? ` ${p.entry}` : ""}`);

function files(dir: string, below = ""): string[] {
  return readdirSync(path.join(dir, below), { withFileTypes: true }).flatMap((e) =>
    e.isDirectory() ? files(dir, path.join(below, e.name)) : [path.join(below, e.name)],
  );
}

let good: FinishedRun;
let folder: string;
beforeAll(async () => {
  good = await finishedRun("good");
  folder = await folderOf(good);
});

describe("a whole run", () => {
  test("verifies, with one receipt per step and shard", async () => {
    const report = await verifyRunFolder(folder, keysOf(good));
    expect(report.problems).toEqual([]);
    expect(report).toMatchObject({
      ok: true,
      run: good.run,
      name: "spam",
      version: 2,
      receipts: { verified: 5, expected: 5 },
      failures: 1,
    });
    expect(report.steps.map((s) => `${s.step}/${s.shard}/${s.attempt}`).sort()).toEqual([
      "count/0/1",
      "count/1/1",
      "report/0/1",
      "split/0/2",
      "train/0/1",
    ]);
  });

  test("verifies with released objects and logs alone", async () => {
    const dir = await folderOf(good, "released");
    const report = await verifyRunFolder(dir, keysOf(good));
    expect(report.problems).toEqual([]);
    expect(report.objects.absent).toBeGreaterThan(0);
  });

  test("verifies after it was copied elsewhere", async () => {
    const dir = path.join(home, "copy");
    cpSync(folder, dir, { recursive: true });
    expect((await verifyRunFolder(dir, keysOf(good))).ok).toBe(true);
  });

  test("extends a head that was seen during the run, signed or as size and root", async () => {
    for (const pinnedHead of [good.seenHead, good.exported.head]) {
      expect((await verifyRunFolder(folder, { ...keysOf(good), pinnedHead })).ok).toBe(true);
    }
  });

  test("is of the run that the caller means", async () => {
    expect((await verifyRunFolder(folder, { ...keysOf(good), run: good.run })).ok).toBe(true);
    const other = await verifyRunFolder(folder, { ...keysOf(good), run: hex("other") });
    expect(places(other)).toEqual(["REQUEST request.jws"]);
  });
});

describe("a folder that is only consistent with its own keys", () => {
  test("fails against another owner's key", async () => {
    const report = await verifyRunFolder(folder, {
      ...keysOf(good),
      ownerPublicKey: makeWorld("x").facts.ownerPublicKey,
    });
    expect(report.ok).toBe(false);
    expect(places(report)).toContain("SIGNATURE descriptors/1.jws");
  });

  test("fails against another ledger's key", async () => {
    const report = await verifyRunFolder(folder, { ...keysOf(good), ledgerKey: makeWorld("x").ledgerKey });
    expect(places(report)).toEqual(expect.arrayContaining(["SIGNATURE head.jws", "CHAIN descriptors/1.jws ledgerKey"]));
  });
});

describe("one changed byte", () => {
  /** The attacker also writes a fitting manifest, so that only signatures and digests are left to find it. */
  async function changed(file: string, at: number, bit: number, remake: boolean): Promise<Report> {
    const dir = path.join(home, "flip");
    rmSync(dir, { recursive: true, force: true });
    cpSync(folder, dir, { recursive: true });
    const target = path.join(dir, file);
    const content = readFileSync(target);
    content[at] = (content[at] ?? 0) ^ (1 << bit);
    writeFileSync(target, content);
    // A request that cannot be read leaves no manifest to write.
    if (remake && file !== "manifest.json") await writeManifest(dir).catch(() => undefined);
    return verifyRunFolder(dir, keysOf(good));
  }

  test("anywhere in any file is found, and the file is named, even under a new manifest", async () => {
    const all = files(folder).map((file) => ({ file, size: statSync(path.join(folder, file)).size }));
    // Small and few files as often as large and many ones: every kind gets its share.
    const kinds = [...new Set(all.map(({ file }) => file.split("/")[0]))];
    const place = fc
      .constantFrom(...kinds)
      .chain((kind) => fc.constantFrom(...all.filter(({ file }) => file.split("/")[0] === kind)))
      .chain(({ file, size }) => fc.tuple(fc.constant(file), fc.nat(size - 1), fc.nat(7), fc.boolean()));
    await fc.assert(
      fc.asyncProperty(place, async ([file, at, bit, remake]) => {
        const report = await changed(file, at, bit, remake);
        expect(report.ok).toBe(false);
        expect(report.problems.map((p) => `${p.file} ${p.message}`).join("\n")).toContain(file);
      }),
      { numRuns: 150 },
    );
  }, 120_000);
});

describe("a folder from which something was taken", () => {
  const without = async (file: string, remake = true): Promise<Report> => {
    const dir = path.join(home, `without-${count++}`);
    cpSync(folder, dir, { recursive: true });
    rmSync(path.join(dir, file));
    if (remake) await writeManifest(dir).catch(() => undefined);
    return verifyRunFolder(dir, keysOf(good));
  };

  test.each([
    ["a commit", "commits/train.0.1.jws", "RECEIPT_MISSING commits/train.0"],
    ["a failure", "failures/split.0.1.jws", "LOG log.jsonl line 7"],
    ["the first version", "descriptors/1.jws", "FILE_MISSING descriptors/1.jws"],
    ["the last version", "descriptors/3.jws", "LOG log.jsonl line 19"],
    ["the request", "request.jws", "FILE_MISSING request.jws"],
    ["the head", "head.jws", "FILE_MISSING head.jws"],
    ["the log", "log.jsonl", "FILE_MISSING log.jsonl"],
  ])("%s is missed", async (_what, file, expected) => {
    expect(places(await without(file))).toContain(expected);
  });

  test("a revocation is missed", async () => {
    const digest = jwsDigest(good.exported.revocations[0] ?? "");
    expect(places(await without(`revocations/${digest}.jws`))).toEqual(["LOG log.jsonl line 20"]);
  });

  test("a released object is missed", async () => {
    const report = await without(`objects/${releasedDigest(good)}`);
    expect(places(report)).toEqual([`OBJECT objects/${releasedDigest(good)}`]);
  });

  test("a file is missed by the old manifest, and one too many is named", async () => {
    expect(places(await without("commits/train.0.1.jws", false))).toContain("FILE_MISSING commits/train.0.1.jws");
    const dir = path.join(home, "extra");
    cpSync(folder, dir, { recursive: true });
    writeFileSync(path.join(dir, "notes.txt"), "hello\n");
    expect(places(await verifyRunFolder(dir, keysOf(good)))).toEqual(["FILE_UNKNOWN notes.txt"]);
  });

  test("what is no file of a run folder is named under a new manifest too, and never opened", async () => {
    const dir = path.join(home, "odd");
    cpSync(folder, dir, { recursive: true });
    writeFileSync(path.join(dir, "commits/notes.jws"), "hello\n");
    rmSync(path.join(dir, "head.jws"));
    execFileSync("mkfifo", [path.join(dir, "head.jws")]);
    symlinkSync("/etc/passwd", path.join(dir, "descriptors/4.jws"));
    const report = await verifyRunFolder(dir, keysOf(good));
    for (const file of ["commits/notes.jws", "head.jws", "descriptors/4.jws"]) {
      expect(places(report)).toContain(`FILE_UNKNOWN ${file}`);
    }
  });

  test("an entry of this pipeline shown as another pipeline's is missed, whichever it is", async () => {
    const own = good.exported.entries.flatMap(({ entry }, i) => (entry === undefined ? [] : [i]));
    // Nothing of the pipeline follows the last one: whether there is more is not for the log to say.
    for (const at of own.slice(0, -1)) {
      const dir = path.join(home, `hidden-${at}`);
      cpSync(folder, dir, { recursive: true });
      const file = path.join(dir, "log.jsonl");
      const lines = readFileSync(file, "utf8").trimEnd().split("\n");
      lines[at] = JSON.stringify({ hash: good.exported.entries[at]?.hash });
      writeFileSync(file, `${lines.join("\n")}\n`);
      await writeManifest(dir);
      const following = own[own.indexOf(at) + 1] as number;
      expect(places(await verifyRunFolder(dir, keysOf(good)))).toContain(`LOG log.jsonl line ${following + 1}`);
    }
  });

  test("a truncated log does not fit its head", async () => {
    const dir = path.join(home, "short");
    cpSync(folder, dir, { recursive: true });
    const log = path.join(dir, "log.jsonl");
    writeFileSync(log, `${readFileSync(log, "utf8").trimEnd().split("\n").slice(0, -1).join("\n")}\n`);
    await writeManifest(dir);
    expect(places(await verifyRunFolder(dir, keysOf(good)))).toContain("LOG log.jsonl");
  });
});

const releasedDigest = (run: FinishedRun): string => {
  const commit = run.exported.commits
    .map(({ commit: token }) => JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()))
    .find((c) => c.step === "report");
  return commit.outputs.metrics.digest;
};

describe("a run whose signers lied is refused", () => {
  const inStep = (step: string, change: (p: Predicate) => object): Bend => ({
    predicate: (p) => (p.step === step ? { ...p, ...change(p) } : p),
  });
  const otherInput = (change: object): Bend => inStep("train", (p) => ({ inputs: [{ ...p.inputs[0], ...change }] }));

  test.each<[string, Bend, string]>([
    [
      "an attempt beyond the limit",
      { ...inStep("train", () => ({ attempt: 90 })), commit: (c) => (c.step === "train" ? { ...c, attempt: 90 } : c) },
      "RECEIPT commits/train.0.90.jws attempt",
    ],
    ["another edge as input", otherInput({ from: "split.test" }), "INPUTS commits/train.0.1.jws receipt.inputs"],
    ["another digest as input", otherInput({ digest: hex("x") }), "INPUTS commits/train.0.1.jws receipt.inputs"],
    ["another shard as input", otherInput({ shard: 1 }), "INPUTS commits/train.0.1.jws receipt.inputs"],
    [
      "an input left out",
      inStep("report", (p) => ({ inputs: p.inputs.slice(1) })),
      "INPUTS commits/report.0.1.jws receipt.inputs",
    ],
    [
      "another dataset",
      inStep("split", (p) => ({ inputs: [{ ...p.inputs[0], digest: hex("x") }] })),
      "INPUTS commits/split.0.2.jws receipt.inputs",
    ],
    ["another run", inStep("train", () => ({ run: hex("x") })), "RECEIPT commits/train.0.1.jws receipt.run"],
    [
      "another version",
      inStep("train", () => ({ descriptor: hex("x") })),
      "RECEIPT commits/train.0.1.jws receipt.descriptor",
    ],
    [
      "another identity",
      inStep("train", () => ({ identity: hex("x") })),
      "RECEIPT commits/train.0.1.jws receipt.identity",
    ],
    [
      "other parameters",
      inStep("train", () => ({ parameters: hex("x") })),
      "RECEIPT commits/train.0.1.jws receipt.parameters",
    ],
    [
      "a failure as success",
      inStep("train", () => ({ exitClass: "program" })),
      "RECEIPT commits/train.0.1.jws receipt.exitClass",
    ],
    [
      "no isolation without a waiver",
      inStep("train", () => ({ isolation: "none" })),
      "RECEIPT commits/train.0.1.jws receipt.isolation",
    ],
    [
      "a waiver that the version does not have",
      inStep("train", () => ({ trustProgram: "x" })),
      "RECEIPT commits/train.0.1.jws receipt.trustProgram",
    ],
    [
      "no key commitment",
      inStep("train", () => ({ keyCommits: {} })),
      "RECEIPT commits/train.0.1.jws receipt.keyCommits",
    ],
    [
      "another ledger's head",
      { predicate: (p) => (p.step === "train" ? { ...p, head: foreignHead } : p) },
      "HEAD_PIN commits/train.0.1.jws receipt.head",
    ],
    [
      "no release",
      { commit: (c) => (c.step === "report" ? { ...c, releases: {} } : c) },
      "RELEASES commits/report.0.1.jws releases",
    ],
    [
      "a release of what is none",
      { commit: (c) => (c.step === "split" ? { ...c, releases: { spy: c.releases.log ?? {} } } : c) },
      "RELEASES commits/split.0.2.jws releases",
    ],
    [
      "a log for somebody else",
      { commit: (c) => ({ ...c, releases: { ...c.releases, log: { eve: c.releases.log?.owner ?? "" } } }) },
      "RELEASES commits/split.0.2.jws releases.log",
    ],
    [
      "outputs that the receipt does not name",
      { commit: (c) => (c.step === "train" ? { ...c, outputs: { model: { digest: hex("x"), size: 1 } } } : c) },
      "RECEIPT commits/train.0.1.jws receipt.subject",
    ],
  ])("%s", async (_what, bend, expected) => {
    const report = await bent(bend);
    expect(report.ok).toBe(false);
    expect(places(report)).toContain(expected);
  });

  let foreignHead = "";
  beforeAll(async () => {
    foreignHead = (await finishedRun("foreign")).seenHead;
  });
});

describe("a commit after the end", () => {
  const justBefore = (step: string, act: NonNullable<Bend["beforeCommit"]>): Bend => ({
    beforeCommit: async (at, ledger) => (at === step ? act(at, ledger) : undefined),
  });

  test("of the version by revocation is refused", async () => {
    expect(places(await bent(justBefore("report", (_s, ledger) => ledger.revoke(null))))).toEqual([
      "ENDED commits/report.0.1.jws",
    ]);
  });

  test("a revocation that was made for another ledger, and shown by this one, is told", async () => {
    const other = rawPublic(privateKey("Ed25519", new Uint8Array(32).fill(7)));
    const found = places(await bent(justBefore("report", (_s, ledger) => ledger.revoke(null, other))));
    expect(found).toContainEqual(expect.stringMatching(/^CHAIN revocations\/[0-9a-f]{64}\.jws/));
  });

  test.each(["cancel", "expire", "close"] as const)("of the run by %s is refused", async (kind) => {
    let run = "";
    const bend = {
      predicate: (p: Predicate) => {
        run = p.run;
        return p;
      },
      ...justBefore("report", async (_s, ledger) => {
        ledger.add({ kind, digest: hex("x"), run });
      }),
    };
    expect(places(await bent(bend))).toEqual(["ENDED commits/report.0.1.jws"]);
  });

  test("of the run's time is refused", async () => {
    const bend = justBefore("report", async (_s, ledger) => {
      ledger.now += 31 * 24 * 3600;
    });
    expect(places(await bent(bend))).toEqual(["ENDED commits/report.0.1.jws"]);
  });
});

test("a step that never committed is missed", async () => {
  const report = await bent({ without: "report" });
  expect(places(report)).toEqual(["RECEIPT_MISSING commits/report.0"]);
  expect(report.receipts).toEqual({ verified: 4, expected: 5 });
});

test("a commit that the log has twice is named", async () => {
  const report = await bent({
    beforeCommit: async (step, ledger) => {
      if (step !== "report") return;
      const counted = ledger.entries.map(({ entry }) => entry && JSON.parse(entry)).find((e) => e?.kind === "commit");
      const { v, seq, at, pipelineUid, ...entry } = counted;
      ledger.add(entry);
    },
  });
  expect(places(report)).toContain("RECEIPT_TWICE log.jsonl line 18");
});

test("a log that was rolled back does not extend the head that was seen", async () => {
  const older = await finishedRun("good", { without: "report" });
  const dir = await folderOf(older);
  const report = await verifyRunFolder(dir, { ...keysOf(older), pinnedHead: good.exported.head });
  expect(places(report)).toContain("HEAD_PIN head.jws");
});

describe("fetch", () => {
  const recipient = () => ({ name: "owner", key: ownerReleaseKey(good.world.root) });

  test("opens the releases of a run that verifies, and verify reopens them with the key", async () => {
    const dir = path.join(home, "fetched");
    const options = { exported: good.exported, dir, download: downloadFrom(good.objects), keys: keysOf(good) };
    const { report, released } = await fetchRun({ ...options, recipient: recipient() });
    expect(report.problems).toEqual([]);
    expect(report.released).toEqual({ reopened: 2, copies: 0 });
    expect(Object.keys(released).sort()).toEqual(["metrics", "model"]);
    expect(readFileSync(released.metrics ?? "", "utf8")).toBe('{"report.metrics":0}\n');

    writeFileSync(path.join(dir, "released/metrics"), '{"report.metrics":1}\n');
    await writeManifest(dir);
    expect((await verifyRunFolder(dir, keysOf(good))).released).toEqual({ reopened: 0, copies: 2 });
    expect(places(await verifyRunFolder(dir, { ...keysOf(good), recipient: recipient() }))).toEqual([
      "RELEASED released/metrics",
    ]);
  });

  test("opens by the version that was verified, whatever the folder holds a moment later", async () => {
    const dir = await folderOf(good);
    const file = path.join(dir, "descriptors/2.jws");
    const keys = {
      ...keysOf(good),
      // Asked for after the versions have been read.
      get run() {
        writeFileSync(file, "changed\n");
        return good.run;
      },
    };
    const out = path.join(home, "opened");
    const opened = openRunFolder({ dir, keys, recipient: recipient(), out });
    // The manifest's digests are compared last, and tell.
    expect(places((await opened).report)).toEqual(["FILE_CHANGED descriptors/2.jws"]);
    await writeManifest(dir);
    writeFileSync(file, readFileSync(path.join(folder, "descriptors/2.jws")));
    const { report, released } = await openRunFolder({ dir, keys, recipient: recipient(), out });
    expect(report.problems).toEqual([]);
    expect(Object.keys(released).sort()).toEqual(["metrics", "model"]);
  });

  test("opens nothing of a run that does not verify", async () => {
    const run = await finishedRun("good", { without: "report" });
    const dir = path.join(home, "unfinished");
    const { report, released } = await fetchRun({
      exported: run.exported,
      dir,
      download: downloadFrom(run.objects),
      keys: keysOf(run),
      recipient: recipient(),
    });
    expect(report.ok).toBe(false);
    expect(released).toEqual({});
    expect(files(dir).filter((f) => f.startsWith("released"))).toEqual([]);
  });

  test("keeps objects that it has, and refuses others from the store", async () => {
    const dir = path.join(home, "again");
    const options = { exported: good.exported, dir, keys: keysOf(good) };
    await fetchRun({ ...options, download: downloadFrom(good.objects) });
    const none = () => Promise.reject(new Error("the store is down"));
    expect((await fetchRun({ ...options, download: none })).report.ok).toBe(true);
    const wrong = new Map([...good.objects].map(([digest]) => [digest, bytes("other")]));
    await expect(
      fetchRun({ ...options, dir: path.join(home, "wrong"), download: downloadFrom(wrong) }),
    ).rejects.toMatchObject({ code: "FOLDER_EXPORT" });
    expect(readdirSync(home).filter((name) => name.includes(".tmp"))).toEqual([]);
  });

  test("replaces run folders, damaged ones too, and nothing else: a folder of other files stays as it is", async () => {
    const dir = path.join(home, "replaced");
    const options = { exported: good.exported, dir, download: downloadFrom(good.objects), keys: keysOf(good) };
    await fetchRun(options);
    writeFileSync(path.join(dir, "manifest.json"), "damaged");
    expect((await fetchRun(options)).report.ok).toBe(true);

    mkdirSync(path.join(dir, "steps/count"), { recursive: true });
    writeFileSync(path.join(dir, "steps/count/main.js"), "mine");
    const before = files(dir);
    await expect(fetchRun(options)).rejects.toMatchObject({
      code: "FOLDER_TAKEN",
      message: expect.stringMatching(/holds steps\/count\/main\.js.*Name a new folder/),
    });
    expect(files(dir)).toEqual(before);
    const file = path.join(dir, "steps/count/main.js");
    await expect(fetchRun({ ...options, dir: file })).rejects.toMatchObject({ code: "FOLDER_TAKEN" });
    expect(readFileSync(file, "utf8")).toBe("mine");
  });

  test("takes no more bytes of an object than it has, and none of one that the run does not name", async () => {
    let sent = 0;
    const endless = async () =>
      (async function* () {
        for (; sent < 1 << 28; sent += 65_536) yield new Uint8Array(65_536);
      })();
    const options = { exported: good.exported, dir: path.join(home, "endless"), keys: keysOf(good) };
    await expect(fetchRun({ ...options, download: endless })).rejects.toMatchObject({ code: "FOLDER_EXPORT" });
    expect(sent).toBeLessThan(1 << 20);
    const objects = { ...good.exported.objects, [hex("unnamed")]: "https://store.invalid/unnamed" };
    const exported = { ...good.exported, objects };
    const all = { ...options, exported, dir: path.join(home, "unnamed"), objects: "all" as const };
    expect((await fetchRun({ ...all, download: downloadFrom(good.objects) })).report.ok).toBe(true);
  });
});

test("a folder that does not exist is an error with the remedy", async () => {
  await expect(verifyRunFolder(path.join(home, "none"), keysOf(good))).rejects.toThrow(
    /no such folder.*sealflow fetch/,
  );
});
