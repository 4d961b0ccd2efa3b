import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { CliError } from "../../cli/errors";
import { writeKeyFile } from "../../owner/keys";
import { openBytes } from "../../protocol/stream";
import { call } from "./support/call";
import { makeProject, PARTNER, type TestProject } from "./support/project";

let project: TestProject;
let run: string;
/** The ledger's files from before the first run. */
let backup: string;
const sealflow = (...args: string[]) => call(args, { cwd: project.dir, backend: project.backend });

beforeAll(async () => {
  project = await makeProject();
  backup = path.join(project.dir, "ledger-before");
  await project.stopServices();
  cpSync(path.join(project.home, "dev/ledger"), backup, { recursive: true });
  await project.startServices();
  const params = path.join(project.dir, "params.json");
  writeFileSync(params, '{"numbers": {"count": 5}}');
  const first = await sealflow("run", "--json", "--params", "params.json");
  expect(first.stderr).toContain("report: committed");
  expect(first.code).toBe(0);
  run = first.json.run;
}, 60_000);
afterAll(() => project.close());

test("run writes the summary that scripts read, and its JSON is the same", () => {
  const summary = JSON.parse(readFileSync(path.join(project.home, "last-run.json"), "utf8"));
  expect(summary).toMatchObject({ pipeline: "sums", stack: "test", run, state: "succeeded", receiptsVerified: null });
  expect(summary.steps.map((s: { name: string; state: string }) => [s.name, s.state])).toEqual([
    ["numbers", "committed"],
    ["square", "committed"],
    ["report", "committed"],
  ]);
  for (const step of summary.steps) {
    expect(step.seconds).toBeGreaterThan(0);
    expect(step.identity).toMatch(/^[0-9a-f]{64}$/);
  }
});

test("status lists the version and the runs, and one run by its first digits", async () => {
  const all = await sealflow("status");
  expect(all.stdout).toMatch(/pipeline test\/sums, version 1 \(open\)/);
  expect(all.stdout).toContain(`${run.slice(0, 12)}  succeeded`);
  const one = await sealflow("status", run.slice(0, 8));
  expect(one.code).toBe(0);
  expect(one.stdout).toMatch(/square +committed, 2\/2 shards/);
  expect((await sealflow("status", "--json")).json.runs[0].run).toBe(run);
});

test("fetch writes the folder, verifies it and opens the release", async () => {
  const fetched = await sealflow("fetch", "--json");
  expect(fetched.code).toBe(0);
  const { dir, report, released } = fetched.json;
  expect(dir).toBe(path.join(project.home, "runs", run));
  expect(report).toMatchObject({ ok: true, run, receipts: { verified: 4, expected: 4 }, released: { reopened: 1 } });
  expect(JSON.parse(readFileSync(released.sum, "utf8"))).toEqual({ sum: 2 * (1 + 4 + 9 + 16), by: "report" });
  expect((await sealflow("fetch", run)).stdout).toContain("receipts verified: 4/4");
});

describe("verify", () => {
  let dir: string;
  beforeAll(async () => {
    dir = (await sealflow("fetch", run, "--json", "--all", "--out", "folder")).json.dir;
  });

  test("needs no service, and finds the keys in the project by the folder's pipeline", async () => {
    await project.stopServices();
    try {
      const verified = await sealflow("verify", "folder");
      expect(verified.code).toBe(0);
      expect(verified.stdout).toContain("receipts verified: 4/4");
      expect(verified.stdout).toContain("square ran without isolation from the runner: no namespaces in this test");
    } finally {
      await project.startServices();
    }
  });

  test("takes keys, key files and connection files from the command line", async () => {
    const { ownerPublicKey } = project.facts;
    const { ledgerKey } = project.connection;
    writeFileSync(path.join(project.dir, "owner.key"), `${ownerPublicKey}\n`);
    const connection = path.join(project.home, "connection.json");
    for (const [owner, ledger] of [
      [ownerPublicKey, ledgerKey],
      ["owner.key", connection],
    ] as const) {
      expect((await sealflow("verify", "folder", "--owner", owner, "--ledger", ledger)).code).toBe(0);
    }
    const release = path.join(project.home, "keys/test/sums.owner-release.jwk");
    const reopened = await sealflow(
      "verify",
      "folder",
      "--release-key",
      release,
      "--head",
      "folder/head.jws",
      "--json",
    );
    expect(reopened.json.released).toEqual({ reopened: 1, copies: 0 });
  });

  test("exits 2 and names the entry when anything was changed, and against another owner's key", async () => {
    const file = path.join(dir, "commits/numbers.0.1.jws");
    const before = readFileSync(file, "utf8");
    writeFileSync(file, before.replace(/.\n$/, "A\n").replace(/^(.{300})./, "$1A"));
    const changed = await sealflow("verify", "folder");
    writeFileSync(file, before);
    expect(changed.code).toBe(2);
    writeFileSync(path.join(dir, "\x1b]0;title\x07"), "");
    writeFileSync(path.join(dir, "\u009b2J"), "");
    const odd = await sealflow("verify", "folder");
    const oddJson = await sealflow("verify", "folder", "--json");
    for (const name of ["\x1b]0;title\x07", "\u009b2J"]) rmSync(path.join(dir, name));
    const lines = "x\nreceipts verified: all\u2028x";
    writeFileSync(path.join(dir, lines), "");
    const more = await sealflow("verify", "folder");
    rmSync(path.join(dir, lines));
    expect(more.stdout).not.toMatch(/^receipts verified: all/m);
    expect(more.stdout).toContain('"x\\nreceipts verified: all\\u2028x": is no file of a run folder');
    expect(oddJson.stdout).not.toContain("\u009b");
    expect(oddJson.json.problems.map((p: { file: string }) => p.file)).toContain("\u009b2J");
    expect(odd.stdout).toContain('"\\u001b]0;title\\u0007": is no file of a run folder');
    expect(changed.stdout).toMatch(/NOT VERIFIED/);
    expect(changed.stdout).toContain("commits/numbers.0.1.jws");
    const { ledgerKey } = project.connection;
    const other = await sealflow("verify", "folder", "--owner", ledgerKey, "--ledger", ledgerKey, "--json");
    expect(other.code).toBe(2);
    expect(other.json.problems[0]).toMatchObject({ code: "SIGNATURE", file: "descriptors/1.jws" });
  });

  test("says which pipeline it is of, by its id and the deployment whose keys were taken", async () => {
    const { stdout, stderr } = await sealflow("verify", "folder");
    expect(stdout).toContain(`pipeline id: ${project.facts.pipelineUid}`);
    expect(stderr).toContain("held against test/sums");
  });

  test("a folder of another pipeline with the same keys is refused where one is meant", async () => {
    const file = path.join(project.home, "pipelines/test/sums.json");
    const connection = readFileSync(file, "utf8");
    writeFileSync(file, JSON.stringify({ ...JSON.parse(connection), pipelineUid: "0".repeat(64) }));
    const { code, stdout } = await sealflow("verify", "folder", "--stack", "test");
    writeFileSync(file, connection);
    expect(code).toBe(2);
    expect(stdout).toContain("descriptors/1.jws, pipelineUid: is of the owner's pipeline");
  });

  test("without keys: a folder that is none, is damaged or is met outside of a project is told as that", async () => {
    expect((await sealflow("verify", "nowhere")).stderr).toMatch(/nowhere: no such folder/);
    mkdirSync(path.join(project.dir, "odd"));
    expect((await sealflow("verify", "odd")).stderr).toMatch(/odd: is no run folder: it has no manifest\.json/);
    writeFileSync(path.join(project.dir, "odd/manifest.json"), "{");
    expect((await sealflow("verify", "odd")).stderr).toMatch(/manifest\.json is damaged.*--owner and --ledger/);
    const outside = await call(["verify", dir], { cwd: tmpdir() });
    expect(outside.stderr).toMatch(/of no pipeline deployed here\. Give the keys with --owner and --ledger/);
  });

  test("wrong arguments exit 1", async () => {
    expect((await sealflow("verify", "nowhere", "--owner", "x", "--ledger", "y")).stderr).toMatch(
      /neither a key .* nor a file/,
    );
    const none = await sealflow("verify", "nowhere");
    expect(none.code).toBe(1);
    expect((await sealflow("verify")).code).toBe(1);
  });
});

describe("open", () => {
  test("a named recipient opens its release from a copied folder, offline, with its own key alone", async () => {
    await sealflow("fetch", run, "--out", "given");
    // Elsewhere: no project, no connection file, no plaintext of the owner.
    const elsewhere = mkdtempSync(path.join(tmpdir(), "sealflow-partner-"));
    const partner = (...args: string[]) => call(args, { cwd: elsewhere, backend: project.backend });
    try {
      cpSync(path.join(project.dir, "given"), path.join(elsewhere, "given"), { recursive: true });
      writeKeyFile(path.join(elsewhere, "mine.jwk"), PARTNER.key);
      const { ownerPublicKey } = project.facts;
      const outside = ["--owner", ownerPublicKey, "--ledger", project.connection.ledgerKey];
      await project.stopServices();
      const opened = await partner(
        "open",
        "given",
        "--recipient",
        "partner",
        "--key",
        "mine.jwk",
        ...outside,
        "--json",
      );
      expect(opened.code).toBe(0);
      expect(opened.json.released).toEqual({ sum: path.join(elsewhere, "given-partner", "sum") });
      expect(JSON.parse(readFileSync(opened.json.released.sum, "utf8"))).toMatchObject({ by: "report" });
      expect(
        (await partner("open", "given", "--recipient", "partner", "--key", "mine.jwk", ...outside)).stderr,
      ).toMatch(/is there already.*OUT_EXISTS/);
      const other = await partner("open", "given", "--recipient", "nobody", "--key", "mine.jwk", ...outside);
      expect([other.code, other.stderr]).toEqual([1, expect.stringMatching(/recipients: owner, partner/)]);
      expect((await partner("keys", "new", "other.jwk")).stdout).toMatch(/^[A-Za-z0-9_-]{43}\n/);
      expect((await partner("keys", "new", "other.jwk")).code).toBe(1);
      const wrong = ["--recipient", "partner", "--key", "other.jwk", "--out", "none"];
      expect((await partner("open", "given", ...wrong, ...outside)).code).not.toBe(0);
      expect(existsSync(path.join(elsewhere, "none", "sum"))).toBe(false);
      // A changed folder is not opened.
      const commit = path.join(elsewhere, "given/commits/report.0.1.jws");
      writeFileSync(commit, readFileSync(commit, "utf8").replace(/^(.{300})./, "$1A"));
      const bad = ["--recipient", "partner", "--key", "mine.jwk", "--out", "bad"];
      expect((await partner("open", "given", ...bad, ...outside)).code).toBe(2);
      expect(existsSync(path.join(elsewhere, "bad"))).toBe(false);
    } finally {
      await project.startServices();
      rmSync(elsewhere, { recursive: true, force: true });
    }
  }, 60_000);
});

test("logs opens what the programs printed, without what would steer a terminal", async () => {
  const all = await sealflow("logs");
  expect(all.code).toBe(0);
  expect(all.stdout).toContain("numbers up to 5");
  expect(all.stdout).toContain("\ufffd[2Jsecret of the log");
  expect(all.stdout).not.toContain("\x1b");
  const one = await sealflow("logs", "square", "--shard", "1", "--json");
  expect(one.json.logs.map((l: { step: string; shard: number }) => [l.step, l.shard])).toEqual([["square", 1]]);
  expect((await sealflow("logs", "sqare")).stderr).toMatch(
    /no step is called "sqare" \(there are numbers, report, square\)/,
  );
  expect((await sealflow("logs", "square", "--attempt", "7")).stderr).toContain(
    "no finished attempt 7 of square has a log; there are square --shard 0 --attempt 1, square --shard 1 --attempt 1",
  );
});

test("keys export --tink gives a key that opens that one object", async () => {
  const made = await sealflow("keys", "export", "--tink", "--release", "sum", "--out", "sum.keyset.json", "--json");
  expect(made.code).toBe(0);
  const file = path.join(project.dir, "sum.keyset.json");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const keyset = JSON.parse(readFileSync(file, "utf8"));
  const key = Buffer.from(keyset.key[0].keyData.value, "base64").subarray(-32);
  const sealed = readFileSync(path.join(project.home, "runs", run, "objects", made.json.object));
  const plain = openBytes(new Uint8Array(key), Buffer.from(made.json.associatedData, "base64"), sealed);
  expect(JSON.parse(Buffer.from(plain).toString())).toMatchObject({ by: "report" });
  expect((await sealflow("keys", "export", "--tink", "--log", "numbers")).stdout).toContain("AesGcmHkdfStreamingKey");
  for (const wrong of [["--release", "sum"], ["--tink"], ["--tink", "--release", "mus"]]) {
    expect((await sealflow("keys", "export", ...wrong)).code).toBe(1);
  }
});

describe("a run that does not succeed", () => {
  test("exits 3, names the step, and its log can be read", async () => {
    writeFileSync(path.join(project.dir, "fail.json"), '{"report": {"fail": true}}');
    const failed = await sealflow("run", "--params", "fail.json");
    expect(failed.code).toBe(3);
    expect(failed.stdout).toMatch(/failed after .*\n {2}report: failed/);
    const id = /run ([0-9a-f]{64})/.exec(failed.stdout)?.[1] ?? "";
    const log = await sealflow("logs", "report", "--run", id);
    expect(log.stdout).toContain("report, attempt 2 (failed)");
    expect(log.stdout).toContain("secret of the log");
    const fetched = await sealflow("fetch", id);
    expect(fetched.code).toBe(2);
    expect(fetched.stdout).toContain("there is no valid receipt of report shard 0");
    expect(existsSync(path.join(project.home, "runs", id, "released"))).toBe(false);
  });

  test("an interrupted run exits 130, stays open, and is resumed or cancelled", async () => {
    const stop = new AbortController();
    const interrupted = await call(["run"], {
      cwd: project.dir,
      signal: stop.signal,
      backend: async (options) => {
        stop.abort();
        await project.backend({ ...options, signal: stop.signal });
      },
    });
    expect(interrupted.code).toBe(130);
    expect(interrupted.stderr).toMatch(/run [0-9a-f]{12} stays open\. Go on: npx sealflow run --resume [0-9a-f]{12};/);
    expect(interrupted.stderr).toContain("has used an attempt up");
    const open = (await sealflow("status", "--json")).json.runs.find((r: { state: string }) => r.state === "open");
    const resumed = await sealflow("run", "--resume", open.run, "--json");
    expect(resumed.code).toBe(0);
    expect(resumed.json).toMatchObject({ run: open.run, state: "succeeded" });
    expect((await sealflow("run", "--resume", open.run)).stderr).toMatch(/is succeeded: only an open run/);
    const late = await sealflow("cancel", open.run);
    expect(late).toMatchObject({ code: 3, stdout: expect.stringContaining("had ended before: succeeded") });

    await sealflow("run", "--params", "none.json").then(({ code }) => expect(code).toBe(1));
    const idle = await call(["run", "--json"], { cwd: project.dir, backend: async () => {} });
    expect(idle.code).toBe(3);
    expect(idle.json.state).toBe("open");
    const cancelled = await sealflow("cancel", idle.json.run, "--reason", "not needed", "--json");
    expect(cancelled.json).toMatchObject({ state: "cancelled" });
  });

  test("a run whose backend cannot begin stays open, and is offered instead of another", async () => {
    const backend = () => Promise.reject(new CliError("USAGE", "no cluster here"));
    const { code, stderr } = await call(["run"], { cwd: project.dir, backend });
    expect(code).toBe(1);
    expect(stderr).toMatch(/run ([0-9a-f]{12}) stays open\. Go on: npx sealflow run --resume \1; .*cancel \1\n/);
    expect(stderr).not.toContain("attempt");
    const id = /cancel ([0-9a-f]{12})/.exec(stderr)?.[1] ?? "";
    expect((await sealflow("cancel", id)).code).toBe(0);
  });

  test("defaults of the program hold where the caller says nothing", async () => {
    const defaults = path.join(project.home, "keys/test/sums.parameters.json");
    writeFileSync(defaults, '{"numbers": {"count": 3}, "report": {"fail": true}}', { mode: 0o600 });
    writeFileSync(path.join(project.dir, "over.json"), '{"report": {"fail": false}}');
    try {
      const over = await sealflow("run", "--json", "--params", "over.json");
      expect(over.code).toBe(0);
      expect(over.stderr).not.toContain("misspelled");
      expect((await sealflow("logs", "numbers", "--run", over.json.run)).stdout).toContain("numbers up to 3");
      writeFileSync(path.join(project.dir, "over.json"), '{"report": {"fail": false}, "numbers": {"cuont": 7411}}');
      const odd = await sealflow("run", "--json", "--params", "over.json");
      expect(odd.stderr).toContain('numbers: the program has no default for "cuont" (has count). Is it misspelled?');
      expect(odd.stderr).not.toContain("7411");
    } finally {
      rmSync(defaults);
    }
  });

  test("parameters that are no JSON are refused without showing them", async () => {
    writeFileSync(path.join(project.dir, "bad.json"), '{"numbers": hidden-value');
    const bad = await sealflow("run", "--params", "bad.json");
    expect(bad.code).toBe(1);
    expect(bad.stderr).toMatch(/bad\.json: is not JSON/);
    expect(bad.stderr).not.toContain("hidden-value");
    writeFileSync(path.join(project.dir, "typo.json"), '{"nubmers": {}}');
    expect((await sealflow("run", "--params", "typo.json")).stderr).toMatch(/no step is called "nubmers"/);
  });
});

test("a relying party that is down exits 4 and names the address", async () => {
  await project.stopServices();
  try {
    const down = await sealflow("status");
    expect(down.code).toBe(4);
    expect(down.stderr).toContain(project.connection.ledgerUrl);
  } finally {
    await project.startServices();
  }
}, 60_000);

test("a ledger that was restored from an older copy is refused with exit 5, by every command", async () => {
  const ledger = path.join(project.home, "dev/ledger");
  const current = path.join(project.dir, "ledger-now");
  const restore = async (from: string) => {
    await project.stopServices();
    rmSync(ledger, { recursive: true });
    cpSync(from, ledger, { recursive: true });
    await project.startServices();
  };
  await project.stopServices();
  cpSync(ledger, current, { recursive: true });
  await project.startServices();
  await restore(backup);
  try {
    for (const command of [["status"], ["run"], ["fetch", run], ["logs"]]) {
      const refused = await sealflow(...command);
      expect(refused.code).toBe(5);
      expect(refused.stderr).toMatch(/ROLLBACK|LOG_PROOF/);
    }
  } finally {
    await restore(current);
  }
  expect((await sealflow("status")).code).toBe(0);
}, 60_000);

test("a version with a successor, and a closed pipeline, open no run", async () => {
  await project.nextVersion();
  const old = await sealflow("run");
  expect(old.code).toBe(5);
  expect(old.stderr).toMatch(/successor/);
  await project.revoke();
  expect((await sealflow("run")).stderr).toMatch(/closed/);
  expect((await sealflow("verify", path.join(".sealflow/runs", run))).code).toBe(0);
});

test("revoke needs the root of that pipeline, and then nothing starts any more", async () => {
  const other = await makeProject();
  try {
    const here = { cwd: other.dir, backend: other.backend };
    expect((await call(["revoke"], here)).stderr).toMatch(/SEALFLOW_ROOT is not set.*--root <file>.*keys backup --to/);
    const foreign = await call(["revoke"], { ...here, env: { SEALFLOW_ROOT: project.root } });
    expect([foreign.code, foreign.stderr]).toEqual([1, expect.stringMatching(/another pipeline.*KEY_OTHER/)]);
    expect(foreign.stderr).not.toContain(project.root);
    // Still open: an open run, whose claims the revocation stops too.
    const idle = await call(["run", "--json"], { ...here, backend: async () => {} });
    expect(idle.json.state).toBe("open");
    const file = path.join(other.dir, "root.txt");
    writeFileSync(file, other.root, { mode: 0o600 });
    const revoked = await call(["revoke", "--root", "root.txt", "--reason", "a leak", "--json"], here);
    expect([revoked.code, revoked.json.descriptor]).toEqual([0, expect.stringMatching(/^[0-9a-f]{64}$/)]);
    const refused = await call(["run"], here);
    expect([refused.code, refused.stderr]).toEqual([5, expect.stringContaining("[REVOKED]")]);
    expect((await call(["run", "--resume", idle.json.run], here)).code).not.toBe(0);
  } finally {
    await other.close();
  }
}, 60_000);

test("without the run key nothing is opened, and the file is named", async () => {
  const key = path.join(project.home, "keys/test/sums.run.jwk");
  rmSync(key);
  const refused = await sealflow("run");
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("sums.run.jwk: no such file");
});
