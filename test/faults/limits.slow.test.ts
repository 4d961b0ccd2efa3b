/** A full disk, a clock that is off, attempts that are used up: named, and gone on with where that is possible. */
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cannotRunGuests } from "../guest/support/runner-layer";
import { chainOf, RUNNER, TOTAL, World } from "./support/world";

const reason = cannotRunGuests();
let world: World | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
});
const stateOf = async (w: World, run: string) => (await w.deployed.ledger.run(run, await w.deployed.readToken())).state;

/** A file system of its own for a folder. Needs a user who may mount. */
function canMount(): boolean {
  const folder = join("/tmp", `sealflow-mount-${process.pid}`);
  try {
    mkdirSync(folder);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], { stdio: "ignore" });
    execFileSync("umount", [folder]);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
const noMount = reason ?? (canMount() ? undefined : "this user may not mount a small file system");

(noMount ? describe.skip : describe)(`a full disk${noMount ? ` (${noMount})` : ""}`, () => {
  /** What fills up. */
  const mount = (folder: string, size: string) =>
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder]);

  test("of the object store: the step fails by name, the run stays open, and goes on when there is room", async () => {
    world = await World.make(chainOf(3));
    const objects = join(world.home, "dev/objects");
    // One step's output and log find room, those of the two shards of the next do not.
    await world.killServices();
    mount(objects, "100k");
    try {
      await world.startServices();
      const run = await world.deployed.openRun();
      const ends = await world.carryOut(run);
      expect(ends).toEqual([
        expect.objectContaining({ step: "first", state: "committed" }),
        expect.objectContaining({ step: "second", state: "failed", reason: "exit 10: STORE_FULL" }),
        expect.objectContaining({ step: "third", state: "skipped" }),
      ]);
      expect(await stateOf(world, run)).toBe("open");
      execFileSync("mount", ["-o", "remount,size=50m", objects]);
      const resumed = await world.sealflow(["run", "--resume", run]);
      expect([resumed.code, resumed.stderr]).toEqual([0, expect.not.stringContaining("first: attesting")]);
      expect(await world.verified(run, "third-total")).toEqual(TOTAL);
    } finally {
      await world.killServices().catch(() => undefined);
      execFileSync("umount", ["-l", objects]);
    }
  }, 300_000);

  test("of the ledger: nothing is committed halfway, and the run goes on when there is room", async () => {
    world = await World.make(chainOf(3));
    const { home, deployed } = world;
    const run = await deployed.openRun();
    const folder = join(home, "dev/ledger");
    const copy = join(home, "ledger-copy");
    await world.killServices();
    execFileSync("cp", ["-a", folder, copy]);
    mount(folder, "20m");
    try {
      execFileSync("cp", ["-a", `${copy}/.`, folder]);
      await world.startServices();
      const filler = join(folder, "filler");
      expect(() => writeFileSync(filler, Buffer.alloc(40 * 1024 * 1024))).toThrow(/ENOSPC/);
      const ends = await world.carryOut(run, { signal: AbortSignal.timeout(20_000) });
      expect(ends.map(({ state }) => state)).not.toContain("committed");
      rmSync(filler);
      const resumed = await world.sealflow(["run", "--resume", run]);
      expect(resumed.code).toBe(0);
      expect(await world.verified(run, "third-total")).toEqual(TOTAL);
    } finally {
      await world.killServices().catch(() => undefined);
      execFileSync("umount", ["-l", folder]);
    }
  }, 300_000);
});

(reason ? describe.skip : describe)(`clocks and attempts${reason ? ` (${reason})` : ""}`, () => {
  const clock = (minutes: number) => ({
    NODE_OPTIONS: `--require ${join(__dirname, "support/clock.js")}`,
    CLOCK_OFFSET_MS: String(minutes * 60_000),
  });

  test("a clock off by four minutes does not matter, one off by an hour is named", async () => {
    world = await World.make(chainOf(1));
    for (const minutes of [-4, 4]) {
      const run = await world.sealflow(["run", "--json"], { env: clock(minutes) });
      expect([minutes, run.code, run.stderr]).toEqual([minutes, 0, expect.anything()]);
      expect(await world.verified(JSON.parse(run.stdout).run, "third-total")).toEqual(TOTAL);
    }
    const before = (await world.deployed.ledger.head()).size;
    for (const minutes of [-60 * 25, 60]) {
      const refused = await world.sealflow(["run"], { env: clock(minutes) });
      expect([minutes, refused.code, refused.stderr]).toEqual([minutes, 5, expect.stringContaining("[CLOCK]")]);
    }
    expect((await world.deployed.ledger.head()).size).toBe(before);
  }, 300_000);

  test("the relying party's clock jumps between two steps: guests do not look at clocks", async () => {
    world = await World.make(chainOf(1));
    const w = world;
    let jumped: Promise<unknown> | undefined;
    const run = await world.deployed.openRun();
    await world.carryOut(run, {
      onEvent: ({ step, stage }) => {
        if (step === "first" && stage === "committed")
          jumped ??= w.killServices().then(() => w.startServices(-240_000));
      },
    });
    await jumped;
    expect(await world.verified(run, "third-total")).toEqual(TOTAL);
  }, 300_000);

  test("a guest that is killed uses its attempt; without another one the step ends by that name", async () => {
    world = await World.make(chainOf(0));
    const w = world;
    const run = await world.deployed.openRun();
    const killed = { done: false };
    const ends = await world.carryOut(run, {
      onEvent: ({ step, stage }) => {
        if (step !== "first" || stage !== "running" || killed.done) return;
        killed.done = true;
        sleep(200).then(() => w.kill(RUNNER));
      },
    });
    expect(ends[0]).toMatchObject({ step: "first", state: "failed", reason: "exit 31: ATTEMPTS_EXHAUSTED" });
    // The ledger cannot tell a dead guest from a silent one; the run is over when none could live any more.
    expect(await stateOf(world, run)).toBe("open");
    const resumed = await world.sealflow(["run", "--resume", run]);
    expect([resumed.code, resumed.stderr]).toEqual([3, expect.stringContaining("ATTEMPTS_EXHAUSTED")]);
  }, 300_000);

  test("one shard is missing: only that one is started", async () => {
    world = await World.make(chainOf(1));
    const w = world;
    const run = await world.deployed.openRun();
    const stop = new AbortController();
    let committed = 0;
    await world.carryOut(run, {
      parallel: 1,
      signal: stop.signal,
      onEvent: ({ step, stage }) => {
        if (step === "second" && stage === "committed" && ++committed === 1) stop.abort();
      },
    });
    const before = await w.deployed.ledger.run(run, await w.deployed.readToken());
    expect(before.steps.second?.shards.map(({ state }) => state).sort()).toEqual(["committed", "waiting"]);
    const resumed = await world.sealflow(["run", "--resume", run.slice(0, 8)]);
    expect(resumed.code).toBe(0);
    expect(resumed.stderr.match(/second(\[\d\])?: attesting/g)).toHaveLength(1);
    expect(await world.verified(run, "third-total")).toEqual(TOTAL);
  }, 300_000);
});
