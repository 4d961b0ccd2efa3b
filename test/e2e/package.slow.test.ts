/** The package as users get it: packed, installed by npm beside its peers, nothing of the checkout in reach. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { ok, sealflow } from "../support/cli";
import type { Project } from "../support/project";

jest.setTimeout(600_000);

const CHECKOUT = path.resolve(__dirname, "../..");
const MEBIBYTE = 1 << 20;

let folder: string;
let tarball: string;
let project: Project;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "sealflow-package-"));
  const packed = npm(CHECKOUT, "pack", "--json", "--pack-destination", folder);
  tarball = path.join(folder, JSON.parse(packed.slice(packed.indexOf("[")))[0].filename);
  const dir = path.join(folder, "composed");
  cpSync(path.join(CHECKOUT, "examples/composed"), dir, { recursive: true });
  npm(dir, "install", "--ignore-scripts", "--no-audit", "--no-fund", tarball);
  project = { dir, home: path.join(dir, ".sealflow") } as Project;
});
afterAll(async () => {
  await sealflow(project, ["dev", "--stop"]);
  rmSync(folder, { recursive: true, force: true });
});

function npm(cwd: string, ...args: string[]): string {
  return execFileSync("npm", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], maxBuffer: 1 << 26 });
}
const node = (script: string): string =>
  execFileSync(process.execPath, ["-e", script], { cwd: project.dir, encoding: "utf8" });
const pulumi = (...args: string[]) => ok(project, ["pulumi", "--", ...args]);

it("is small, brings one copy of Pulumi's SDK and no package of a cloud", () => {
  expect(statSync(tarball).size).toBeLessThan(3 * MEBIBYTE);
  const found = JSON.parse(
    npm(project.dir, "ls", "--all", "--json", "@pulumi/pulumi", "@pulumi/aws", "@pulumi/azure-native"),
  );
  const versions = JSON.stringify(found).match(/"@pulumi\/[a-z-]+":\{"version":"[^"]+"/g) ?? [];
  expect(new Set(versions).size).toBe(1);
  expect(versions[0]).toContain("@pulumi/pulumi");
});

it("its main import loads no cloud package, and every entry has types", () => {
  const exported = JSON.parse(
    readFileSync(path.join(project.dir, "node_modules/sealflow/package.json"), "utf8"),
  ).exports;
  node('require("sealflow")');
  for (const entry of Object.values<{ types?: string } | string>(exported)) {
    if (typeof entry === "string" || entry.types === undefined) continue;
    expect(statSync(path.join(project.dir, "node_modules/sealflow", entry.types)).size).toBeGreaterThan(0);
  }
});

it("its types hold in the user's own type check", () => {
  execFileSync(process.execPath, [path.join(project.dir, "node_modules/typescript/bin/tsc"), "-p", "."], {
    cwd: project.dir,
    stdio: "pipe",
  });
});

it("a program of five lines previews", async () => {
  const five = path.join(project.dir, "five.ts");
  writeFileSync(
    five,
    `import { ConfidentialPipeline, dataset, image, localEnvironment, pipeline } from "sealflow";
const p = pipeline("five"), lines = p.input("lines", "text");
const { rows } = p.step("clean", { image: image.folder("./steps/clean"), command: ["node", "/app/main.js"], inputs: { lines }, outputs: { rows: "jsonl" } });
p.release({ rows });
new ConfidentialPipeline("five", { spec: p.toJSON(), inputs: { lines: dataset.file("./data/lines.txt") }, environment: localEnvironment() });
`,
  );
  const yaml = path.join(project.dir, "Pulumi.yaml");
  const before = readFileSync(yaml, "utf8");
  writeFileSync(yaml, before.replace("main: index.ts", "main: five.ts"));
  await ok(project, ["dev", "--detach"]);
  await pulumi("stack", "init", "five");
  expect((await pulumi("preview", "-s", "five")).stdout).toContain("StepIdentity");
  writeFileSync(yaml, before);
});

const up = (stack: string) => ok(project, ["up", "--stack", stack]);
async function report(stack: string, pipeline: string): Promise<unknown> {
  const chosen = ["--stack", stack, "--pipeline", pipeline];
  const { run } = JSON.parse((await ok(project, ["run", ...chosen, "--json"])).stdout);
  const out = `fetched-${run}`;
  await ok(project, ["fetch", run, ...chosen, "--out", out]);
  return JSON.parse(readFileSync(path.join(project.dir, out, "released/report"), "utf8"));
}
const COUNTED = { rows: 3, characters: 8 + 12 + 11 };

it("two pipelines of one stack deploy, and each runs with keys of its own", async () => {
  await up("local");
  expect(await report("local", "counts")).toEqual(COUNTED);
  expect(await report("local", "other")).toEqual(COUNTED);
  const [counts, other] = ["counts", "other"].map((name) =>
    JSON.parse(readFileSync(path.join(project.home, `pipelines/local/${name}.json`), "utf8")),
  );
  expect(counts.ownerPublicKey).not.toBe(other.ownerPublicKey);
  await pulumi("preview", "-s", "local", "--expect-no-changes");
});

it("a second stack reads what the first releases to it", async () => {
  await up("reader");
  const { stdout } = await pulumi("stack", "output", "recipientKey", "-s", "reader");
  await pulumi("config", "set", "readerKey", stdout.trim(), "-s", "local");
  await up("local");
  await report("local", "counts");
  expect(await report("reader", "reader")).toEqual(COUNTED);
});
