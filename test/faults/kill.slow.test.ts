/**
 * kill -9 of every process class at the numbered points of docs/protocol section 4. The runner's check of the answer
 * (5 to 9) shows nothing outside between the claim's answer and the first object, so one point stands for them.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { cannotRunGuests } from "../guest/support/runner-layer";
import type { Exchange, Rule } from "./support/proxy";
import { chainOf, GUEST, RUNNER, TOTAL, World } from "./support/world";

const CLAIM = /^POST \/v1\/claims$/;
const COMMIT = /^POST \/v1\/commits$/;
const UPLOAD = /^PUT \/objects\//;

/** Point → the request that shows it, and whether it was carried out before the kill. */
const POINTS: readonly (readonly [string, RegExp, "before" | "after"])[] = [
  ["1: before attestation", /^POST \/kbs\/v0\/auth$/, "before"],
  ["1: attested", /^POST \/kbs\/v0\/attest$/, "after"],
  ["1: image key fetched", /^GET \/kbs\/v0\/resource\/[^/]+\/image\//, "after"],
  ["2: before the bundle", /^GET \/kbs\/v0\/resource\/[^/]+\/step\//, "before"],
  ["3: bundle fetched", /^GET \/kbs\/v0\/resource\/[^/]+\/step\//, "after"],
  ["4: before the claim", CLAIM, "before"],
  ["5-9: claim answered", CLAIM, "after"],
  ["10: before an input", /^GET \/objects\//, "before"],
  ["10: input read", /^GET \/objects\//, "after"],
  ["12: before an upload", UPLOAD, "before"],
  ["12: uploaded", UPLOAD, "after"],
  ["13: before the commit", COMMIT, "before"],
  ["13: committed, answer lost", COMMIT, "after"],
];

/** At each point once, one after the other: the next rule is set when the one before has struck. */
function atEachPoint(world: World, points: typeof POINTS, kill: (point: string) => Promise<void>): string[] {
  const struck: string[] = [];
  const ruleOf = ([point, on, when]: (typeof POINTS)[number], rest: typeof POINTS): Rule => ({
    on,
    async fault(x: Exchange) {
      struck.push(point);
      if (when === "after") await x.forward();
      await kill(point);
      x.cut();
      const [next, ...others] = rest;
      world.proxy.rules = next ? [ruleOf(next, others)] : [];
    },
  });
  const [first, ...others] = points;
  world.proxy.rules = first ? [ruleOf(first, others)] : [];
  return struck;
}

const reason = cannotRunGuests();
(reason ? describe.skip : describe)(`kill -9${reason ? ` (${reason})` : ""}`, () => {
  let world: World;
  beforeAll(async () => {
    world = await World.make(chainOf(20));
  }, 300_000);
  afterAll(() => world.close());
  beforeEach(() => {
    world.proxy.rules = [];
    world.events.length = 0;
  });
  const names = (points: typeof POINTS) => points.map(([point]) => point);

  test.each([
    ["the runner", RUNNER, 3],
    ["the guest", GUEST, 0],
  ] as const)(
    "of %s at each point: the step runs again and the run completes",
    async (_name, victim, from) => {
      // Before the bundle there is no runner.
      const points = POINTS.slice(from);
      let killed = 0;
      const struck = atEachPoint(world, points, async () => {
        killed += world.kill(victim) > 0 ? 1 : 0;
      });
      const run = await world.deployed.openRun();
      // One guest at a time: the victim is the one whose request struck.
      await world.carryOut(run, { parallel: 1 });
      expect(struck).toEqual(names(points));
      expect(killed).toBe(points.length);
      expect(await world.verified(run, "third-total")).toEqual(TOTAL);
      const starts = Object.values(world.starts()).reduce((a, b) => a + b, 0);
      expect(starts).toBeGreaterThanOrEqual(4 + points.length - 1);
    },
    600_000,
  );

  test("of the runner and of the guest while the program runs (11)", async () => {
    const run = await world.deployed.openRun();
    const victims = [RUNNER, GUEST];
    let killed = 0;
    await world.carryOut(run, {
      onEvent: ({ step, stage }) => {
        const victim = step === "first" && stage === "running" ? victims.shift() : undefined;
        // The program works for 700 ms.
        if (victim) sleep(300).then(() => (killed += world.kill(victim)));
      },
    });
    expect(killed).toBeGreaterThanOrEqual(2);
    expect(world.starts().first).toBe(3);
    expect(await world.verified(run, "third-total")).toEqual(TOTAL);
  }, 300_000);

  test("of KBS and ledger at each point: started again, they have lost nothing and the run goes on", async () => {
    const { ledger } = world.deployed;
    const struck = atEachPoint(world, POINTS, async (point) => {
      const before = await ledger.head();
      await world.killServices();
      await world.startServices();
      // The log extends what was seen; @throws when not.
      const after = await ledger.head(before.token);
      expect([point, after.size >= before.size]).toEqual([point, true]);
    });
    const run = await world.deployed.openRun();
    await world.carryOut(run);
    expect(struck).toEqual(names(POINTS));
    expect(await world.verified(run, "third-total")).toEqual(TOTAL);
    // A restart is waited for: no attempt is lost by it.
    expect(world.starts()).toEqual({ first: 1, second: 2, third: 1 });
  }, 600_000);

  test("of CLI and node in every phase: resumed, only what is missing runs", async () => {
    const phases = [
      /first: attesting/,
      /first: pulling/,
      /first: running/,
      /second\[\d\]: running/,
      /third: committing/,
    ];
    let resumed: string[] = [];
    for (const killOn of phases) {
      const { code } = await world.sealflow(["run", ...resumed], { killOn });
      expect(code).toBe(137);
      resumed = ["--resume"];
    }
    const last = await world.sealflow(["run", "--resume", "--json"]);
    expect([last.code, last.stderr]).toEqual([0, expect.not.stringMatching(/first: (attesting|running)/)]);
    const { run } = JSON.parse(last.stdout) as { run: string };
    expect(await world.verified(run, "third-total")).toEqual(TOTAL);
    // One run from the first to the last: a resume opens none.
    const runs = await world.deployed.ledger.runs(
      world.deployed.descriptor.pipelineUid,
      await world.deployed.readToken(),
    );
    expect(runs.filter(({ state }) => state === "open")).toEqual([]);
  }, 600_000);
});
