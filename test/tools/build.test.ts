import { execFile } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { packageRoot } from "../../cli/engine";

const exec = promisify(execFile);
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "sealflow-build-"));
  symlinkSync(join(packageRoot(), "node_modules"), join(root, "node_modules"));
  mkdirSync(join(root, "tools"));
  cpSync(join(packageRoot(), "tools", "build.js"), join(root, "tools", "build.js"));
  put("protocol/double.ts", "export const double = (n: number): number => n * 2;\n");
  put("policy/rules.rego", "package policy\n");
  put("policy/use.ts", 'import { double } from "../protocol/double";\nexport const four: number = double(2);\n');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function put(file: string, text: string): void {
  mkdirSync(join(root, file, ".."), { recursive: true });
  writeFileSync(join(root, file), text);
}

const build = () => exec(process.execPath, [join(root, "tools", "build.js")]);
const run = async (file: string) => (await exec(process.execPath, [join(root, "dist", file)])).stdout;

test("compiles, copies, and follows changes and deletions", async () => {
  await build();
  expect(require(join(root, "dist", "policy", "use.js")).four).toBe(4);
  expect(readFileSync(join(root, "dist", "policy", "rules.rego"), "utf8")).toBe("package policy\n");
  expect((await build()).stderr).toBe("");

  put("policy/use.ts", 'console.log("changed");\n');
  rmSync(join(root, "policy", "rules.rego"));
  expect((await build()).stderr).toContain("built dist/: 2 files");
  expect(await run("policy/use.js")).toBe("changed\n");
  expect(existsSync(join(root, "dist", "policy", "rules.rego"))).toBe(false);
});

test("bundles the guest runner into one file, the same bytes each time", async () => {
  put("guest/main.ts", 'import { double } from "../protocol/double";\nconsole.log(double(21));\n');
  await build();
  const first = readFileSync(join(root, "dist", "guest", "runner.js"));
  expect(await run("guest/runner.js")).toBe("42\n");
  rmSync(join(root, "dist"), { recursive: true });
  await build();
  expect(readFileSync(join(root, "dist", "guest", "runner.js")).equals(first)).toBe(true);
});

test("refuses a guest runner with owner code in it", async () => {
  put("owner/secret.ts", "export const secret = 1;\n");
  put("guest/main.ts", 'import { secret } from "../owner/secret";\nconsole.log(secret);\n');
  await expect(build()).rejects.toMatchObject({ stderr: expect.stringContaining("owner/secret.ts") });
  expect(existsSync(join(root, "dist", "guest", "runner.js"))).toBe(false);
});

test("several builds at once end in one complete tree", async () => {
  await Promise.all([build(), build(), build()]);
  expect(require(join(root, "dist", "policy", "use.js")).four).toBe(4);
  expect(readdirSync(join(root, "dist", "policy")).filter((file) => file.endsWith(".tmp"))).toEqual([]);
});

test("a syntax error names its file", async () => {
  put("policy/bad.ts", "export const = 1;\n");
  await expect(build()).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining("bad.ts") });
});
