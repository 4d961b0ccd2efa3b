import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { verifyDescriptor } from "../../owner/descriptor";
import { createRoot, formatRoot } from "../../owner/keys";
import { grantId, REVOKED } from "../../policy";
import type { Connection } from "../../protocol/connection";
import { type Dev, startDev } from "../../relying-party/dev";
import { KbsAdmin } from "../../relying-party/kbs-client";
import { devAdminTokens } from "../support/admin-key";
import { createProject, type Project, type StateResource } from "../support/project";

jest.setTimeout(600_000);

/** Three steps, two of them on one image. */
const PROGRAM = `
const { ConfidentialPipeline, dataset, image, localEnvironment, pipeline, PipelineKeys } = require("sealflow");
const args = JSON.parse(require("fs").readFileSync(__dirname + "/args.json", "utf8"));
const p = pipeline(args.name ?? "spam");
const mails = p.input("mails", "jsonl");
const split = p.step("split", { image: image.folder("./steps/shared"), command: ["node", "/app/split.js"],
  args: [args.argument ?? "MARKER-ARGUMENT"], inputs: { mails }, outputs: { train: "jsonl", test: "jsonl" } });
const train = p.step("train", { image: image.folder("./steps/train"), command: ["node", "/app/train.js"],
  env: { KEY: "MARKER-ENV" }, inputs: { rows: split.train }, outputs: { model: "json" },
  parameters: { rate: "MARKER-PARAMETER" } });
const check = p.step("check", { image: image.folder("./steps/shared"), command: ["node", "/app/check.js"],
  inputs: { model: train.model, rows: split.test }, outputs: { report: "json" } });
p.release({ report: check.report });
const deployed = new ConfidentialPipeline("spam", { spec: p.toJSON(), inputs: { mails: dataset.file(args.data ?? "data.jsonl") },
  environment: localEnvironment(), keys: args.variable && new PipelineKeys("outside-keys", { pipeline: "spam",
  source: { kind: "env", variable: args.variable } }) });
exports.version = deployed.version;
exports.identities = deployed.identities;
`;

let project: Project;
let dev: Dev | undefined;
beforeEach(async () => {
  project = createProject(PROGRAM);
  program({});
  project.write("steps/shared/split.js", "// MARKER-SHARED\n");
  project.write("steps/shared/check.js", "// check\n");
  project.write("steps/train/train.js", "// MARKER-TRAIN\n");
  project.write("data.jsonl", '{"text":"MARKER-DATA"}\n');
  await project.ok(["stack", "init", "dev"]);
});
afterEach(async () => {
  await dev?.close();
  dev = undefined;
  project.remove();
});

const program = (args: object) => project.write("stacks/args.json", JSON.stringify(args));
const start = async () => {
  dev = await startDev({ home: project.home, log: () => {} });
};
const up = (stack = "dev") => project.ok(["up", "--yes", "--skip-preview", "-s", stack]);
const failing = async (...args: string[]) => {
  const { code, stdout, stderr } = await project.pulumi(args);
  expect(code).not.toBe(0);
  return stdout + stderr;
};

async function withKbs<T>(use: (kbs: KbsAdmin) => Promise<T>): Promise<T> {
  const { kbsUrl, caPem } = JSON.parse(project.read(".sealflow/connection.json")) as Connection;
  const kbs = new KbsAdmin({ url: kbsUrl, caPem, token: devAdminTokens(project.home) });
  try {
    return await use(kbs);
  } finally {
    kbs.close();
  }
}
const grantOf = ({ outputs }: StateResource = {} as StateResource) =>
  withKbs((kbs) => kbs.referenceValue(grantId("sample", String(outputs?.identity))));
/** `sealflow:index:SealedImage spam-train-image` and the like, of resources that the preview would touch. */
const touched = (preview: string) =>
  [...preview.matchAll(/^ *(?:\+-|\+\+|--|~|\+|-) +sealflow:index:(\S+ \S+)/gm)].map((m) => m[1]).sort();
const distinct = (names: (string | undefined)[]) => [...new Set(names)];

describe("a pipeline under the real engine", () => {
  it("deploys, stays, changes step by step and goes, and its state tells nothing", async () => {
    await start();
    expect(await project.ok(["preview"])).toMatch(/sealflow:index:StepIdentity\s+spam-train/);
    await up();
    const state = await project.state();
    const text = JSON.stringify(state);
    for (const marker of ["ARGUMENT", "ENV", "PARAMETER", "SHARED", "TRAIN", "DATA"]) {
      expect(text).not.toContain(`MARKER-${marker}`);
    }
    for (const step of ["split", "train", "check"]) {
      expect(await grantOf(state[`spam-${step}`])).not.toEqual(REVOKED);
      expect(JSON.stringify(state[`spam-${step}`]).length).toBeLessThan(4096);
      expect(state[`spam-${step}`]).not.toHaveProperty("stackTrace");
    }
    expect(state["spam-split"]?.outputs?.identity).not.toBe(state["spam-check"]?.outputs?.identity);
    const file = JSON.parse(project.read(".sealflow/pipelines/dev/spam.json"));
    const version = await verifyDescriptor(file.descriptor, file.ownerPublicKey);
    expect(Object.keys(version.steps).sort()).toEqual(["check", "split", "train"]);
    expect(existsSync(path.join(dev ? project.home : "", "dev/objects", String(version.datasets.mails?.object)))).toBe(
      true,
    );
    expect(JSON.parse(project.read(".sealflow/keys/dev/spam.parameters.json"))).toEqual({
      train: { rate: "MARKER-PARAMETER" },
    });
    expect(JSON.parse(project.read(".sealflow/backend/dev/spam/workload.json")).steps).toHaveProperty("train");

    await project.ok(["preview", "--expect-no-changes"]);
    await project.ok(["refresh", "--yes", "--skip-preview", "--expect-no-changes"]);

    project.write("steps/train/train.js", "// other code\n");
    const preview = await project.ok(["preview"]);
    expect(distinct(touched(preview))).toEqual([
      "LocalWorkload spam-workload",
      "PipelineVersion spam-version",
      "SealedImage spam-train-image",
      "StepIdentity spam-train",
    ]);
    await up();
    const after = await project.state();
    expect(after["spam-split"]).toMatchObject({ id: state["spam-split"]?.id, outputs: state["spam-split"]?.outputs });
    expect(after["spam-train"]?.id).not.toBe(state["spam-train"]?.id);
    expect(await grantOf(state["spam-train"])).toEqual(REVOKED);
    expect(await grantOf(after["spam-train"])).not.toEqual(REVOKED);
    expect(after["spam-version"]?.outputs?.sequence).toBe(2);
    await project.ok(["preview", "--expect-no-changes"]);

    program({ argument: "--other" });
    expect(distinct(touched(await project.ok(["preview"])))).toEqual([
      "LocalWorkload spam-workload",
      "PipelineVersion spam-version",
      "StepIdentity spam-split",
    ]);
    await up();

    const output = await project.ok(["destroy", "--yes", "--skip-preview"]);
    expect(output).toMatch(/leaves datasets\/[0-9a-f]{64} in the store/);
    expect(output).toMatch(/closed pipeline spam; objects of its runs stay/);
    expect(await grantOf(after["spam-train"])).toEqual(REVOKED);
    const ns = String(after["spam-keys"]?.outputs?.ns);
    const key = `${ns}/image/${after["spam-train-image"]?.outputs?.kekId}`;
    expect(await withKbs((kbs) => kbs.deleteResource(key))).toBe(false);
    for (const gone of [
      "pipelines/dev/spam.json",
      "keys/dev/spam.run.jwk",
      "backend/dev/spam",
      "keys/dev/spam.parameters.json",
    ]) {
      expect(existsSync(path.join(project.home, gone))).toBe(false);
    }
  });

  it("two stacks on one relying party do not disturb each other", async () => {
    await start();
    await up();
    const before = await project.state();
    await project.ok(["stack", "init", "other"]);
    await up("other");
    await project.ok(["destroy", "--yes", "--skip-preview", "-s", "other"]);
    for (const step of ["split", "train", "check"]) expect(await grantOf(before[`spam-${step}`])).not.toEqual(REVOKED);
    await project.ok(["refresh", "--yes", "--skip-preview", "--expect-no-changes", "-s", "dev"]);
    await project.ok(["preview", "--expect-no-changes", "-s", "dev"]);
    expect(existsSync(path.join(project.home, "keys/dev/spam.run.jwk"))).toBe(true);
  });

  it("previews need neither content nor relying party after a deployment; a change without content says so", async () => {
    await start();
    await up();
    await dev?.close();
    dev = undefined;
    renameSync(path.join(project.dir, "steps"), path.join(project.dir, "elsewhere"));
    rmSync(path.join(project.dir, "data.jsonl"));
    rmSync(path.join(project.home, "connection.json"));
    await project.ok(["preview", "--expect-no-changes"]);

    program({ argument: "--other" });
    expect(distinct(touched(await project.ok(["preview"])))).toContain("StepIdentity spam-split");
    expect(await failing("up", "--yes", "--skip-preview")).toMatch(/no relying party/);
  });

  it("with the root outside, previews do without it, and it is in no state", async () => {
    await start();
    program({ variable: "MY_ROOT" });
    const root = formatRoot(createRoot(Buffer.alloc(32, 9)));
    await project.ok(["up", "--yes", "--skip-preview"], { MY_ROOT: root });
    await project.ok(["preview", "--expect-no-changes"]);
    project.write("steps/train/train.js", "// other code\n");
    expect(touched(await project.ok(["preview"]))).toContain("StepIdentity spam-train");
    expect(await failing("up", "--yes", "--skip-preview")).toMatch(/environment variable MY_ROOT is not set/);
    const exported = await project.ok(["stack", "export", "--show-secrets"]);
    expect(exported).not.toContain(root.split(".").pop());
    program({ variable: "MY_ROOT", name: "other" });
    expect(await failing("preview")).toMatch(/Pipeline "other": keys: these are the keys of pipeline "spam"/);
    await project.ok(["destroy", "--yes", "--skip-preview"], { MY_ROOT: root });
  });

  it("an up that fails half way is completed by the next one", async () => {
    await start();
    // The last thing an up writes: by then the version is registered.
    project.write(".sealflow/pipelines", "in the way");
    expect(await failing("up", "--yes", "--skip-preview")).toMatch(/spam-version[\s\S]*pipelines/);
    const partly = await project.state();
    expect(partly["spam-version"]).toBeUndefined();
    rmSync(path.join(project.home, "pipelines"));
    await up();
    const whole = await project.state();
    expect(whole["spam-version"]?.outputs?.sequence).toBe(1);
    expect(whole["spam-keys"]).toMatchObject({ id: partly["spam-keys"]?.id });
    await project.ok(["preview", "--expect-no-changes"]);
  });
});

describe("wrong input is refused with the place and what to do", () => {
  it("missing content, a bad name, a relying party that was never started, another passphrase", async () => {
    expect(await failing("preview")).toMatch(/no relying party: .*Start it with `npx sealflow dev`/);
    await start();

    program({ data: "nowhere.jsonl" });
    expect(await failing("preview")).toMatch(/nowhere\.jsonl: no such file/);
    program({ name: "Spam Filter" });
    expect(await failing("preview")).toMatch(/Pipeline "Spam Filter": name/);

    program({});
    renameSync(path.join(project.dir, "steps/train"), path.join(project.dir, "steps/away"));
    expect(await failing("preview")).toMatch(/spam-train-image[\s\S]*steps\/train/);
    renameSync(path.join(project.dir, "steps/away"), path.join(project.dir, "steps/train"));

    await up();
    writeFileSync(path.join(project.home, "pulumi/passphrase"), "another");
    expect(await failing("preview")).toMatch(/incorrect passphrase/);
  });
});
