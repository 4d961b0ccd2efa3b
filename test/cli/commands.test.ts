import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { EXIT } from "../../cli/exit-codes";
import { connection } from "../../protocol/connection";
import { parse } from "../../protocol/shape";
import { call } from "./support/call";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sealflow-commands-"));
  writeFileSync(path.join(dir, "Pulumi.yaml"), "name: test\nruntime: nodejs\n");
});
afterEach(() => rmSync(dir, { recursive: true }));

const sealflow = (...args: string[]) => call(args, { cwd: dir });

const COMMANDS = [
  "start",
  "dev",
  "up",
  "run",
  "status",
  "cancel",
  "logs",
  "fetch",
  "verify",
  "keys",
  "platforms",
  "sweep",
  "pulumi",
];

test("help lists every command, and every command has its own", async () => {
  const all = await sealflow("--help");
  expect(all.code).toBe(0);
  for (const command of COMMANDS) {
    expect(all.stdout).toMatch(new RegExp(`^  ${command}\\b`, "m"));
    const one = await sealflow(command, "--help");
    expect(one.code).toBe(0);
    expect(one.stdout).toContain(`Usage: sealflow ${command}`);
  }
  expect((await sealflow("keys", "export", "--help")).stdout).toContain("--tink");
});

test("docs/cli.md names every command and every exit code", () => {
  const text = readFileSync(path.join(__dirname, "../../docs/cli.md"), "utf8");
  for (const command of COMMANDS) expect(text).toContain(`\`sealflow ${command}`);
  for (const code of Object.values(EXIT)) expect(text).toMatch(new RegExp(`^\\| ${code} \\|`, "m"));
});

test("the version is the package's", async () => {
  const { version } = JSON.parse(readFileSync(path.join(__dirname, "../../package.json"), "utf8"));
  expect((await sealflow("--version")).stdout.trim()).toBe(version);
});

test.each([
  [["nonsense"], /unknown command 'nonsense'/],
  [["fetch", "--nonsense"], /unknown option '--nonsense'/],
  [["verify"], /missing required argument 'folder'/],
  [["logs", "--shard", "x"], /expected a number from 0/],
  [["dev", "--stop", "--status"], /only one of/],
  [["keys", "export"], /there is --tink/],
])("%j is wrong usage: exit 1 and the reason", async (args, message) => {
  const called = await sealflow(...args);
  expect(called.code).toBe(1);
  expect(called.stderr).toMatch(message);
  expect(called.stdout).toBe("");
});

test("outside a project the missing Pulumi.yaml is named, and --project points to one", async () => {
  const elsewhere = mkdtempSync(path.join(tmpdir(), "sealflow-nowhere-"));
  try {
    const lost = await call(["status"], { cwd: elsewhere });
    expect(lost.code).toBe(1);
    expect(lost.stderr).toMatch(/no Pulumi\.yaml in .*name it with --project, or begin one: npx sealflow init/);
    const found = await call(["status", "--project", dir], { cwd: elsewhere });
    expect(found.stderr).toMatch(/no pipeline is deployed .* Run: sealflow up/);
  } finally {
    rmSync(elsewhere, { recursive: true });
  }
});

test("a pipeline that is not deployed is named beside those that are; several need a choice", async () => {
  const file = (stack: string, name: string) => path.join(dir, ".sealflow/pipelines", stack, `${name}.json`);
  const content = (stack: string, name: string) => ({
    version: 1,
    kbsUrl: "https://127.0.0.1:1",
    ledgerUrl: "https://127.0.0.1:2",
    caPem: "x",
    ledgerKey: "A".repeat(43),
    stack,
    name,
    pipelineUid: "a".repeat(64),
    ownerPublicKey: "A".repeat(43),
    descriptor: "a.b.c",
  });
  for (const [stack, name] of [
    ["local", "spam"],
    ["prod", "spam"],
  ] as const) {
    mkdirSync(path.dirname(file(stack, name)), { recursive: true });
    writeFileSync(file(stack, name), JSON.stringify(content(stack, name)));
  }
  expect((await sealflow("run", "--pipeline", "ham")).stderr).toMatch(
    /"ham" is not deployed .*local\/spam, prod\/spam/,
  );
  const several = await sealflow("run");
  expect(several.code).toBe(1);
  expect(several.stderr).toMatch(/say which with --stack and --pipeline/);
  writeFileSync(file("local", "spam"), "{");
  expect((await sealflow("run", "--stack", "local")).stderr).toMatch(/spam\.json: is no pipeline connection/);
});

describe("dev", () => {
  test("serves until it is interrupted, says that nothing is confidential, and status tells", async () => {
    const stop = new AbortController();
    const running = call(["dev"], { cwd: dir, signal: stop.signal });
    const file = path.join(dir, ".sealflow/connection.json");
    while (!existsSync(file)) await new Promise((resolve) => setTimeout(resolve, 20));
    const written = parse(connection, JSON.parse(readFileSync(file, "utf8")), "connection");
    const status = await sealflow("dev", "--status", "--json");
    expect(status.code).toBe(0);
    expect(status.json).toMatchObject({ running: true, ready: true, pid: process.pid });
    const second = await sealflow("dev");
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/already serves/);
    stop.abort();
    const ended = await running;
    expect(ended.code).toBe(0);
    expect(ended.stdout).toContain(written.ledgerUrl);
    expect(ended.stdout).toContain("nothing that runs on it is confidential");
    expect((await sealflow("dev", "--status")).code).toBe(4);
    expect((await sealflow("dev", "--stop")).stdout).toBe("it was not running\n");
  });
});
