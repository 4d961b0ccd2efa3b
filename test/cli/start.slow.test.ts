/** `sealflow start`, as `npm start` calls it: services, deployment with the real engine, run, fetch, verify. */
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { createChain, removeChain } from "../support/chain";
import { ok, sealflow } from "../support/cli";
import type { Project } from "../support/project";

jest.setTimeout(600_000);

let project: Project;
let out: string;

beforeAll(async () => {
  project = createChain();
  out = (await ok(project, ["start"])).stdout;
});
afterAll(() => removeChain(project));

test("its last lines show the release, the verdict, where things are and what to do next", () => {
  const lines = out.slice(out.indexOf("released by run")).split("\n");
  expect(lines[0]).toMatch(/^released by run [0-9a-f]{12} of chain:$/);
  expect(out).toMatch(/result\.left\.count +2\n/);
  expect(out).toContain("\nreceipts verified: 4/4\n");
  expect(out).toMatch(/\nartefacts: \.sealflow\/runs\/[0-9a-f]{64}\nnext:\n/);
});

test("every command that it prints works as printed", async () => {
  const commands = out.slice(out.indexOf("\nnext:\n")).match(/npx sealflow .*/g) ?? [];
  expect(commands.length).toBeGreaterThan(4);
  for (const command of commands) await ok(project, command.split(" ").slice(2));
});

test("last-run.json says the same for scripts", () => {
  const summary = JSON.parse(readFileSync(path.join(project.home, "last-run.json"), "utf8"));
  expect(summary).toMatchObject({ pipeline: "chain", stack: "local", state: "succeeded" });
  expect(summary.steps.map((s: { name: string }) => s.name)).toEqual(["first", "left", "right", "join"]);
});

test("a second start finds everything there, and says its result as one JSON value", async () => {
  const again = await ok(project, ["start", "--json"]);
  const summary = JSON.parse(again.stdout);
  expect(summary).toMatchObject({ state: "succeeded", receiptsVerified: 4, receiptsExpected: 4 });
  expect(summary.released.result.value).toEqual({
    left: { side: "left", count: 2 },
    right: { side: "right", count: 2 },
  });
  expect(again.stderr).toMatch(/unchanged/);
});

test("a deployment that fails exits 6, and Pulumi's own code is passed on by `pulumi`", async () => {
  project.write("stacks/index.js", 'throw new Error("broken program");\n');
  const failed = await sealflow(project, ["up"]);
  expect(failed.code).toBe(6);
  expect(failed.stderr).toMatch(/pulumi up.*failed/);
  const other = await sealflow(project, ["up", "--stack", "loacl"]);
  expect(other.stderr).toMatch(/stack "loacl" is new, beside local\. .*destroy --stack loacl/);
  const passed = await sealflow(project, ["pulumi", "--", "preview", "--stack", "local", "--non-interactive"]);
  expect(passed.code).toBeGreaterThan(0);
  expect((await sealflow(project, ["pulumi", "--", "version"])).stdout).toMatch(/^v?3\./);
});
