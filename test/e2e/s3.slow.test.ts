/** A whole pipeline whose ledger keeps its objects in a bucket of a real S3 server, and what a lying bucket comes to. */
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { createChain, PLANTED, type RunSummary, removeChain, run, up } from "../support/chain";
import { ok, sealflow } from "../support/cli";
import type { Project } from "../support/project";
import { S3_ENV, type S3Server, s3Missing, startS3 } from "../support/s3-server";

jest.setTimeout(600_000);
const missing = s3Missing();

(missing ? describe.skip : describe)(`objects in a bucket${missing ? ` (skipped: ${missing})` : ""}`, () => {
  let s3: S3Server;
  let project: Project;
  let summary: RunSummary;
  beforeAll(async () => {
    s3 = await startS3();
    const store = (await s3.bucket("sealflow")).replace("/objects", "");
    project = createChain();
    await ok(project, ["dev", "--detach", "--store", store], S3_ENV);
    await up(project);
    summary = await run(project, "--params", "params.json");
  });
  afterAll(async () => {
    await removeChain(project);
    await s3.stop();
  });

  const objects = async () => {
    const keys = await s3.keys("sealflow");
    return new Map(await Promise.all(keys.map(async (key) => [key, await s3.object("sealflow", key)] as const)));
  };

  it("a run is verified offline from what was fetched out of the bucket, which holds no plaintext", async () => {
    expect(summary.state).toBe("succeeded");
    await ok(project, ["fetch", summary.run, "--all", "--json"]);
    const folder = path.join(project.home, "runs", summary.run);
    const released = JSON.parse(readFileSync(path.join(folder, "released", "result"), "utf8"));
    expect(released).toEqual({ left: { side: "left", count: 2 }, right: { side: "right", count: 2 } });
    expect((await ok(project, ["verify", folder])).stdout).toContain("receipts verified: 4/4");
    const stored = await objects();
    // A dataset, four outputs, four logs.
    expect(stored.size).toBe(9);
    for (const [key, bytes] of stored) {
      expect(key).toMatch(/^(?:runs\/[0-9a-f]{64}\/[0-9a-f]{64}|datasets\/[0-9a-f]{64})$/);
      for (const text of Object.values(PLANTED)) expect(bytes.includes(text)).toBe(false);
    }
  });

  it("an input that the store changed is refused by the guest with INPUT_SEAL", async () => {
    const [key, bytes] = [...(await objects())].find(([name]) => name.startsWith("datasets/")) ?? [];
    if (!key || !bytes) throw new Error("no dataset in the bucket");
    const changed = Buffer.from(bytes.map((b) => b ^ 1));
    await s3.replace("sealflow", key, changed);
    const { code, stdout, stderr } = await sealflow(project, ["run", "--params", "params.json"]);
    expect(code).not.toBe(0);
    expect(stdout + stderr).toContain("INPUT_SEAL");
  });

  it("an input that the store shortened opens no run: OBJECT_MISSING", async () => {
    const [key, bytes] = [...(await objects())].find(([name]) => name.startsWith("datasets/")) ?? [];
    if (!key || !bytes) throw new Error("no dataset in the bucket");
    await s3.replace("sealflow", key, bytes.subarray(1));
    const { code, stdout, stderr } = await sealflow(project, ["run", "--params", "params.json"]);
    expect(code).not.toBe(0);
    expect(stdout + stderr).toContain("OBJECT_MISSING");
  });
});
