/** Real programs through the real engine (from the cache, or made now) on a file backend. */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureEngine, packageRoot, runPulumi } from "../../cli/engine";

const ENGINE_MINUTES = 30;
let project: string;
/** A home folder of its own, to see that Pulumi's usual place there is not touched. */
let home: string;

beforeAll(async () => {
  await ensureEngine();
  project = mkdtempSync(join(tmpdir(), "sealflow-program-"));
  home = mkdtempSync(join(tmpdir(), "sealflow-home-"));
  symlinkSync(join(packageRoot(), "node_modules"), join(project, "node_modules"));
  cpSync(join(packageRoot(), "tsconfig.json"), join(project, "tsconfig.json"));
  // The program imports its own package by name, as stacks/ import "sealflow", and gets what dist/ holds.
  writeFileSync(
    join(project, "package.json"),
    JSON.stringify({ name: "tiny", private: true, exports: { ".": "./dist/index.js" } }),
  );
  mkdirSync(join(project, "dist"));
  writeFileSync(join(project, "dist", "index.js"), 'exports.word = "from dist";\n');
  writeFileSync(
    join(project, "Pulumi.yaml"),
    "name: tiny\nruntime: nodejs\nmain: program/index.ts\nstackConfigDir: .sealflow/pulumi/config\n",
  );
  mkdirSync(join(project, "program"));
  program(PROGRAM);
}, ENGINE_MINUTES * 60_000);

afterAll(() => {
  for (const folder of [project, home]) rmSync(folder, { recursive: true, force: true });
});

const PROGRAM = `
import * as pulumi from "@pulumi/pulumi";
import { word } from "tiny";
class Thing extends pulumi.ComponentResource {
  constructor(name: string) { super("tiny:index:Thing", name); this.registerOutputs({}); }
}
new Thing("one");
const config = new pulumi.Config();
export const plain = config.require("plain");
export const secret = config.requireSecret("secret").apply((s) => s + "!");
export const self: string = word;
export const node: string = process.version;
export const root = pulumi.runtime.getRootDirectory();
export const secretInEnvironment = Object.keys(process.env).some((name) => name !== "PULUMI_CONFIG" && process.env[name]!.includes("s3cret-value"));
console.log("the program was here");
`;

function program(text: string): void {
  writeFileSync(join(project, "program", "index.ts"), text);
}

function pulumi(args: string[]) {
  return runPulumi([...args, "--non-interactive"], { cwd: project, stdio: "pipe", env: { HOME: home } });
}

test("a TypeScript program is previewed and brought up with configuration and secrets", async () => {
  expect(await pulumi(["stack", "init", "local"])).toMatchObject({ code: 0 });
  expect(await pulumi(["config", "set", "plain", "a b"])).toMatchObject({ code: 0 });
  expect(await pulumi(["config", "set", "--secret", "secret", "s3cret-value"])).toMatchObject({ code: 0 });
  const preview = await pulumi(["preview"]);
  expect(preview).toMatchObject({ code: 0 });
  expect(preview.stdout).toContain("tiny:index:Thing");
  expect(preview.stdout).toContain("the program was here");

  const up = await pulumi(["up", "--yes"]);
  expect(up).toMatchObject({ code: 0 });
  expect(up.stdout).not.toContain("s3cret-value");
  const outputs = JSON.parse((await pulumi(["stack", "output", "--json"])).stdout);
  expect(outputs).toEqual({
    plain: "a b",
    secret: "[secret]",
    self: "from dist",
    node: process.version,
    root: project,
    secretInEnvironment: false,
  });
  const revealed = JSON.parse((await pulumi(["stack", "output", "--json", "--show-secrets"])).stdout);
  expect(revealed.secret).toBe("s3cret-value!");
  expect(await pulumi(["preview", "--expect-no-changes"])).toMatchObject({ code: 0 });
}, 120_000);

test("configuration and passphrase lie in .sealflow, the passphrase readable by its owner only", () => {
  const folder = join(project, ".sealflow", "pulumi");
  expect(statSync(join(folder, "passphrase")).mode & 0o777).toBe(0o600);
  expect(statSync(join(project, ".sealflow")).mode & 0o777).toBe(0o700);
  expect(readFileSync(join(folder, "config", "Pulumi.local.yaml"), "utf8")).toContain("encryptionsalt");
  expect(readFileSync(join(folder, "config", "Pulumi.local.yaml"), "utf8")).not.toContain("s3cret-value");
});

test("a program that throws fails with its message and ends the command with an error", async () => {
  program(`throw new Error("the program's own complaint");`);
  const preview = await pulumi(["preview"]);
  expect(preview.code).not.toBe(0);
  expect(preview.stdout + preview.stderr).toContain("the program's own complaint");
  program(`process.exit(7);`);
  const exit = await pulumi(["preview"]);
  expect(exit.code).not.toBe(0);
  expect(exit.stdout + exit.stderr).toContain("exit code 7");
  program(PROGRAM);
}, 60_000);

test("a policy pack in TypeScript stops what it forbids", async () => {
  const pack = join(project, "pack");
  mkdirSync(pack);
  writeFileSync(join(pack, "PulumiPolicy.yaml"), "runtime: nodejs\nmain: index.ts\n");
  writeFileSync(join(pack, "package.json"), JSON.stringify({ name: "pack", version: "0.0.1" }));
  cpSync(join(packageRoot(), "tsconfig.json"), join(pack, "tsconfig.json"));
  writeFileSync(
    join(pack, "index.ts"),
    `import { PolicyPack } from "@pulumi/policy";
     new PolicyPack("pack", { policies: [{ name: "no-things", description: "no things", enforcementLevel: "mandatory",
       validateResource: (args, report) => { if (args.type === "tiny:index:Thing") report("things are forbidden here"); } }] });`,
  );
  const preview = await pulumi(["preview", "--policy-pack", pack]);
  expect(preview.stdout + preview.stderr).toContain("things are forbidden here");
  expect(preview.code).not.toBe(0);
}, 60_000);

test("a dynamic provider of the program runs", async () => {
  program(`
    import * as pulumi from "@pulumi/pulumi";
    class Echo extends pulumi.dynamic.Resource {
      declare readonly said: pulumi.Output<string>;
      constructor(name: string) {
        const create = async () => ({ id: "echo-1", outs: { said: "heard" } });
        super({ create }, name, { said: undefined });
      }
    }
    export const said = new Echo("echo").said;`);
  expect(await pulumi(["up", "--yes"])).toMatchObject({ code: 0 });
  expect(JSON.parse((await pulumi(["stack", "output", "--json"])).stdout)).toEqual({ said: "heard" });
}, 60_000);

test("nothing is written to the user's own ~/.pulumi", () => {
  expect(readdirSync(home)).not.toContain(".pulumi");
});

test("the stack is destroyed and removed", async () => {
  expect(await pulumi(["destroy", "--yes"])).toMatchObject({ code: 0 });
  expect(await pulumi(["stack", "rm", "--yes", "local"])).toMatchObject({ code: 0 });
}, 60_000);
