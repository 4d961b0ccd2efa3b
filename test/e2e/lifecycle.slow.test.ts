/** Retries with backoff, time limits, cancelling and draining, as a user has them. */
import { randomBytes } from "node:crypto";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readConnection, runKeyFile } from "../../cli/support/pipelines";
import { readKeyFile } from "../../owner/keys";
import { signReadToken } from "../../owner/run-request";
import { LedgerClient, type RunStatus } from "../../relying-party/ledger-client";
import { ok, sealflow } from "../support/cli";
import { createProject, type Project } from "../support/project";

jest.setTimeout(300_000);

const PROGRAM = `
const { readFileSync } = require("node:fs");
const { ConfidentialPipeline, image, localEnvironment, pipeline } = require("sealflow");
const { version } = JSON.parse(readFileSync(require("node:path").join(__dirname, "../settings.json"), "utf8"));
const p = pipeline("life");
const tool = { image: image.folder("./steps/tool"), command: ["node", "/app/main.js", version], parameters: {} };
const work = p.step("work", { ...tool, outputs: { out: "json" }, timeout: "20s", retry: { limit: 12, backoff: "2s", factor: 1 } });
const last = p.step("last", { ...tool, inputs: { in: work.out }, outputs: { out: "json" }, timeout: "5s" });
p.release({ out: last.out });
new ConfidentialPipeline("life", { spec: p.toJSON(), environment: localEnvironment(), drainSeconds: 120 });
`;

/** Fails until a time, or never ends, as its parameters say. */
const TOOL = `
const fs = require("node:fs");
const { until = 0, hang } = JSON.parse(fs.readFileSync("/sealflow/params.json", "utf8"));
if (hang) setInterval(() => undefined, 1000);
else if (Date.now() < until) process.exit(3);
else fs.writeFileSync("/sealflow/out/out", JSON.stringify({ version: process.argv[2] }));
`;

let project: Project;
const settings = (version: string) => project.write("settings.json", JSON.stringify({ version }));
const run = (name: string, parameters: object) => {
  project.write(`${name}.json`, JSON.stringify(parameters));
  return sealflow(project, ["run", "--json", "--params", `${name}.json`]);
};

async function withLedger<T>(use: (ledger: LedgerClient, uid: string, read: string) => Promise<T>): Promise<T> {
  const { connection } = readConnection(path.join(project.home, "pipelines/local/life.json"));
  const { ledgerUrl: url, caPem, ledgerKey, pipelineUid } = connection;
  const ledger = new LedgerClient({ url, caPem, ledgerKey });
  const key = readKeyFile(runKeyFile(project.home, connection), "Ed25519");
  try {
    return await use(
      ledger,
      pipelineUid,
      await signReadToken({ ledgerKey, pipelineUid, now: new Date(), random: randomBytes(32) }, key),
    );
  } finally {
    ledger.close();
  }
}

/** Waits for a run whose status is as wanted. */
async function until(wanted: (run: RunStatus) => boolean): Promise<RunStatus> {
  for (const deadline = Date.now() + 120_000; Date.now() < deadline; await sleep(300)) {
    const found = (await withLedger((ledger, uid, read) => ledger.runs(uid, read))).find(wanted);
    if (found) return found;
  }
  throw new Error("no run came to be as wanted");
}
const shardOf = (status: RunStatus, step: string) => status.steps[step]?.shards[0];

beforeAll(async () => {
  project = createProject(PROGRAM);
  project.write("steps/tool/main.js", TOOL);
  settings("one");
  await ok(project, ["dev", "--detach"]);
  await ok(project, ["up", "--stack", "local"]);
});
afterAll(async () => {
  await ok(project, ["dev", "--stop"]).catch(() => {});
  project.remove();
});

it("a step that fails is tried again after a pause, and one that takes too long ends the run by that name", async () => {
  const { code, stdout } = await run("first", { work: { until: Date.now() + 15_000 }, last: { hang: true } });
  expect(code).toBe(3);
  const summary = JSON.parse(stdout);
  expect(summary.state).toBe("failed");
  const { status, log } = await withLedger(async (ledger, _uid, read) => ({
    status: await ledger.run(summary.run, read),
    log: await ledger.runLog(summary.run, read),
  }));
  const work = shardOf(status, "work");
  expect(work?.state).toBe("committed");
  expect(work?.attempts).toBeGreaterThan(1);
  expect(work?.failures).toContainEqual({ attempt: 1, exitClass: "program" });
  expect(shardOf(status, "last")).toMatchObject({ attempts: 1, failures: [{ attempt: 1, exitClass: "timeout" }] });
  const times = log.entries
    .flatMap(({ entry }) => (entry === undefined ? [] : [JSON.parse(entry)]))
    .filter((e) => e.run === summary.run && e.step === "work" && e.kind === "attempt")
    .map(({ at }) => at as number);
  for (const [i, at] of times.slice(1).entries()) expect(at - (times[i] as number)).toBeGreaterThanOrEqual(2);
});

it("a run that is cancelled ends as such, whatever its guest still does, and is not resumed", async () => {
  const going = run("second", { work: { hang: true } });
  const open = await until((r) => r.state === "open" && shardOf(r, "work")?.state === "running");
  expect((await ok(project, ["cancel", open.run])).stdout).toContain("cancelled");
  const { code, stdout } = await going;
  expect([code, JSON.parse(stdout)]).toEqual([3, expect.objectContaining({ run: open.run, state: "cancelled" })]);
  expect((await sealflow(project, ["run", "--resume", open.run])).stderr).toContain("is cancelled");
});

it("a run on the way when a new version is deployed drains: it ends with the programs that it began with", async () => {
  const going = run("third", { work: { until: Date.now() + 15_000 } });
  const open = await until((r) => r.state === "open" && (shardOf(r, "work")?.attempts ?? 0) > 0);
  settings("two");
  await ok(project, ["up", "--stack", "local"]);
  const { code, stdout } = await going;
  expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ run: open.run, state: "succeeded" })]);
  await ok(project, ["fetch", open.run]);
  expect(JSON.parse(project.read(`.sealflow/runs/${open.run}/released/out`))).toEqual({ version: "one" });
});
