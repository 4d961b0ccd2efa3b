import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { type Dev, devStatus, startDev, startDevDetached, stopDev } from "../../relying-party/dev";
import { serverIdentity } from "../../relying-party/dev/certificates";
import { isAlive, startTime } from "../../relying-party/dev/process";
import { KbsAdmin } from "../../relying-party/kbs-client";
import { LedgerClient } from "../../relying-party/ledger-client";
import { devAdminTokens } from "../support/admin-key";
import { ciphertext, createWorld } from "../support/ledger-world";

let home: string;
const open: Dev[] = [];
const quiet = { log: () => {} };
const start = async (): Promise<Dev> => {
  const dev = await startDev({ home, ...quiet });
  open.push(dev);
  return dev;
};

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "dev-"));
});
afterEach(async () => {
  for (const dev of open.splice(0)) await dev.close();
  await stopDev({ home });
  rmSync(home, { recursive: true, force: true });
});

test("serves KBS and ledger with the pinned CA, and the KBS has the policies", async () => {
  const { connection } = await start();
  const token = devAdminTokens(home);
  const kbs = new KbsAdmin({ url: connection.kbsUrl, caPem: connection.caPem, token });
  const ledger = new LedgerClient({ url: connection.ledgerUrl, ...connection });
  try {
    await kbs.canary();
    const first = await ledger.head();
    const world = await createWorld({
      ledgerKey: connection.ledgerKey,
      steps: { one: {} },
      datasets: { a: ciphertext() },
    });
    const bytes = world.plan.datasets?.a as Uint8Array;
    expect(await ledger.upload(await world.upload(bytes), () => bytes)).toMatchObject({ present: false });
    expect(await ledger.upload(await world.upload(bytes), () => bytes)).toMatchObject({ present: true });
    expect(await ledger.registerDescriptor(world.descriptor)).toMatchObject({ sequence: 1, descriptor: world.digest });
    const { token: request, run } = await world.runRequest({ head: first.token });
    expect(await ledger.openRun(request)).toMatchObject({ run, state: "open" });
    expect((await ledger.head(first.token)).size).toBe(2);
    expect(await ledger.run(run, await world.readToken())).toMatchObject({ state: "open" });
  } finally {
    kbs.close();
    ledger.close();
  }
});

test("keeps ports, CA, token and keys over a restart, and only this user can read them", async () => {
  const before = (await start()).connection;
  const token = readFileSync(join(home, "dev/admin-key.jwk"), "utf8");
  await open.pop()?.close();
  expect((await start()).connection).toEqual(before);
  expect(readFileSync(join(home, "dev/admin-key.jwk"), "utf8")).toBe(token);
  for (const file of [
    "connection.json",
    "dev/admin-key.jwk",
    "dev/tls/ca.key",
    "dev/ledger/ledger.key",
    "dev/ledger/ledger.db",
  ]) {
    expect(`${file} ${(statSync(join(home, file)).mode & 0o777).toString(8)}`).toBe(`${file} 600`);
  }
  expect(statSync(join(home, "dev")).mode & 0o777).toBe(0o700);
});

test("a second start is refused with RUNNING and names the process", async () => {
  await start();
  await expect(startDev({ home, ...quiet })).rejects.toMatchObject({
    code: "RUNNING",
    message: expect.stringContaining(`process ${process.pid}`),
  });
});

test("a taken port is refused with PORT_TAKEN and names the holder", async () => {
  await start();
  const { kbs } = JSON.parse(readFileSync(join(home, "dev/ports.json"), "utf8"));
  await open.pop()?.close();
  const other = createServer().listen(kbs, "127.0.0.1");
  try {
    await new Promise((resolve) => other.once("listening", resolve));
    await expect(startDev({ home, ...quiet })).rejects.toMatchObject({
      code: "PORT_TAKEN",
      message: expect.stringContaining(`pid ${process.pid}`),
    });
  } finally {
    other.close();
  }
  await start();
});

test("a leaf about to end is renewed under the same CA", async () => {
  const dir = join(home, "tls");
  const first = await serverIdentity(dir);
  expect(await serverIdentity(dir)).toEqual(first);
  const later = await serverIdentity(dir, Date.now() + 70 * 24 * 3600 * 1000);
  expect(later.caPem).toBe(first.caPem);
  expect(later.certPem).not.toBe(first.certPem);
});

test("damaged state is told with STATE", async () => {
  await start();
  await open.pop()?.close();
  writeFileSync(join(home, "dev/ports.json"), "{");
  await expect(startDev({ home, ...quiet })).rejects.toMatchObject({ code: "STATE" });
});

test("a process that has ended is not alive, although nobody has asked for it", async () => {
  // The shell starts a child and becomes a program that never waits for it, as process 1 of many containers.
  const parent = spawn("sh", ["-c", "sleep 0.1 & echo $!; exec sleep 60"], { stdio: ["ignore", "pipe", "ignore"] });
  try {
    const [line] = (await once(createInterface(parent.stdout), "line")) as [string];
    const pid = Number(line);
    expect(isAlive(pid)).toBe(true);
    const state = () => /\) (.)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1];
    while (state() !== "Z") await sleep(20);
    process.kill(pid, 0);
    expect(isAlive(pid)).toBe(false);
    expect(startTime(pid)).toBeUndefined();
    expect(isAlive(process.pid)).toBe(true);
  } finally {
    parent.kill("SIGKILL");
  }
});

describe("in the background", () => {
  /** What `sealflow dev` does, compiled on the fly. */
  const launcher: [string, ...string[]] = [
    process.execPath,
    "--require",
    join(__dirname, "../support/typescript.js"),
    join(__dirname, "../support/dev-process.ts"),
  ];

  test("starts once, survives kill -9, and stops", async () => {
    const options = { home, launcher: [...launcher, home] as [string, ...string[]] };
    expect(await devStatus({ home })).toEqual({ running: false, ready: false });
    const first = await startDevDetached(options);
    expect(first.started).toBe(true);
    expect(await startDevDetached(options)).toMatchObject({ pid: first.pid, started: false });
    expect(await devStatus({ home })).toMatchObject({ running: true, ready: true, pid: first.pid });

    process.kill(first.pid, "SIGKILL");
    while ((await devStatus({ home })).running) await new Promise((r) => setTimeout(r, 20));
    const second = await startDevDetached(options);
    expect(second.connection).toEqual(first.connection);
    expect(second.pid).not.toBe(first.pid);
    expect(await stopDev({ home })).toBe(true);
    expect(await stopDev({ home })).toBe(false);
    expect(await devStatus({ home })).toEqual({ running: false, ready: false });
  }, 60_000);

  test("a launcher that ends is told with the end of its log", async () => {
    const broken: [string, ...string[]] = [process.execPath, "-e", "console.error('no luck'); process.exit(3)"];
    await expect(startDevDetached({ home, launcher: broken })).rejects.toMatchObject({
      code: "START_FAILED",
      message: expect.stringContaining("no luck"),
    });
  });
});
