/** docs/ci.md: the two scripts of examples/ci in a project, as a CI job runs them. */
import { execFile } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import * as path from "node:path";
import { projectEnvironment } from "../../cli/engine";
import { ok, sealflow } from "../support/cli";
import { countProject } from "../support/count";
import type { Project } from "../support/project";

jest.setTimeout(420_000);

const CHECKOUT = path.resolve(__dirname, "../..");
const PROGRAM = `
const { ConfidentialPipeline, dataset, image, localEnvironment, pipeline } = require("sealflow");
const args = JSON.parse(require("fs").readFileSync(__dirname + "/args.json", "utf8"));
const p = pipeline("spam");
const rows = p.input("rows", "jsonl");
const count = p.step("count", { image: image.folder("./count"), command: ["node", "/app/count.js"],
  inputs: { rows }, outputs: { report: "json" }, ...args });
p.release({ report: count.report });
new ConfidentialPipeline("spam", { spec: p.toJSON(), inputs: { rows: dataset.file("rows.jsonl") }, environment: localEnvironment() });
`;

let project: Project;
beforeAll(async () => {
  project = countProject(PROGRAM);
  for (const script of ["preview.sh", "drift.sh"]) {
    copyFileSync(path.join(CHECKOUT, "examples/ci", script), path.join(project.dir, script));
  }
  // As npm links a package's command; npx finds it there.
  mkdirSync(path.join(project.dir, "node_modules/.bin"));
  symlinkSync(path.join(CHECKOUT, "bin/sealflow.js"), path.join(project.dir, "node_modules/.bin/sealflow"));
  await ok(project, ["dev", "--detach"]);
});
afterAll(async () => {
  await sealflow(project, ["dev", "--stop"]);
  project.remove();
});

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const script = (file: string, args: string[], env: NodeJS.ProcessEnv): Promise<Ended> =>
  new Promise((resolve) => {
    const options = { cwd: project.dir, env: { ...process.env, ...env }, maxBuffer: 1 << 26 };
    execFile(path.join(project.dir, file), args, options, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr }),
    );
  });

it("reads a state that lies elsewhere, as CI does, with pulumi on PATH", async () => {
  await ok(project, ["up", "--stack", "dev"]);
  const { PULUMI_BACKEND_URL, PULUMI_CONFIG_PASSPHRASE_FILE, PATH } = await projectEnvironment(project.dir);
  const elsewhere = path.join(project.dir, "elsewhere");
  renameSync(path.join(project.home, "pulumi/state"), elsewhere);
  try {
    expect(PULUMI_BACKEND_URL).toBe(`file://${path.join(project.home, "pulumi/state")}`);
    const env = { STACK: "dev", PULUMI_BACKEND_URL: `file://${elsewhere}`, PULUMI_CONFIG_PASSPHRASE_FILE, PATH };
    const drift = await script("drift.sh", [], env);
    expect(`${drift.code} ${drift.stdout}${drift.stderr}`).toMatch(/^0 /);
    expect((await script("preview.sh", ["comment.md"], env)).code).toBe(0);
    expect(project.read("comment.md")).toContain("Nothing: no identity");
  } finally {
    rmSync(path.join(project.home, "pulumi/state"), { recursive: true, force: true });
    renameSync(elsewhere, path.join(project.home, "pulumi/state"));
  }
});

it("a deployed stack has no drift; a change is told as a comment and found as drift", async () => {
  await ok(project, ["up", "--stack", "dev"]);
  expect((await script("drift.sh", [], { STACK: "dev" })).code).toBe(0);

  project.write("stacks/args.json", JSON.stringify({ trustProgram: "tried out on a laptop" }));
  const told = await script("preview.sh", ["comment.md"], { STACK: "dev" });
  expect(told).toMatchObject({ code: 0 });
  expect(project.read("comment.md")).toContain("`spam-count: trustProgram`: OFF");
  expect(told.stdout.trim()).toBe(readFileSync(path.join(project.dir, "comment.md"), "utf8").trim());
  expect((await script("drift.sh", [], { STACK: "dev" })).code).not.toBe(0);
});

it("a change that breaks a rule of production fails, with the rule in the comment", async () => {
  await project.ok(["stack", "init", "prod"]);
  const { code } = await script("preview.sh", ["comment.md"], { STACK: "prod" });
  expect(code).not.toBe(0);
  expect(project.read("comment.md")).toMatch(
    /### Rules that this change breaks[\s\S]*sealflow-no-waivers-in-production/,
  );
});

it.each(["SEALFLOW_ROOT", "SEALFLOW_KBS_ADMIN_KEY_FILE"])("refuses to run beside %s", async (name) => {
  const { code, stderr } = await script("preview.sh", [], { STACK: "dev", [name]: "x" });
  expect(code).toBe(1);
  expect(stderr).toContain("take it out of this job");
});

it("a job that may write tells what another collected, and runs nothing of the change", async () => {
  expect(await script("preview.sh", ["--collect", "collected"], { STACK: "dev" })).toMatchObject({
    code: 0,
    stdout: "",
  });
  renameSync(path.join(project.dir, "stacks"), path.join(project.dir, "gone"));
  try {
    const { code, stdout } = await script("preview.sh", ["--tell", "collected", "comment.md"], {});
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(project.read("comment.md")).toContain("`spam-count: trustProgram`: OFF");
    project.write("collected/status", "0 1; echo x");
    project.write(
      "collected/policies.txt",
      "Policies:\n    a rule\r# Approved\u0085\u001b[2J\n# by security\nDiagnostics:\n",
    );
    expect((await script("preview.sh", ["--tell", "collected", "comment.md"], {})).code).toBe(1);
    project.write("collected/status", "0 1");
    expect((await script("preview.sh", ["--tell", "collected", "comment.md"], {})).code).toBe(1);
    const [, rules = ""] = project.read("comment.md").split("Rules that this change breaks\n\n");
    expect(rules).toMatch(/^(?: {4}.*\n)+$/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none may be left.
    expect(rules).not.toMatch(/[\r\u001b]/);
    project.write("collected/policies.txt", "needs a package\n# Approved\n");
    expect((await script("preview.sh", ["--tell", "collected", "comment.md"], {})).code).toBe(1);
    expect(project.read("comment.md")).toMatch(
      /### The policy pack did not run, so no rule was checked\n\n {4}needs a package\n {4}# Approved\n$/,
    );
    project.write("collected/preview.json", "## Approved");
    expect((await script("preview.sh", ["--tell", "collected", "comment.md"], {})).code).toBe(1);
    expect(project.read("comment.md")).toMatch(/^## The trust diff cannot be shown\n/);
  } finally {
    renameSync(path.join(project.dir, "gone"), path.join(project.dir, "stacks"));
  }
});

it("a program that does not start is told in the comment, too", async () => {
  project.write("stacks/args.json", JSON.stringify({ colour: "red" }));
  const { code } = await script("preview.sh", ["comment.md"], { STACK: "dev" });
  expect(code).not.toBe(0);
  expect(project.read("comment.md")).toContain("**The preview failed");
});
