import { existsSync } from "node:fs";
import * as path from "node:path";
import { verifyDescriptor } from "../../owner/descriptor";
import { grantId, grantValue, REVOKED } from "../../policy";
import type { Connection } from "../../protocol/connection";
import { type Dev, startDev } from "../../relying-party/dev";
import { KbsAdmin } from "../../relying-party/kbs-client";
import { devAdminTokens } from "../support/admin-key";
import { createProject, type Project } from "../support/project";

jest.setTimeout(240_000);

/** Two steps on one image that nobody sealed: keys, grants and versions do not need its bytes. */
const PROGRAM = `
const pulumi = require("@pulumi/pulumi");
const { PipelineKeys, StepIdentity, PipelineVersion, KbsResource } = require("sealflow");
const args = JSON.parse(require("fs").readFileSync(__dirname + "/args.json", "utf8"));
const keys = new PipelineKeys("p-keys", { pipeline: "p", keyFiles: true });
const digest = "ab".repeat(32);
const image = { digest, kekId: args.kek ?? "cd".repeat(32), reference: "x.sealflow.local/i@sha256:" + digest };
const limits = { timeoutSeconds: 60, waitSeconds: 60, retryLimit: 1, shards: 1 };
const common = { keys: keys.reference, image, limits, tee: "sample" };
const first = new StepIdentity("p-first", { ...common, step: "first", command: ["node", args.command ?? "MARKER-COMMAND"],
  env: { TOKEN: "MARKER-ENV" }, inputs: {}, outputs: { out: { format: "json" } } });
const second = new StepIdentity("p-second", { ...common, step: "second", command: ["node", "b.js"],
  inputs: { data: { from: "first.out", format: "json" } }, outputs: { out: { format: "json" } },
  releases: [{ output: "out", as: "result" }], ...(args.trust ? { trustProgram: args.trust } : {}) });
const version = new PipelineVersion("p-version", { keys: keys.reference,
  steps: { first: first.entry, second: second.entry }, releases: { result: { from: "second.out" } },
  drainSeconds: args.drain ?? 0 });
new KbsResource("p-token", { path: "my/token/one", content: "MARKER-SECRET" });
exports.digest = version.digest;
exports.first = first.identity;
`;

let project: Project;
let dev: Dev | undefined;
beforeEach(async () => {
  project = createProject(PROGRAM);
  program({});
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
const up = (env?: NodeJS.ProcessEnv) => project.ok(["up", "--yes", "--skip-preview"], env);

async function withKbs<T>(use: (kbs: KbsAdmin) => Promise<T>): Promise<T> {
  const { kbsUrl, caPem } = JSON.parse(project.read(".sealflow/connection.json")) as Connection;
  const kbs = new KbsAdmin({ url: kbsUrl, caPem, token: devAdminTokens(project.home) });
  try {
    return await use(kbs);
  } finally {
    kbs.close();
  }
}
const grantOf = (identity: unknown) => withKbs((kbs) => kbs.referenceValue(grantId("sample", String(identity))));

describe("identities and versions under the real engine", () => {
  it("are made, stay, change one by one, and go", async () => {
    await start();
    await up();
    const state = await project.state();
    const [first, second] = [state["p-first"], state["p-second"]];
    const ns = String(state["p-keys"]?.outputs?.ns);
    expect(first?.outputs?.programId).not.toBe(second?.outputs?.programId);
    expect(await grantOf(first?.outputs?.identity)).toEqual(
      grantValue({ paths: [String(first?.id), `${ns}/image/${"cd".repeat(32)}`], tee: "sample" }),
    );
    const file = JSON.parse(project.read(".sealflow/pipelines/dev/p.json"));
    const registered = await verifyDescriptor(file.descriptor, file.ownerPublicKey);
    expect(registered.steps.first).toEqual(first?.outputs?.entry);
    expect(registered.steps.first).toMatchObject({
      programId: first?.outputs?.programId,
      identity: first?.outputs?.identity,
      exitClass: "visible",
    });

    const text = JSON.stringify(state);
    for (const marker of ["MARKER-COMMAND", "MARKER-ENV", "MARKER-SECRET"]) expect(text).not.toContain(marker);
    expect(JSON.stringify(first, null, 0).length).toBeLessThan(4096);

    await project.ok(["preview", "--expect-no-changes"]);
    program({ command: "other.js" });
    const preview = await project.ok(["preview", "--diff"]);
    expect(preview).toMatch(/p-first/);
    expect(preview).not.toMatch(/p-second/);
    expect(preview).not.toContain("other.js");
    await up();
    const after = await project.state();
    expect(after["p-second"]?.id).toBe(second?.id);
    expect(after["p-first"]?.id).not.toBe(first?.id);
    expect(after["p-version"]?.outputs?.sequence).toBe(2);
    expect(await grantOf(first?.outputs?.identity)).toEqual(REVOKED);

    const output = await project.ok(["destroy", "--yes", "--skip-preview"]);
    expect(output).toMatch(/closed pipeline p; objects of its runs stay/);
    expect(await grantOf(second?.outputs?.identity)).toEqual(REVOKED);
    expect(await withKbs((kbs) => kbs.deleteResource(String(second?.id)))).toBe(false);
    expect(await withKbs((kbs) => kbs.deleteResource("my/token/one"))).toBe(false);
    expect(existsSync(path.join(project.home, "pipelines/dev/p.json"))).toBe(false);
  });

  it("a waiver of isolation shows in the preview", async () => {
    await start();
    program({ trust: "no namespaces on this machine" });
    expect(await project.ok(["preview", "--diff"])).toMatch(/trustProgram\s*: "no namespaces on this machine"/);
  });

  it("without a relying party, up says how to start it and the next up completes", async () => {
    const before = await project.pulumi(["up", "--yes", "--skip-preview"]);
    expect(before.code).not.toBe(0);
    expect(before.stdout + before.stderr).toMatch(/no relying party: .*connection\.json.*npx sealflow dev/);
    await start();
    await up();
    expect((await project.state())["p-version"]?.outputs?.sequence).toBe(1);
  });

  it("with the relying party stopped, previews work, changes and destroy say what to do, and forgetting is possible", async () => {
    await start();
    await up();
    await dev?.close();
    dev = undefined;
    await project.ok(["preview", "--expect-no-changes"]);
    const failed = await project.pulumi(["destroy", "--yes", "--skip-preview"]);
    expect(failed.code).not.toBe(0);
    const said = failed.stdout + failed.stderr;
    expect(said).toMatch(/does not answer.*npx sealflow dev/);
    expect(said).toMatch(/SEALFLOW_FORGET_UNREACHABLE=true/);
    const output = await project.ok(["destroy", "--yes", "--skip-preview"], { SEALFLOW_FORGET_UNREACHABLE: "true" });
    expect(output).toMatch(/forgets the versions of pipeline p/);
    expect(Object.keys(await project.state())).toEqual([]);
  });

  it("a version registered by an up that broke off is adopted, and a lost grant is found by refresh", async () => {
    await start();
    await up();
    const before = (await project.state())["p-version"]?.outputs;
    const exported = JSON.parse((await project.pulumi(["stack", "export"])).stdout);
    exported.deployment.resources = exported.deployment.resources.filter(
      (r: { urn: string }) => !/version$/.test(r.urn),
    );
    project.write("broken.json", JSON.stringify(exported));
    await project.ok(["stack", "import", "--file", "broken.json"]);
    await up();
    expect((await project.state())["p-version"]?.outputs).toEqual(before);

    const identity = (await project.state())["p-first"]?.outputs?.identity;
    await withKbs((kbs) => kbs.revokeGrant(grantId("sample", String(identity))));
    await project.ok(["up", "--yes", "--skip-preview", "--refresh"]);
    expect(await grantOf(identity)).not.toEqual(REVOKED);
    expect((await project.state())["p-first"]?.outputs?.identity).toBe(identity);
  });

  it("an identity of a version that drains keeps its keys until a later up, or destroy", async () => {
    await start();
    program({ drain: 3600 });
    await up();
    const old = (await project.state())["p-first"];
    program({ drain: 3600, command: "other.js" });
    expect(await up()).toMatch(/keeps its keys while a version in the ledger still lets it run/);
    expect(await grantOf(old?.outputs?.identity)).not.toEqual(REVOKED);
    program({ drain: 0, command: "other.js" });
    await up();
    expect(await grantOf(old?.outputs?.identity)).toEqual(REVOKED);

    program({ drain: 3600, command: "third.js" });
    const next = (await project.state())["p-first"];
    await up();
    expect(await grantOf(next?.outputs?.identity)).not.toEqual(REVOKED);
    await project.ok(["destroy", "--yes", "--skip-preview"]);
    expect(await grantOf(next?.outputs?.identity)).toEqual(REVOKED);
    expect(await withKbs((kbs) => kbs.deleteResource(String(next?.id)))).toBe(false);
  });
});
