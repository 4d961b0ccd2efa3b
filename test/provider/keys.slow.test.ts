import { chmodSync, existsSync, rmSync, statSync } from "node:fs";
import * as path from "node:path";
import { createRoot, formatRoot, publicFacts } from "../../owner/keys";
import { createProject, type Project } from "../support/project";

jest.setTimeout(180_000);

/** The program takes its arguments from a file, so that a test can change them. */
const PROGRAM = `
const { PipelineKeys } = require("sealflow");
const args = JSON.parse(require("fs").readFileSync(__dirname + "/args.json", "utf8"));
const keys = new PipelineKeys("spam-keys", args);
exports.uid = keys.pipelineUid;
exports.owner = keys.ownerPublicKey;
`;

let project: Project;
beforeEach(async () => {
  project = createProject(PROGRAM);
  project.write("stacks/args.json", JSON.stringify({ pipeline: "spam", keyFiles: true }));
  await project.ok(["stack", "init", "dev"]);
});
afterEach(() => project.remove());

const runKeyFile = () => path.join(project.home, "keys/dev/spam.run.jwk");

describe("PipelineKeys under the real engine", () => {
  it("shows unknown in a preview, mints once, keeps the root secret, removes its files", async () => {
    const preview = await project.ok(["preview"]);
    expect(preview).toMatch(/uid\s*: \[unknown\]/);
    expect(existsSync(runKeyFile())).toBe(false);

    await project.ok(["up", "--yes", "--skip-preview"]);
    expect(statSync(runKeyFile()).mode & 0o777).toBe(0o600);
    expect(statSync(path.dirname(runKeyFile())).mode & 0o777).toBe(0o700);
    const { "spam-keys": keys } = await project.state();
    expect(keys?.outputs?.root).toHaveProperty("ciphertext");
    expect(JSON.stringify(keys)).not.toContain("sealflow-root");
    expect(keys?.id).toBe(keys?.outputs?.pipelineUid);

    await project.ok(["preview", "--expect-no-changes"]);
    await project.ok(["destroy", "--yes", "--skip-preview"]);
    expect(existsSync(runKeyFile())).toBe(false);
  });

  it("a lost key file is found by refresh and written by the next up", async () => {
    await project.ok(["up", "--yes", "--skip-preview"]);
    const before = project.read(".sealflow/keys/dev/spam.run.jwk");
    rmSync(runKeyFile());
    await project.ok(["up", "--yes", "--skip-preview", "--refresh"]);
    expect(project.read(".sealflow/keys/dev/spam.run.jwk")).toBe(before);
  });

  const outside = createRoot(Buffer.alloc(32, 7));
  it.each([
    [
      "the environment",
      { kind: "env", variable: "MY_ROOT" },
      () => ({ MY_ROOT: formatRoot(outside) }),
      /environment variable MY_ROOT is not set/,
    ],
    [
      "a file",
      { kind: "file", path: "secret/root" },
      () => {
        project.write("secret/root", `${formatRoot(outside)}\n`);
        chmodSync(path.join(project.dir, "secret/root"), 0o600);
        return {};
      },
      /secret\/root/,
    ],
  ])("with a root from %s, neither state nor output holds it", async (_where, source, give, lacking) => {
    project.write("stacks/args.json", JSON.stringify({ pipeline: "spam", source }));
    const missing = await project.pulumi(["up", "--yes", "--skip-preview"]);
    expect(missing.code).not.toBe(0);
    expect(missing.stdout + missing.stderr).toMatch(lacking);

    const output = await project.ok(["up", "--yes", "--skip-preview"], give());
    const { "spam-keys": keys } = await project.state();
    expect(keys?.outputs?.root).toBe("");
    expect(JSON.stringify(keys) + output).not.toContain(formatRoot(outside).split(".").pop());
    const facts = publicFacts(outside, String(keys?.outputs?.stackUuid), "spam");
    expect(keys?.outputs).toMatchObject({ pipelineUid: facts.pipelineUid, fingerprint: facts.fingerprint });
    // A preview needs no root.
    rmSync(path.join(project.dir, "secret"), { recursive: true, force: true });
    await project.ok(["preview", "--expect-no-changes"]);
  });

  it("a bad name is refused before anything is done, with the rule", async () => {
    project.write("stacks/args.json", JSON.stringify({ pipeline: "Spam Filter" }));
    const { code, stdout, stderr } = await project.pulumi(["preview"]);
    expect(code).not.toBe(0);
    expect(stdout + stderr).toMatch(/"Spam Filter" is not a name: lower-case letters/);
  });
});
