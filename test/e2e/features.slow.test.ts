/** Conditions, schedules, rotation of keys and releases across stacks, as a user has them: real engine, real guests. */
import { randomBytes } from "node:crypto";
import { cpSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { readConnection, runKeyFile } from "../../cli/support/pipelines";
import { readKeyFile } from "../../owner/keys";
import { openRunRequest } from "../../owner/run-request";
import { peekJws } from "../../protocol/jws";
import { descriptor } from "../../protocol/messages";
import { LedgerClient } from "../../relying-party/ledger-client";
import { createNode } from "../../untrusted/node";
import { ok, sealflow } from "../support/cli";
import { createProject, type Project } from "../support/project";

jest.setTimeout(600_000);

const PROGRAM = `
const pulumi = require("@pulumi/pulumi");
const { readFileSync } = require("node:fs");
const { ConfidentialPipeline, dataset, fromStack, image, localEnvironment, pipeline } = require("sealflow");
const settings = JSON.parse(readFileSync(require("node:path").join(__dirname, "../settings.json"), "utf8"));
const tool = image.folder("./steps/tool");
const run = (what) => ({ image: tool, command: ["node", "/app/main.js", what] });
if (pulumi.getStack() === "local") {
  const p = pipeline("gated");
  const rows = p.input("rows", "jsonl");
  const gate = p.step("gate", { ...run("gate"), inputs: { rows }, parameters: { big: true },
    outputs: { big: { format: "json", declassify: "the operator may see how large it was" }, rows: "jsonl" } });
  const large = p.step("large", { ...run("report"), inputs: { rows: gate.rows }, outputs: { report: "json" }, when: { from: gate.big, equals: true } });
  const after = p.step("after", { ...run("report"), inputs: { rows: large.report }, outputs: { report: "json" } });
  const small = p.step("small", { ...run("report"), inputs: { rows: gate.rows }, outputs: { report: "json" }, when: { from: gate.big, equals: false } });
  p.release({ large: after.report, small: small.report });
  p.release({ rows: gate.rows }, { recipients: Object.keys(settings.recipients) });
  // Due all year, so the test needs no waiting.
  p.schedule("yearly", "0 0 1 1 *", { late: "365d" });
  exports.gated = new ConfidentialPipeline("gated", { spec: p.toJSON(), inputs: { rows: dataset.file("data/rows.jsonl") },
    environment: localEnvironment(), keyGeneration: settings.generation, recipients: settings.recipients });
} else {
  const p = pipeline("reader");
  const rows = p.input("rows", "jsonl");
  const report = p.step("report", { ...run("report"), inputs: { rows }, outputs: { report: "json" } });
  p.release({ report: report.report });
  const reader = new ConfidentialPipeline("reader", { spec: p.toJSON(),
    inputs: { rows: fromStack("organization/" + pulumi.getProject() + "/local", "gated", "rows") }, environment: localEnvironment() });
  exports.recipientKey = reader.recipientKey;
}
`;

const TOOL = `
const fs = require("node:fs");
const rows = fs.readFileSync("/sealflow/in/rows", "utf8");
if (process.argv[2] === "gate") {
  const { big } = JSON.parse(fs.readFileSync("/sealflow/params.json", "utf8"));
  fs.writeFileSync("/sealflow/out/big", JSON.stringify(big));
  fs.writeFileSync("/sealflow/out/rows", rows);
} else fs.writeFileSync("/sealflow/out/report", JSON.stringify({ bytes: rows.length }));
`;
const ROWS = '{"n":1}\n{"n":2}\n';

interface Summary {
  readonly run: string;
  readonly state: string;
  readonly steps: readonly { readonly name: string; readonly state: string; readonly identity: string }[];
}

let project: Project;
const settings = (content: object) => project.write("settings.json", JSON.stringify(content));
const up = (stack: string) => ok(project, ["up", "--stack", stack]);
const start = async (...words: string[]): Promise<Summary> =>
  JSON.parse((await ok(project, [...words, "--json"])).stdout) as Summary;
const states = ({ steps }: Summary) => Object.fromEntries(steps.map(({ name, state }) => [name, state]));
const fetched = async (stack: string, run: string) => {
  await ok(project, ["fetch", run, "--stack", stack]);
  const dir = path.join(project.home, "runs", run);
  const { stdout } = await ok(project, ["verify", dir, "--stack", stack]);
  return { dir, stdout, released: (name: string) => readFileSync(path.join(dir, "released", name), "utf8") };
};
const version = () =>
  peekJws(
    "sealflow-descriptor+jwt",
    JSON.parse(readFileSync(path.join(project.home, "pipelines/local/gated.json"), "utf8")).descriptor,
    descriptor,
  );

const rotate = () => sealflow(project, ["keys", "rotate", "--stack", "local"]);

/** A run that nobody carries out. */
async function openRun(): Promise<string> {
  const { connection } = readConnection(path.join(project.home, "pipelines/local/gated.json"));
  const ledger = new LedgerClient({
    url: connection.ledgerUrl,
    caPem: connection.caPem,
    ledgerKey: connection.ledgerKey,
  });
  try {
    const request = await openRunRequest({
      token: connection.descriptor,
      descriptor: version(),
      runKey: readKeyFile(runKeyFile(project.home, connection), "Ed25519"),
      head: (await ledger.head()).token,
      now: new Date(),
      random: randomBytes(32),
    });
    return (await ledger.openRun(request.token)).run;
  } finally {
    ledger.close();
  }
}

beforeAll(async () => {
  project = createProject(PROGRAM);
  project.write("data/rows.jsonl", ROWS);
  project.write("steps/tool/main.js", TOOL);
  settings({ recipients: {} });
  await ok(project, ["dev", "--detach"]);
  await up("local");
});
afterAll(async () => {
  await ok(project, ["dev", "--stop"]).catch(() => {});
  project.remove();
});

let first: Summary;
let oldJob: unknown;

it("a bit decides which steps run; the skipped have no receipt, and the run verifies without them", async () => {
  project.write("params.json", JSON.stringify({ gate: { big: false } }));
  first = await start("run", "--stack", "local", "--params", "params.json");
  expect([first.state, states(first)]).toEqual([
    "succeeded",
    { gate: "committed", large: "skipped", after: "skipped", small: "committed" },
  ]);
  const { stdout, released } = await fetched("local", first.run);
  expect(stdout).toContain("receipts verified: 2/2");
  expect(JSON.parse(released("small"))).toEqual({ bytes: ROWS.length });
});

it("a slot of a schedule opens one run, with the program's parameters, and it verifies", async () => {
  const listed = JSON.parse((await ok(project, ["schedules", "--json"])).stdout);
  expect(listed.schedules).toMatchObject([{ name: "yearly", due: { opened: false } }]);
  const run = await start("schedules", "yearly", "--run");
  expect([run.state, run.run]).toEqual(["succeeded", listed.schedules[0].due.run]);
  expect(states(run)).toMatchObject({ large: "committed", after: "committed", small: "skipped" });
  expect((await fetched("local", run.run)).stdout).toContain("receipts verified: 3/3");
  const again = await sealflow(project, ["schedules", "yearly", "--run"]);
  expect([again.code, again.stderr]).toEqual([1, expect.stringContaining("a slot opens one run")]);
});

describe("after a rotation of the keys, with another stack as recipient", () => {
  let rotated: Summary;
  beforeAll(async () => {
    const images = path.join(project.home, "images");
    cpSync(images, `${images}-kept`, { recursive: true });
    oldJob = JSON.parse(readFileSync(path.join(project.home, "backend/local/gated/gate.job.json"), "utf8"));
    await up("other");
    const { stdout } = await ok(project, ["pulumi", "--", "stack", "output", "recipientKey", "--stack", "other"]);
    settings({ recipients: { other: stdout.trim().split("\n").at(-1) } });
    const before = version();
    const open = await openRun();
    const closing = await rotate();
    expect([closing.code, closing.stderr]).toEqual([
      1,
      expect.stringContaining(`a run is open (${open.slice(0, 12)})`),
    ]);
    const { stdout: said } = await ok(project, ["keys", "rotate", "--stack", "local", "--close-runs"]);
    expect(said).toContain("generation 2 after 1");
    const again = await rotate();
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining("generation 2 of the keys")]);
    await up("local");
    const now = version();
    expect([now.generation, now.pipelineUid, now.ownerPublicKey, now.sequence]).toEqual([
      2,
      before.pipelineUid,
      before.ownerPublicKey,
      before.sequence + 1,
    ]);
    expect([now.ns, now.runKeys, now.recipients.owner]).not.toEqual([
      before.ns,
      before.runKeys,
      before.recipients.owner,
    ]);
    rotated = await start("run", "--stack", "local");
  });

  it("new runs work with other identities, and the chain of versions verifies", async () => {
    expect(rotated.state).toBe("succeeded");
    expect(rotated.steps[0]?.identity).not.toBe(first.steps[0]?.identity);
    expect((await fetched("local", rotated.run)).stdout).toContain("receipts verified: 3/3");
  });

  it("old runs still verify, and what they released still opens", async () => {
    const { stdout, released } = await fetched("local", first.run);
    expect(stdout).toContain("receipts verified: 2/2");
    expect(JSON.parse(released("small"))).toEqual({ bytes: ROWS.length });
    expect((await ok(project, ["logs", "gate", "--run", first.run, "--stack", "local"])).stdout).toContain("gate");
  });

  it("a guest of the generation before gets no key", async () => {
    const { kbsUrl, ledgerUrl } = JSON.parse(
      readFileSync(path.join(project.home, "pipelines/local/gated.json"), "utf8"),
    );
    const images = path.join(project.home, "images");
    // What a host has seen once it can bring again.
    cpSync(`${images}-kept`, images, { recursive: true });
    const node = createNode({ home: project.home, connection: { kbsUrl, ledgerUrl } });
    const end = await node.runJob(oldJob, { shard: 0, runHint: rotated.run });
    expect(end.exitCode).not.toBe(0);
    expect(end.code).toBe("KEY_DENIED");
  });

  it("the generation never goes back, and program and configuration do not both set it", async () => {
    const generation = (value: string) =>
      ok(project, ["pulumi", "--", "config", "set", "sealflow-keys:gated", value, "--stack", "local"]);
    const refused = async () => {
      const { code, stdout, stderr } = await sealflow(project, ["up", "--stack", "local"]);
      return [code, stdout + stderr];
    };
    await generation("1");
    expect(await refused()).toEqual([6, expect.stringContaining("keys never go back")]);
    await generation("2");
    settings({ generation: 3, recipients: {} });
    expect(await refused()).toEqual([6, expect.stringContaining("Keep one of them")]);
  });

  it("the other stack reads the newest run's release, pinned and proved, and its own run verifies", async () => {
    const run = await start("run", "--stack", "other");
    expect(run.state).toBe("succeeded");
    const { dir, stdout, released } = await fetched("other", run.run);
    expect(stdout).toContain("receipts verified: 1/1");
    expect(JSON.parse(released("report"))).toEqual({ bytes: ROWS.length });
    const request = readFileSync(path.join(dir, "request.jws"), "utf8").split(".")[1] as string;
    const { imports } = JSON.parse(Buffer.from(request, "base64url").toString("utf8"));
    expect(imports.rows.run).toBe(rotated.run);
  });

  it("a run that does not verify, or was released to others, is not read", async () => {
    const { dir } = await fetched("local", first.run);
    const notOurs = await sealflow(project, ["run", "--stack", "other", "--from", `rows=${dir}`, "--json"]);
    expect(notOurs.code).toBe(3);
    const commits = path.join(dir, "commits", "gate.0.1.jws");
    project.write(path.relative(project.dir, commits), `${readFileSync(commits, "utf8").slice(0, -9)}AAAAAAA\n`);
    const broken = await sealflow(project, ["run", "--stack", "other", "--from", `rows=${dir}`]);
    expect([broken.code, broken.stderr]).toEqual([1, expect.stringContaining("does not verify")]);
  });
});
