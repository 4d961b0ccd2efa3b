/** A state that somebody edited: what it names is not the provider's, and stays. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { createRoot, formatRoot, publicFacts } from "../../owner/keys";
import { localWorkload } from "../../provider/resources/local-workload";
import { pipelineKeys } from "../../provider/resources/pipeline-keys";
import { sealedImage } from "../../provider/resources/sealed-image";
import { stepIdentity } from "../../provider/resources/step-identity";
import type { Context } from "../../provider/server/context";
import { removeParameters } from "../../provider/version/parameters-file";

let root: string;
let victim: string;
beforeEach(() => {
  const dir = mkdtempSync(path.join(tmpdir(), "sealflow-state-"));
  root = path.join(dir, "project");
  victim = path.join(dir, "victim");
  mkdirSync(path.join(root, ".sealflow"), { recursive: true });
  mkdirSync(victim);
  writeFileSync(path.join(victim, "a.json"), "{}");
});
afterEach(() => rmSync(path.dirname(root), { recursive: true, force: true }));

const context = () =>
  ({
    root,
    home: path.join(root, ".sealflow"),
    env: {},
    log: { status() {}, info() {}, warn() {} },
    signal: new AbortController().signal,
    now: () => new Date(),
  }) as unknown as Context;
const refused = { code: "INPUT", message: expect.stringContaining("the stack's state names") };

describe.each(["../../..", "..", "a/../../../..", "", ".", "/"])("a pipeline called %j", (name) => {
  it("has no Jobs to remove or to read", async () => {
    const inputs = { stack: "dev", pipeline: name === ".." ? "../../../victim" : name, tee: "sample" } as never;
    const old = { id: "x", inputs, outputs: { directory: "", digest: "" } };
    await expect(localWorkload.delete(context(), old)).rejects.toMatchObject(refused);
    await expect(localWorkload.read?.(context(), old)).rejects.toMatchObject(refused);
    expect(existsSync(path.join(victim, "a.json"))).toBe(true);
  });

  it("has neither key files nor parameters", async () => {
    expect(() => removeParameters(context(), { stack: name, pipeline: "p" })).toThrow("the stack's state names");
    const key = createRoot(new Uint8Array(32).fill(7));
    const outputs = { ...publicFacts(key, "0".repeat(32), "p"), root: formatRoot(key) };
    const old = { id: "x", inputs: { stack: "dev", pipeline: name, keyFiles: true }, outputs } as never;
    await expect(pipelineKeys.delete(context(), old)).rejects.toMatchObject(refused);
    await expect(
      pipelineKeys.update?.(context(), old, { stack: "dev", pipeline: name, keyFiles: true }),
    ).rejects.toMatchObject(refused);
  });
});

it("a name that steers terminals is told without doing so", () => {
  const told = () => removeParameters(context(), { stack: "dev", pipeline: "\u009b2Jp\u202e" });
  expect(told).toThrow('pipeline "\\u009b2Jp\\u202e"');
});

it.each(["../victim", "..", ".", ".sealflow/images", ".sealflow/images/../keys", ".sealflow/images/a/b"])(
  "an image in %s is not removed",
  async (layout) => {
    const inputs = { keys: { fingerprint: "f".repeat(64), pipelineUid: "e".repeat(64) }, name: "i" };
    const outputs = { layout, digest: "a".repeat(64), kekId: "b".repeat(64) };
    const env = { SEALFLOW_FORGET_UNREACHABLE: "true" };
    const forgetting = { ...context(), env } as Context;
    await expect(sealedImage.delete(forgetting, { id: "r", inputs, outputs } as never)).rejects.toMatchObject(refused);
    expect(existsSync(path.join(victim, "a.json"))).toBe(true);
    expect(existsSync(path.join(root, ".sealflow"))).toBe(true);
  },
);

it("keys of another pipeline in the key broker are not deleted as a step's", async () => {
  const inputs = { keys: { fingerprint: "f".repeat(64) }, step: "a", tee: "sample" };
  const outputs = { programId: "1".repeat(64), identity: "2".repeat(64) };
  const old = { id: `sf-${"e".repeat(16)}/step/${"1".repeat(64)}`, inputs, outputs } as never;
  await expect(stepIdentity.delete(context(), old)).rejects.toMatchObject(refused);
});
