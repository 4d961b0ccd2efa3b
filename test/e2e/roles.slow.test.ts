/** DESIGN 2.1 as its people meet it: the root outside of Pulumi, a pull request without it, and the day the state is lost. */
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { sealBackup } from "../../owner/backup";
import { createRoot, formatRoot, publicFacts } from "../../owner/keys";
import { ok, printed, sealflow } from "../support/cli";
import { createProject, type Project } from "../support/project";

jest.setTimeout(420_000);

const ROOT = formatRoot(createRoot(Buffer.alloc(32, 0x5a)));
const ROOT_KEY = ROOT.split(".").pop() as string;
const ENV = { kind: "env" };
const DATA = "planted-data-2f7c1e90ab44";

/** Prints whatever a program can reach: its environment, every output that it can resolve, the files of the project. */
const PROGRAM = `
const fs = require("node:fs"), path = require("node:path");
const { ConfidentialPipeline, dataset, image, localEnvironment, pipeline, PipelineKeys } = require("sealflow");
const pulumi = require("@pulumi/pulumi");
const args = JSON.parse(fs.readFileSync(path.join(__dirname, "args.json"), "utf8"));
const p = pipeline("spam");
const rows = p.input("rows", "jsonl");
const count = p.step("count", { image: image.folder("./count"), command: ["node", "/app/count.js"],
  inputs: { rows }, outputs: { report: "json" }, ...args.step });
p.release({ report: count.report });
const keys = args.outside ? new PipelineKeys("outside", { pipeline: "spam", keyFiles: true, source: args.outside }) : undefined;
const spam = new ConfidentialPipeline("spam", { spec: p.toJSON(), inputs: { rows: dataset.file("rows.jsonl") },
  environment: localEnvironment(), ...(keys ? { keys } : {}) });
if (args.curious) {
  const show = (name, value) => pulumi.output(value).apply((v) => { console.log("SEEN " + name + " " + JSON.stringify(v)); });
  for (const part of [spam, keys]) for (const name of Object.keys(part)) if (pulumi.Output.isInstance(part[name])) show(name, part[name]);
  for (const [name, value] of Object.entries(keys.reference)) show("reference." + name, value);
  console.log("SEEN env " + JSON.stringify(process.env));
  console.log("SEEN config " + JSON.stringify(pulumi.runtime.allConfig()));
  const walk = (dir) => { for (const e of fs.readdirSync(dir, { withFileTypes: true })) {
    if (e.name === "node_modules") continue;
    const file = path.join(dir, e.name);
    if (e.isDirectory()) walk(file); else if (e.isFile()) console.log("SEEN file " + file + " " + fs.readFileSync(file, "utf8").slice(0, 4000));
  } };
  walk(path.join(__dirname, ".."));
}
`;
const COUNT = `const fs = require("node:fs");
fs.writeFileSync("/sealflow/out/report", JSON.stringify({ rows: fs.readFileSync("/sealflow/in/rows", "utf8").trim().split("\\n").length }));
`;

let project: Project;
beforeEach(async () => {
  project = createProject(PROGRAM);
  project.write("count/count.js", COUNT);
  project.write("rows.jsonl", `{"text":"${DATA}"}\n{"text":"second"}\n`);
  await ok(project, ["dev", "--detach"]);
});
afterEach(async () => {
  await sealflow(project, ["dev", "--stop"]);
  project.remove();
});

const program = (args: object) => project.write("stacks/args.json", JSON.stringify(args));
const at = (...parts: string[]) => path.join(project.dir, ...parts);

async function runAndFetch(): Promise<{ run: string; report: unknown }> {
  const { run } = JSON.parse((await ok(project, ["run", "--json"])).stdout);
  return { run, report: await fetched(run) };
}
async function fetched(run: string): Promise<unknown> {
  const out = path.join(mkdtempSync(path.join(tmpdir(), "sealflow-fetch-")), "run");
  await ok(project, ["fetch", run, "--out", out]);
  const file = readdirSync(path.join(out, "released")).find((name) => name.startsWith("report")) as string;
  const report = JSON.parse(readFileSync(path.join(out, "released", file), "utf8"));
  rmSync(path.dirname(out), { recursive: true });
  return report;
}

/** Takes away what only the owner's machine has; gives back a function that brings it home again. */
function otherMachine(): () => void {
  const away = mkdtempSync(path.join(tmpdir(), "sealflow-away-"));
  const taken = [
    "rows.jsonl",
    ".sealflow/connection.json",
    ".sealflow/dev",
    ".sealflow/images",
    ".sealflow/keys",
    ".sealflow/pipelines",
  ];
  for (const file of taken) renameSync(at(file), path.join(away, path.basename(file)));
  return () => {
    for (const file of taken) {
      rmSync(at(file), { recursive: true, force: true });
      renameSync(path.join(away, path.basename(file)), at(file));
    }
    rmSync(away, { recursive: true });
  };
}

it("a pull request previews without root, data and relying party, tells what changes, and can print neither", async () => {
  program({ outside: ENV });
  await ok(project, ["up", "--stack", "dev"], { SEALFLOW_ROOT: ROOT });
  expect((await runAndFetch()).report).toEqual({ rows: 2 });
  expect(readFileSync(at(".sealflow/pulumi/state/.pulumi/stacks/project/dev.json"), "utf8")).not.toContain(ROOT_KEY);

  await ok(project, ["dev", "--stop"]);
  const home = otherMachine();
  try {
    program({ outside: ENV, curious: true });
    const same = await ok(project, ["pulumi", "--", "preview", "-s", "dev", "--expect-no-changes"]);
    expect(same.stdout).toContain("SEEN pipelineUid");
    expect(same.stdout).toContain("unchanged, pinned at");

    program({ outside: ENV, curious: true, step: { timeout: "5m", trustProgram: "needs a debugger" } });
    const preview = await ok(project, ["pulumi", "--", "preview", "-s", "dev", "--json"]);
    writeFileSync(at("preview.json"), preview.stdout);
    const { stdout } = await ok(project, ["diff", "preview.json"]);
    expect(stdout).toContain("`spam-count: trustProgram`: OFF");
    expect(stdout).toContain("± `spam-count`: another guest gets keys");
    expect(stdout).toMatch(/`limits\.timeoutSeconds`: `\d+` → `300`/);

    const everything = (printed.get(project) ?? []).join("\n") + stdout;
    expect(everything).toContain("SEEN reference.root");
    for (const secret of [ROOT, ROOT_KEY, Buffer.alloc(32, 0x5a).toString("hex"), DATA]) {
      expect(everything).not.toContain(secret);
    }
  } finally {
    home();
    await ok(project, ["dev", "--detach"]);
  }
});

it.each([
  ["the state", undefined],
  ["a file", { kind: "file", path: "root.key" }],
])(
  "after the state is deleted, and the root from %s with it, restoring it and `up` opens an old release again",
  async (_where, outside) => {
    const rootFile = outside && at(outside.path);
    if (rootFile) writeFileSync(rootFile, `${ROOT}\n`, { mode: 0o600 });
    program(outside ? { outside } : {});
    await ok(project, ["up", "--stack", "dev"]);
    const before = await runAndFetch();
    const uid = JSON.parse(project.read(".sealflow/pipelines/dev/spam.json")).pipelineUid;

    const recovery = (await ok(project, ["keys", "new", "recovery.jwk"])).stdout.split("\n")[0] as string;
    await ok(project, ["keys", "backup", "--to", recovery, "--out", "backup.json"]);
    await ok(project, ["keys", "restore", "backup.json", "--key", "recovery.jwk", "--check"]);
    const theirs = createRoot(Buffer.alloc(32, 9));
    const names = {
      v: 1,
      pipeline: "spam",
      stack: "dev",
      stackUuid: "0".repeat(32),
      root: formatRoot(theirs),
    } as const;
    const { pipelineUid } = publicFacts(theirs, names.stackUuid, "spam");
    project.write("theirs.json", await sealBackup({ ...names, pipelineUid }, [recovery]));
    const exchanged = await sealflow(project, ["keys", "restore", "theirs.json", "--key", "recovery.jwk"]);
    expect([exchanged.code, exchanged.stderr]).toEqual([1, expect.stringContaining("as deployed from here")]);
    const state = JSON.parse((await project.pulumi(["stack", "export", "--show-secrets", "-s", "dev"])).stdout);
    const minted = JSON.stringify(state).match(/sealflow-root\.1\.g1\.([A-Za-z0-9_-]{43})/)?.[1];
    const root = outside ? ROOT_KEY : (minted as string);
    if (outside) expect(minted).toBeUndefined();
    expect(root).toHaveLength(43);
    expect(project.read("backup.json")).not.toContain(root);

    for (const lost of [
      ...(outside ? [outside.path] : []),
      ".sealflow/pulumi",
      ".sealflow/keys",
      ".sealflow/pipelines",
      ".sealflow/images",
      ".sealflow/backend",
    ]) {
      rmSync(at(lost), { recursive: true });
    }
    const out = outside ? ["--out", outside.path] : [];
    const restore = ["keys", "restore", "backup.json", "--key", "recovery.jwk", ...out];
    for (const pin of [[], ["--pipeline-id", "0".repeat(64)]]) {
      const refused = await sealflow(project, [...restore, ...pin]);
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("[BACKUP_OTHER]")]);
    }
    expect(existsSync(at(".sealflow/keys"))).toBe(false);
    await ok(project, [...restore, "--pipeline-id", uid]);
    expect(statSync(at(".sealflow/keys/dev/spam.restored.json")).mode & 0o777).toBe(0o600);
    if (rootFile)
      expect([statSync(rootFile).mode & 0o777, readFileSync(rootFile, "utf8").trim()]).toEqual([0o600, ROOT]);
    await ok(project, ["up", "--stack", "dev"]);
    expect(existsSync(at(".sealflow/keys/dev/spam.restored.json"))).toBe(false);
    expect(JSON.parse(project.read(".sealflow/pipelines/dev/spam.json")).pipelineUid).toBe(uid);
    expect(await fetched(before.run)).toEqual(before.report);
    expect((await runAndFetch()).report).toEqual(before.report);
    expect((printed.get(project) ?? []).join("\n")).not.toContain(root);
  },
);
