import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { renderJob, stepGuest } from "../../policy";
import { call } from "./support/call";

const CA = `-----BEGIN CERTIFICATE-----\n${"TUlJQ".repeat(12)}\n-----END CERTIFICATE-----\n`;
const ARGS = {
  tee: "snp" as const,
  kbsUrl: "https://kbs.example:8080",
  caPem: CA,
  imageReference: `sf-1.sealflow.local/train@sha256:${"ab".repeat(32)}`,
  resource: "sf-1/step/aa",
};
const guest = stepGuest(ARGS);
const job = renderJob({
  pipeline: "spam",
  step: "train",
  imageReference: ARGS.imageReference,
  resource: ARGS.resource,
  annotation: guest.annotation,
  runtimeClass: "kata-qemu-snp",
  shards: 1,
  timeoutSeconds: 60,
  cpu: 1,
  memory: "1Gi",
});

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sealflow-initdata-"));
  writeFileSync(path.join(dir, "a.toml"), guest.initdata);
  writeFileSync(path.join(dir, "a.txt"), `${guest.annotation}\n`);
  writeFileSync(path.join(dir, "a.job.json"), JSON.stringify(job));
  const other = { ...ARGS, imageReference: ARGS.imageReference.replaceAll("ab", "cd"), kbsUrl: "https://other:8080" };
  writeFileSync(path.join(dir, "b.toml"), stepGuest(other).initdata);
});
afterAll(() => rmSync(dir, { recursive: true }));
const sealflow = (...args: string[]) => call(["initdata", ...args], { cwd: dir });

test.each(["a.toml", "a.txt", "a.job.json"])("digest of %s is the identity of the step", async (file) => {
  const { code, json } = await sealflow("digest", file, "--json");
  expect(code).toBe(0);
  expect(json.snp).toBe(guest.identity);
  expect(json["az-snp-vtpm"]).toBe(stepGuest({ ...ARGS, tee: "az-snp-vtpm" }).identity);
  expect((await sealflow("digest", file, "--tee", "snp")).stdout).toBe(`${guest.identity}\n`);
});

test("show prints the whole text, and the policy's data", async () => {
  const { stdout } = await sealflow("show", "a.job.json");
  expect(stdout).toContain(guest.initdata.trimEnd());
  const { json } = await sealflow("show", "a.toml", "--json");
  expect(json.policy).toMatchObject({ image: ARGS.imageReference, debug: false });
  expect(json.text).toBe(readFileSync(path.join(dir, "a.toml"), "utf8"));
});

test("diff tells what makes another identity, and when there is none", async () => {
  const { stdout, code } = await sealflow("diff", "a.job.json", "b.toml");
  expect(code).toBe(0);
  expect(stdout.split("\n").filter((line) => line !== "")).toEqual([
    '- aa.toml: url = "https://kbs.example:8080"',
    '+ aa.toml: url = "https://other:8080"',
    '- cdh.toml: url = "https://kbs.example:8080"',
    '+ cdh.toml: url = "https://other:8080"',
    `- policy_data.image: "${ARGS.imageReference}"`,
    `+ policy_data.image: "${ARGS.imageReference.replaceAll("ab", "cd")}"`,
  ]);
  expect((await sealflow("diff", "a.toml", "a.txt", "--json")).json).toEqual({ equal: true, differences: [] });
});

test("a change of layout alone is told", async () => {
  writeFileSync(path.join(dir, "c.toml"), guest.initdata.replace('version = "0.1.0"', 'version =  "0.1.0"'));
  expect((await sealflow("diff", "a.toml", "c.toml")).stdout).toContain("layout only");
});

test.each([
  ["no file", ["show", "nope"], "cannot be read (ENOENT)"],
  [
    "a manifest without initdata",
    ["show", "empty.json"],
    "empty.json: initdata: the manifest has 0 different annotations",
  ],
  ["no initdata", ["digest", "text"], "not TOML"],
  ["another TEE", ["digest", "a.toml", "--tee", "sgx"], "expected one of"],
])("%s is refused", async (_what, args, message) => {
  writeFileSync(path.join(dir, "empty.json"), "{}");
  writeFileSync(path.join(dir, "text"), "hello { world\n");
  const { code, stderr } = await sealflow(...args);
  expect(code).toBe(1);
  expect(stderr).toContain(message);
});
