/** docs/getting-started.md: an empty folder with the package in it, `sealflow init`, `sealflow start`. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { ok, sealflow } from "../support/cli";
import type { Project } from "../support/project";

jest.setTimeout(300_000);

const CHECKOUT = path.resolve(__dirname, "../..");
const PACKAGES = ["@pulumi", "typescript", "ts-node"];

let project: Project;
beforeAll(() => {
  const dir = mkdtempSync(path.join(tmpdir(), "Own Project "));
  mkdirSync(path.join(dir, "node_modules"));
  symlinkSync(CHECKOUT, path.join(dir, "node_modules/sealflow"));
  for (const name of PACKAGES)
    symlinkSync(path.join(CHECKOUT, "node_modules", name), path.join(dir, "node_modules", name));
  project = { dir } as Project;
});
afterAll(async () => {
  await sealflow(project, ["dev", "--stop"]);
  rmSync(project.dir, { recursive: true, force: true });
});

const read = (file: string): string => readFileSync(path.join(project.dir, file), "utf8");

test("init writes a project that start deploys, runs and verifies", async () => {
  const { stdout } = await ok(project, ["init"]);
  expect(stdout).toMatch(/wrote index\.ts\n[\s\S]*next:\n {2}npx sealflow start\n/);
  expect(read("Pulumi.yaml")).toMatch(/^name: "Own-Project-[A-Za-z0-9]+"$/m);
  expect(read(".gitignore")).toBe("node_modules/\n.sealflow/\n");

  const started = JSON.parse((await ok(project, ["start", "--json"])).stdout);
  expect(started).toMatchObject({ state: "succeeded", receiptsVerified: 2, receiptsExpected: 2 });
  expect(started.released.report.value).toEqual({ words: 25, distinct: 14, most: { letter: 4, a: 3, the: 3 } });
});

test("a second init overwrites nothing and says what is in the way", async () => {
  const { code, stdout, stderr } = await sealflow(project, ["init", "--json"]);
  expect(code).toBe(1);
  expect(JSON.parse(stdout).error).toEqual({ code: "EXISTS", message: expect.stringContaining("index.ts") });
  expect(stderr).toMatch(/Nothing was written/);
});

test("init into a new folder tells what to install there", async () => {
  const folder = path.join(mkdtempSync(path.join(tmpdir(), "new-")), "pipeline");
  const { stdout } = await ok(project, ["init", folder, "--json"]);
  expect(JSON.parse(stdout).missing).toEqual(["sealflow", "@pulumi/pulumi", "typescript", "ts-node"]);
  expect(readdirSync(folder)).toEqual(expect.arrayContaining(["Pulumi.yaml", "index.ts", "steps"]));
  expect(existsSync(path.join(folder, "README.md"))).toBe(false);
  rmSync(path.dirname(folder), { recursive: true });
});
