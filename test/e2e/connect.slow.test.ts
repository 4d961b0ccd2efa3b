/** DESIGN 2.1: a runner has a public connection file and a key of his own, on a machine that never saw the root. */
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { ok, sealflow } from "../support/cli";
import { createProject, type Project } from "../support/project";

jest.setTimeout(300_000);

const PROGRAM = `
const { ConfidentialPipeline, dataset, image, localEnvironment, pipeline } = require("sealflow");
const { runKeys } = JSON.parse(require("fs").readFileSync(__dirname + "/args.json", "utf8"));
const p = pipeline("spam");
const rows = p.input("rows", "jsonl");
const count = p.step("count", { image: image.folder("./count"), command: ["node", "/app/count.js"],
  inputs: { rows }, outputs: { report: "json" } });
p.release({ report: count.report });
new ConfidentialPipeline("spam", { spec: p.toJSON(), inputs: { rows: dataset.file("rows.jsonl") },
  environment: localEnvironment(), runKeys });
`;

let project: Project;
let folder: string;
let elsewhere: Project;
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "sealflow-runner-"));
  elsewhere = { dir: folder } as Project;
  project = createProject(PROGRAM);
  project.write("count/count.js", 'require("fs").writeFileSync("/sealflow/out/report", "{}");\n');
  project.write("rows.jsonl", "{}\n");
  await ok(project, ["dev", "--detach"]);
});
afterAll(async () => {
  await sealflow(project, ["dev", "--stop"]);
  project.remove();
  rmSync(folder, { recursive: true, force: true });
});

it("sees, ends and fetches runs with a key of his own, once the owner lists it", async () => {
  const key = (await ok(elsewhere, ["keys", "new", "--run", "me.jwk"])).stdout.split("\n")[0];
  project.write("stacks/args.json", JSON.stringify({ runKeys: [] }));
  await ok(project, ["up", "--stack", "dev"]);
  const connectionFile = path.join(project.home, "pipelines/dev/spam.json");
  const copy = path.join(folder, "spam.json");

  copyFileSync(connectionFile, copy);
  const early = await ok(elsewhere, ["connect", "spam.json", "--run-key", "me.jwk"]);
  expect(early.stdout).toContain(`Ask its owner for runKeys: ["${key}"]`);
  const refused = await sealflow(elsewhere, ["status"]);
  expect(refused.code).toBe(5);

  project.write("stacks/args.json", JSON.stringify({ runKeys: [key] }));
  await ok(project, ["up", "--stack", "dev"]);
  copyFileSync(connectionFile, copy);
  expect((await ok(elsewhere, ["connect", "spam.json"])).stdout).not.toContain("Ask its owner");
  const { run } = JSON.parse((await ok(project, ["run", "--json"])).stdout);
  expect((await ok(elsewhere, ["status"])).stdout).toContain(run.slice(0, 12));
  await ok(elsewhere, ["fetch", run, "--out", "fetched"]);
  await ok(elsewhere, ["verify", "fetched"]);
  expect(existsSync(path.join(folder, "fetched/released"))).toBe(false);
  const logs = await sealflow(elsewhere, ["logs"]);
  expect(logs.code).toBe(1);
  expect(logs.stderr).toContain("release key");
});

it("a file that would swap the keys to verify with is refused", async () => {
  const known = JSON.parse(project.read(".sealflow/pipelines/dev/spam.json"));
  const forged = { ...known, ledgerKey: known.ownerPublicKey };
  writeFileSync(path.join(folder, "forged.json"), JSON.stringify(forged));
  const { code, stderr } = await sealflow(elsewhere, ["connect", "forged.json"]);
  expect(code).toBe(1);
  expect(stderr).toContain("[EXISTS]");
});

it("a file whose version its owner did not sign is refused", async () => {
  const known = JSON.parse(project.read(".sealflow/pipelines/dev/spam.json"));
  writeFileSync(
    path.join(folder, "unsigned.json"),
    JSON.stringify({ ...known, name: "other", ownerPublicKey: known.ledgerKey }),
  );
  expect((await sealflow(elsewhere, ["connect", "unsigned.json"])).code).not.toBe(0);
  expect(existsSync(path.join(folder, ".sealflow/pipelines/dev/other.json"))).toBe(false);
});
