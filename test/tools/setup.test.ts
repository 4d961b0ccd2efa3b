/** npm's part of the set-up, with a stand-in for npm, and the closing line of a test run. */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageRoot } from "../../cli/engine";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "sealflow-setup-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function put(file: string, text: string): void {
  mkdirSync(join(root, file, ".."), { recursive: true });
  writeFileSync(join(root, file), text);
}

describe("installing npm packages", () => {
  const lock = (version: string) => JSON.stringify({ packages: { "": {}, "node_modules/a": { version } } });

  /** Runs install() with an `npm` that notes each call and then does `script`. */
  function install(script: string) {
    put("path/npm", `#!/bin/sh\necho "$@" >> calls\n${script}\n`);
    chmodSync(join(root, "path", "npm"), 0o755);
    const code = `console.log(require(process.argv[1]).install(process.argv[2], () => {}))`;
    const result = spawnSync(process.execPath, ["-e", code, join(packageRoot(), "tools", "install.js"), root], {
      encoding: "utf8",
      env: { ...process.env, PATH: `${join(root, "path")}:/usr/bin:/bin` },
    });
    return { code: result.status, installed: result.stdout.trim(), message: result.stderr };
  }
  const works = "mkdir -p node_modules";
  const calls = () => readFileSync(join(root, "calls"), "utf8").trim().split("\n");

  it("happens once, and again when the lock file changed", () => {
    put("package-lock.json", lock("1.0.0"));
    expect(install(works)).toMatchObject({ code: 0, installed: "true" });
    expect(install(works)).toMatchObject({ code: 0, installed: "false" });
    put("package-lock.json", lock("1.0.1"));
    expect(install(works)).toMatchObject({ code: 0, installed: "true" });
    expect(calls()).toHaveLength(2);
    expect(calls()[0]).toMatch(/^ci .*--ignore-scripts/);
  });

  it("is left out when npm has installed just what the lock file says", () => {
    put("package-lock.json", lock("1.0.0"));
    put("node_modules/.package-lock.json", lock("1.0.0"));
    expect(install(works)).toMatchObject({ installed: "false" });
    rmSync(join(root, "node_modules"), { recursive: true });
    put("node_modules/.package-lock.json", lock("0.9.0"));
    expect(install(works)).toMatchObject({ installed: "true" });
  });

  it("fails with npm's exit code in the message and is tried again next time", () => {
    put("package-lock.json", lock("1.0.0"));
    expect(install("exit 9").message).toContain('"npm ci" failed with exit code 9');
    expect(install(works)).toMatchObject({ installed: "true" });
  });
});

describe("the closing line of a test run", () => {
  function run(quick: boolean) {
    symlinkSync(join(packageRoot(), "node_modules"), join(root, "node_modules"));
    put("jest.config.js", 'module.exports = { testMatch: ["**/*.test.ts"], transform: {}, watchman: false };');
    const code = `process.exitCode = require(process.argv[1]).test({ root: process.argv[2], quick: ${quick}, args: ["test"] })`;
    const result = spawnSync(process.execPath, ["-e", code, join(packageRoot(), "tools", "test.js"), root], {
      encoding: "utf8",
    });
    return { code: result.status, line: result.stdout };
  }

  it("counts what passed, failed, was skipped and could not be loaded, in quick and slow suites", () => {
    put(
      "test/a.test.ts",
      'test("good", () => {}); test("bad", () => { throw new Error("bad"); }); test["skip"]("later", () => {});',
    );
    put("test/b.test.ts", "this is no program");
    put("test/c.slow.test.ts", 'test("good", () => {});');
    expect(run(false)).toEqual({ code: 1, line: "2 passed, 2 failed, 1 skipped\n" });
  });

  it("of a quick run leaves the slow suites out", () => {
    put("test/a.test.ts", 'test("good", () => {});');
    put("test/c.slow.test.ts", 'test("bad", () => { throw new Error("bad"); });');
    expect(run(true)).toEqual({ code: 0, line: "1 passed, 0 failed\n" });
  });

  it("of a run without any test is a failure", () => {
    put("test/readme.txt", "");
    expect(run(false)).toEqual({ code: 1, line: "0 passed, 0 failed\n" });
  });
});
