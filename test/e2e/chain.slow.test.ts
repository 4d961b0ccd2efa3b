/** The whole chain on the local platform: real engine, real relying party, real runner, namespaces. */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { verifyRunFolder } from "../../owner/verify";
import {
  createChain,
  outputsOf,
  outsidePlaces,
  PLANTED,
  type RunSummary,
  removeChain,
  run,
  STACK,
  startServices,
  up,
} from "../support/chain";
import { ok, sealflow } from "../support/cli";
import type { Project } from "../support/project";
import { scan, scanString } from "../support/scan";

jest.setTimeout(600_000);

let project: Project;
let summary: RunSummary;
let folder: string;

beforeAll(async () => {
  project = createChain();
  await startServices(project);
  await up(project);
  summary = await run(project, "--params", "params.json");
  const { stdout } = await ok(project, ["fetch", summary.run, "--all", "--json"]);
  folder = path.join(project.home, "runs", summary.run);
  expect(JSON.parse(stdout)).toBeDefined();
});
afterAll(() => removeChain(project));

describe("a deployed pipeline", () => {
  it("runs every step, releases what it should, and verifies", async () => {
    expect(summary.state).toBe("succeeded");
    expect(summary.steps.map(({ name, state }) => [name, state])).toEqual([
      ["first", "committed"],
      ["left", "committed"],
      ["right", "committed"],
      ["join", "committed"],
    ]);
    const released = JSON.parse(readFileSync(path.join(folder, "released", "result"), "utf8"));
    expect(released).toEqual({ left: { side: "left", count: 2 }, right: { side: "right", count: 2 } });
    const { stdout } = await ok(project, ["verify", folder]);
    expect(stdout).toContain("receipts verified: 4/4");
  });

  it("shows the owner what the programs printed, and nobody else", async () => {
    const { stdout } = await ok(project, ["logs", "first", "--run", summary.run]);
    expect(stdout).toContain(PLANTED.printed);
    expect(stdout).toContain(PLANTED.environment);
  });

  it("has nothing to do in a second preview", async () => {
    await ok(project, ["pulumi", "--", "preview", "--stack", STACK, "--expect-no-changes", "--non-interactive"]);
  });

  it("gives two steps of one image two identities, and neither reads the other's bundle", () => {
    const [left, right] = ["left", "right"].map((name) => summary.steps.find((step) => step.name === name)?.identity);
    expect(left).toMatch(/^[0-9a-f]{64}$/);
    expect(right).toMatch(/^[0-9a-f]{64}$/);
    expect(left).not.toBe(right);
    expect(readdirSync(path.join(project.home, "images"))).toHaveLength(3);
  });
});

describe("planted strings", () => {
  // The owner's own log view is the one place where they belong; it is not among what a run or deployment printed.
  const forbidden = Object.values(PLANTED);

  it("are nowhere in images, store, manifests, databases and Pulumi's files", () => {
    const bundles = new Set([path.join(project.home, "dev", "kbs")]);
    const places = outsidePlaces(project);
    const { hits, files } = scan(places, forbidden);
    expect(files).toBeGreaterThan(30);
    expect(hits.filter(({ file }) => ![...bundles].some((folder) => file.startsWith(folder)))).toEqual([]);
  });

  it("of data, code and output are not in the key broker's database either", () => {
    const { hits } = scan([path.join(project.home, "dev", "kbs")], [PLANTED.data, PLANTED.code, PLANTED.output]);
    expect(hits).toEqual([]);
  });

  it("are nowhere in the exported Pulumi state and in what deployment and run printed", async () => {
    const { stdout } = await ok(project, ["pulumi", "--", "stack", "export", "--stack", STACK]);
    expect(scanString(stdout, "state", forbidden)).toEqual([]);
    const fresh = createChain();
    try {
      await startServices(fresh);
      await up(fresh);
      await run(fresh, "--params", "params.json");
      expect(outputsOf(fresh).length).toBeGreaterThan(500);
      expect(scanString(outputsOf(fresh), "output", forbidden)).toEqual([]);
    } finally {
      await removeChain(fresh);
    }
  });

  it("leave nothing decrypted behind on the node", () => {
    const left = readdirSync(tmpdir()).filter((name) => name.startsWith("sealflow-guest"));
    const { hits } = scan([...left.map((name) => path.join(tmpdir(), name)), folder], [PLANTED.code, PLANTED.data]);
    expect(hits).toEqual([]);
  });
});

describe("a copied run folder, with every service stopped", () => {
  let copy: string;
  let keys: string[];
  beforeAll(async () => {
    await ok(project, ["dev", "--stop"]);
    copy = path.join(mkdtempSync(path.join(tmpdir(), "verify-")), "run");
    cpSync(folder, copy, { recursive: true });
    const connection = JSON.parse(readFileSync(path.join(project.home, "pipelines", STACK, "chain.json"), "utf8"));
    keys = ["--owner", connection.ownerPublicKey, "--ledger", connection.ledgerKey];
  });
  afterAll(() => startServices(project));

  it("verifies with keys from outside", async () => {
    const { stdout } = await ok(project, ["verify", copy, ...keys]);
    expect(stdout).toContain("receipts verified: 4/4");
  });

  it("does not verify with other keys", async () => {
    const other = `${"A".repeat(42)}E`;
    for (const wrong of [
      ["--owner", other, ...keys.slice(2)],
      [...keys.slice(0, 2), "--ledger", other],
    ]) {
      const { code } = await sealflow(project, ["verify", copy, ...wrong]);
      expect(code).toBe(2);
    }
  });

  it("fails and names the file after one byte of any of them is changed", async () => {
    const trust = { ownerPublicKey: keys[1] as string, ledgerKey: keys[3] as string };
    expect((await verifyRunFolder(copy, trust)).ok).toBe(true);
    const files = execFileSync("find", [copy, "-type", "f"], { encoding: "utf8" }).trim().split("\n");
    const checked = files.filter((file) => !file.includes("/released/"));
    expect(checked.length).toBeGreaterThan(8);
    for (const file of checked) {
      const bytes = readFileSync(file);
      for (const at of [0, Math.floor(bytes.length / 3), Math.floor(bytes.length / 2), bytes.length - 1]) {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] as number) ^ 1;
        writeFileSync(file, changed);
        const report = await verifyRunFolder(copy, trust);
        const name = `${path.relative(copy, file)} byte ${at}`;
        expect([name, report.ok]).toEqual([name, false]);
        expect(report.problems.length).toBeGreaterThan(0);
      }
      writeFileSync(file, bytes);
    }
    expect((await verifyRunFolder(copy, trust)).ok).toBe(true);
  });
});

describe("one step's code changes", () => {
  it("and the preview names exactly that image, identity, the version and the workload", async () => {
    project.write("steps/join/main.js", `${project.read("steps/join/main.js")}\n// changed\n`);
    const { stdout } = await ok(project, ["pulumi", "--", "preview", "--stack", STACK, "--json", "--non-interactive"]);
    const steps: { op: string; urn: string }[] = JSON.parse(stdout).steps;
    const changed = steps.filter(({ op }) => op !== "same").map(({ urn }) => urn.split("::").slice(-2).join(" "));
    const named = [...new Set(changed)].map((name) => name.replace(/^.*sealflow:index:/, "")).sort();
    expect(named).toEqual([
      expect.stringMatching(/^LocalWorkload /),
      expect.stringMatching(/^PipelineVersion /),
      expect.stringMatching(/^SealedImage .*join/),
      expect.stringMatching(/^StepIdentity .*join/),
    ]);
    await up(project);
    expect((await run(project)).state).toBe("succeeded");
  });
});

describe("destroy", () => {
  it("removes keys, grants and the version, says what it leaves, and nothing runs any more", async () => {
    const connection = path.join(project.home, "pipelines", STACK, "chain.json");
    expect(existsSync(connection)).toBe(true);
    const { stdout, stderr } = await ok(project, [
      "pulumi",
      "--",
      "destroy",
      "--stack",
      STACK,
      "--yes",
      "--skip-preview",
      "--non-interactive",
    ]);
    expect(stdout + stderr).toMatch(/objects of its runs stay/);
    expect(existsSync(connection)).toBe(false);
    expect((await sealflow(project, ["run"])).code).not.toBe(0);
    expect(statSync(folder).isDirectory()).toBe(true);
  });
});
