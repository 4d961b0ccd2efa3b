/** A broker that reads its certificate once is started anew on a renewal, with the image's own shell. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { reloading } from "../../../policy/services";

/** Says what it has read when it starts, and when it is told to end. */
const BROKER = `
const fs = require("node:fs");
const [certificate, log] = process.argv.slice(1);
const say = (line) => fs.appendFileSync(log, line + "\\n");
say("serves " + fs.readFileSync(certificate, "utf8"));
process.on("SIGTERM", () => { say("ends in order"); process.exit(7); });
if (fs.readFileSync(certificate, "utf8") === "broken") process.exit(3);
setInterval(() => fs.existsSync(log + ".crash") && process.exit(3), 50);
`;

let dir: string;
let child: ChildProcess | undefined;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sealflow-reload-"));
});
afterEach(() => {
  // Its broker, too, which is of the same group.
  if (child?.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGKILL");
  rmSync(dir, { recursive: true, force: true });
});

const at = (name: string) => path.join(dir, name);
const said = () => readFileSync(at("log"), "utf8").trim().split("\n");
function start(certificate: string, spread = 1): Promise<number | null> {
  writeFileSync(at("tls.crt"), certificate);
  writeFileSync(at("log"), "");
  const broker = [process.execPath, "-e", BROKER, at("tls.crt"), at("log")];
  const [command = "", ...args] = reloading(at("tls.crt"), broker, { look: 1, spread });
  // Of a spread of 5 seconds, it waits for 4.
  const env = { PATH: process.env.PATH, HOSTNAME: "trustee-5d9c-x7k2q" };
  const started = spawn(command, args, { env, stdio: "ignore", detached: true });
  child = started;
  return new Promise((resolve) => started.once("exit", resolve));
}
async function until(done: () => boolean): Promise<void> {
  for (let n = 0; n < 100 && !done(); n++) await sleep(100);
}

it("serves a renewed certificate, once, and the one before it ended in order", async () => {
  void start("first");
  await until(() => said().includes("serves first"));
  writeFileSync(at("tls.crt"), "second");
  await until(() => said().includes("serves second"));
  await sleep(2500);
  expect(said()).toEqual(["serves first", "ends in order", "serves second"]);
});

it("the end of the pod reaches the broker, whose exit code is the container's", async () => {
  const ended = start("first");
  await until(() => said().includes("serves first"));
  child?.kill("SIGTERM");
  expect(await ended).toBe(7);
  expect(said()).toEqual(["serves first", "ends in order"]);
});

it("a broker that ends by itself ends the container, so that the kubelet sees it", async () => {
  expect(await start("broken")).toBe(3);
});

it("also one that ends while a renewal waits for its turn", async () => {
  const ended = start("first", 5);
  await until(() => said().includes("serves first"));
  writeFileSync(at("tls.crt"), "second");
  await sleep(2000);
  writeFileSync(at("log.crash"), "");
  expect(await ended).toBe(3);
  expect(said()).toEqual(["serves first"]);
}, 20_000);

it("a certificate that is away for a moment ends nothing", async () => {
  void start("first");
  await until(() => said().includes("serves first"));
  rmSync(at("tls.crt"));
  await sleep(2500);
  writeFileSync(at("tls.crt"), "first");
  await sleep(1500);
  expect(said()).toEqual(["serves first"]);
});
