/** docs/ci.md with the real engine: changes of a deployed pipeline that are written to pass a review unseen. */
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { ok, sealflow } from "../support/cli";
import { countProject } from "../support/count";
import type { Project } from "../support/project";

jest.setTimeout(420_000);

const PROGRAM = `
const { ConfidentialPipeline, dataset, image, localEnvironment, pipeline } = require("sealflow");
const pulumi = require("@pulumi/pulumi");
const { props, options = {}, of = "StepIdentity", rows: file = "rows.jsonl", parent, hold = true } =
  JSON.parse(require("fs").readFileSync(__dirname + "/args.json", "utf8"));
const p = pipeline("spam");
const rows = p.input("rows", "jsonl");
const count = p.step("count", { image: image.folder("./count"), command: ["node", "/app/count.js"],
  inputs: { rows }, outputs: { report: "json" } });
p.release({ report: count.report });
const change = (args) => args.type !== "sealflow:index:" + of ? undefined :
  { props: merged(args.props, props ?? {}), opts: pulumi.mergeOptions(args.opts, options) };
const merged = (a, b) => ({ ...a, ...Object.fromEntries(Object.entries(b).map(([k, v]) =>
  [k, v === "hidden" ? pulumi.secret(a[k]) : v.publicKey ? pulumi.output(a[k]).apply((s) => ({ count: { ...s.count, ...v } })) : v])) });
const within = parent ? new pulumi.ComponentResource(parent, "nice") : undefined;
new ConfidentialPipeline("spam", { spec: p.toJSON(), inputs: { rows: dataset.file(file) }, environment: localEnvironment() },
  { transforms: [change], protect: hold, ...(within ? { parent: within } : {}) });
`;

let project: Project;
beforeAll(async () => {
  project = countProject(PROGRAM);
  await ok(project, ["dev", "--detach"]);
  await ok(project, ["up", "--stack", "dev"]);
});
afterAll(async () => {
  await sealflow(project, ["dev", "--stop"]);
  project.remove();
});

async function told(args: object): Promise<string> {
  project.write("stacks/args.json", JSON.stringify(args));
  project.write("preview.json", (await project.pulumi(["preview", "--stack", "dev", "--json", "--show-sames"])).stdout);
  return (await sealflow(project, ["diff", "preview.json"])).stdout;
}

it("what stays is said to stay, all of it compared", async () => {
  const text = await told({});
  expect(text).toContain("Nothing: no identity");
  expect(text).not.toContain("not compared");
});

it("another key broker for a step, with ignoreChanges over what would tell", async () => {
  const { version: _, ...ours } = JSON.parse(readFileSync(path.join(project.home, "connection.json"), "utf8"));
  const relyingParty = { ...ours, kbsUrl: "https://127.0.0.1:9/theirs" };
  const text = await told({
    props: { relyingParty },
    options: { ignoreChanges: ["relyingPartyDigest", "relyingParty"] },
  });
  const bold = await told({ props: { relyingParty }, options: { ignoreChanges: ["relyingPartyDigest"] } });
  // Ignored whole, the old one stays in force: then nothing changes.
  expect(text).not.toContain("theirs");
  expect(bold).toContain("± `spam-count`: another guest gets keys");
  expect(bold).toContain("`relyingParty.kbsUrl`: `https://127.0.0.1:9/theirs`");
});

it("inputs that turn into secrets, for a later change to hide in", async () => {
  const text = await told({ props: { outputs: "hidden" } });
  expect(text).toContain("### What this review cannot show");
  expect(text).toContain("`spam-count: outputs`: a secret, where StepIdentity takes a value that can be reviewed");
});

it("another public key for a step whose identity stays", async () => {
  const text = await told({ of: "PipelineVersion", props: { steps: { publicKey: "x".repeat(43) } } });
  expect(text).toContain(`\`steps.count.publicKey\``);
  expect(text).toContain("x".repeat(43));
});

it("data from another file: told when it is there, refused when it is not, as content that stayed elsewhere", async () => {
  project.write("private.jsonl", "{}\n");
  expect(await told({ rows: "private.jsonl" })).toContain("`source.path`: `rows.jsonl` → `private.jsonl`");
  const text = await told({ rows: "/home/owner/private.jsonl" });
  expect(text).toContain("**The preview failed");
  expect(text).toContain("/home/owner/private.jsonl");
});

it("what was held back from being deleted no longer is", async () => {
  expect(await told({ hold: false })).toMatch(/~ `spam-count: protect`: the option protect changes/);
});

it("a pipeline that moves under a parent of an odd type is told as one that is made anew", async () => {
  const text = await told({ parent: "evil::thing$sealflow" });
  expect(text).toContain("+ `spam-count`: a new guest gets keys");
  expect(text).toContain("+ `spam-keys`: a new pipeline with keys of its own");
});
