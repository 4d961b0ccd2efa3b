import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { call } from "./support/call";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sealflow-diff-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

type Values = Record<string, unknown>;
const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

const step = (op: string, kind: string, name: string, before?: Values, after?: Values, diffReasons?: string[]) => ({
  op,
  urn: `urn:pulumi:prod::p::sealflow:index:ConfidentialPipeline$sealflow:index:${kind}::${name}`,
  ...(before ? { oldState: { inputs: before } } : {}),
  ...(after ? { newState: { inputs: after } } : {}),
  ...(diffReasons ? { diffReasons } : {}),
});

async function diff(steps: object[], more: object = {}, ...args: string[]) {
  const file = path.join(dir, "preview.json");
  writeFileSync(file, JSON.stringify({ steps, diagnostics: [], ...more }));
  return call(["diff", file, ...args], { cwd: dir });
}

it("tells which identity changes, by what, with what is not known yet named so", async () => {
  const old = { step: "count", command: "[secret]", image: { digest: "a".repeat(64) }, limits: { retryLimit: 0 } };
  const next = { step: "count", command: "[secret]", image: { digest: UNKNOWN }, limits: { retryLimit: 2 } };
  const reasons = ["command", "image", "limits"];
  const { code, stdout } = await diff([step("replace", "StepIdentity", "spam-count", old, next, reasons)]);
  expect(code).toBe(0);
  expect(stdout).toContain("### Who gets keys: identities of steps");
  expect(stdout).toContain("± `spam-count`: another guest gets keys; the one before gets none any more");
  expect(stdout).toContain("`image.digest`: `aaaaaaaaaaaa` → `known after the deployment`");
  expect(stdout).toContain("`limits.retryLimit`: `0` → `2`");
  expect(stdout).toContain("`command`: `a secret`, changed");
});

it("tells who may read releases and start runs, for whom", async () => {
  const old = { releases: { model: { from: "a.b", recipients: ["owner"] } }, runKeys: ["k1"], steps: { a: 1 } };
  const next = {
    releases: { model: { from: "a.b", recipients: ["owner", "analyst"] } },
    recipients: { analyst: "KEY" },
    runKeys: ["k1", "k2"],
    steps: { a: 2 },
  };
  const { stdout } = await diff([step("update", "PipelineVersion", "spam-version", old, next)]);
  expect(stdout).toContain("### Who may read releases and start runs");
  expect(stdout).toContain('`releases.model.recipients`: `["owner"]` → `["owner","analyst"]`');
  expect(stdout).toContain("`recipients.analyst`: `KEY`");
  expect(stdout).toContain('`runKeys`: `["k1"]` → `["k1","k2"]`');
  expect(stdout).not.toContain("`steps");
});

it("puts protections that go off before everything else, and those that come on", async () => {
  const { stdout, json } = await diff(
    [
      step("replace", "SealedImage", "spam-image", { sourceDigest: "1" }, { sourceDigest: "2", unpinnedRunner: "old" }),
      step("replace", "StepIdentity", "spam-a", {}, { inputs: { x: { allowUnsafeFormat: "legacy" } } }),
      step("replace", "StepIdentity", "spam-b", { trustProgram: "why" }, {}),
    ],
    {},
  ).then(async (text) => ({
    stdout: text.stdout,
    json: (await diff([step("create", "StepIdentity", "spam-c", undefined, { trustProgram: "new" })], {}, "--json"))
      .json,
  }));
  const [, first] = stdout.split("### ");
  expect(first).toContain("Protections turned off or on");
  expect(first).toContain("+ `spam-a: inputs.x.allowUnsafeFormat`: OFF: the file can hold code");
  expect(first).toContain("− `spam-b: trustProgram`: on again");
  expect(first).toContain("+ `spam-image: unpinnedRunner`: OFF");
  expect(json.changes[0]).toMatchObject({ area: "waivers", op: "create", subject: "spam-c: trustProgram" });
});

it("does not show digests of plain content", async () => {
  const { stdout } = await diff([
    step("replace", "SealedDataset", "spam-data", { sourceDigest: "b".repeat(64) }, { sourceDigest: "c".repeat(64) }),
  ]);
  expect(stdout).toContain("± `spam-data`: other data");
  expect(stdout).not.toMatch(/b{12}|c{12}/);
});

it("a stranger's reason stays inside of its code span", async () => {
  const reason = "ok`\n\n# Approved by security ``` <img src=x> @team [x](https://x.example) \u001b[2J";
  const { stdout } = await diff([step("create", "StepIdentity", "spam-a", undefined, { trustProgram: reason })]);
  for (const line of stdout.split("\n").filter((l) => l.includes("Approved"))) {
    expect(line).toMatch(/````+ .* ````+/);
    expect(line).not.toMatch(/^#/);
  }
  expect(stdout).not.toMatch(/^# Approved/m);
  expect(stdout).not.toContain("\u001b");
});

it("says so when nothing changes, and when the preview itself failed", async () => {
  const same = await diff([step("same", "StepIdentity", "spam-a", { a: 1 }, { a: 1 })]);
  expect(same.stdout).toContain("Nothing: no identity");
  expect(same.stdout).toContain("Unchanged resources: 1.");
  const failed = await diff([], { diagnostics: [{ severity: "error", message: "keys: no root" }] });
  expect(failed.code).toBe(6);
  expect(failed.stdout).toContain("**The preview failed");
  expect(failed.stdout).not.toContain("Nothing: no identity");
});

it.each([
  ["text", "hello"],
  ["other JSON", '{"a":1}'],
  ["an operation that is not known", JSON.stringify({ steps: [{ op: "explode", urn: "urn:pulumi:a::b::c::d" }] })],
])("refuses %s", async (_what, content) => {
  writeFileSync(path.join(dir, "x.json"), content);
  const { code, stderr } = await call(["diff", "x.json"], { cwd: dir });
  expect(code).toBe(1);
  expect(stderr).toContain("[PREVIEW]");
});
