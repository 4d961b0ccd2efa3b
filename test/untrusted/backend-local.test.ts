/** The local workflow engine with a node that only notes what it was asked to run. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { runWorkload, type StepEvent } from "../../untrusted/backend-local";
import type { JobEnd, RunJobOptions } from "../../untrusted/node";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "backend-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

type Step = { after?: string[]; shards?: number; retryLimit?: number };
function workload(steps: Record<string, Step>): void {
  const all = Object.entries(steps).map(([name, step]) => {
    writeFileSync(join(folder, `${name}.job.json`), JSON.stringify({ name }));
    const backoff = { seconds: 0.01, factor: 2, maxSeconds: 0.05 };
    return [name, { job: `${name}.job.json`, after: [], shards: 1, retryLimit: 1, backoff, ...step }] as const;
  });
  const content = { v: 1, pipeline: "p", stack: "s", steps: Object.fromEntries(all) };
  writeFileSync(join(folder, "workload.json"), JSON.stringify(content));
}

/** @param exits step → exit codes of its starts, in order; 0 when they are used up. */
function fakeNode(exits: Record<string, number[]> = {}, ms = 5) {
  const log: string[] = [];
  let now = 0;
  let most = 0;
  return {
    log,
    most: () => most,
    async runJob(job: unknown, { shard = 0, runHint, onEvent, signal }: RunJobOptions = {}): Promise<JobEnd> {
      const { name } = job as { name: string };
      most = Math.max(most, ++now);
      log.push(`+${name}${shard}`);
      onEvent?.({ stage: "running", at: 1 });
      await sleep(ms, undefined, signal ? { signal } : {}).catch(() => undefined);
      now--;
      log.push(`-${name}${shard}`);
      expect(runHint).toBe("f".repeat(64));
      const exitCode = signal?.aborted ? 137 : (exits[name]?.shift() ?? 0);
      return { exitCode, seconds: 0, mode: "namespaces", ...(exitCode === 0 ? { end: "committed" } : { code: "X" }) };
    },
  };
}

const run = (node: ReturnType<typeof fakeNode>, more: object = {}) =>
  runWorkload({ folder, node, run: "f".repeat(64), parallel: 2, ...more });
const states = (ends: Awaited<ReturnType<typeof run>>) => Object.fromEntries(ends.map((e) => [e.step, e.state]));

test("a step starts when all it reads from are committed, independent ones side by side, never more than allowed", async () => {
  workload({ end: { after: ["b", "c", "d"] }, b: { after: ["a"] }, c: { after: ["a"] }, d: { after: ["a"] }, a: {} });
  const node = fakeNode();
  expect(states(await run(node))).toEqual({
    a: "committed",
    b: "committed",
    c: "committed",
    d: "committed",
    end: "committed",
  });
  expect(node.log.slice(0, 2)).toEqual(["+a0", "-a0"]);
  expect(node.log.slice(2, 4).map((entry) => entry[0])).toEqual(["+", "+"]);
  expect(node.log.slice(-2)).toEqual(["+end0", "-end0"]);
  expect(node.most()).toBe(2);
});

test("every shard is a pod of its own", async () => {
  workload({ a: { shards: 3 } });
  const node = fakeNode();
  expect(states(await run(node))).toEqual({ a: "committed" });
  expect(node.log.filter((l) => l.startsWith("+"))).toEqual(["+a0", "+a1", "+a2"]);
});

test.each<[string, number[], string, number]>([
  ["40 twice, one retry", [40, 40], "failed", 2],
  ["40 once", [40], "committed", 2],
  ["41, 50, 32 and 30 count alike", [41, 50], "failed", 2],
  ["20 is final", [20], "failed", 1],
  ["31 is final", [31], "failed", 1],
  ["10 uses up no attempt of the step", [10, 10, 40], "committed", 4],
  ["10 for ever comes to an end", [10, 10, 10, 10, 10, 10, 10, 10], "failed", 5],
])("exit codes: %s", async (_what, exits, state, starts) => {
  workload({ a: { retryLimit: 1 } });
  const node = fakeNode({ a: exits });
  expect(states(await run(node))).toEqual({ a: state });
  expect(node.log.filter((l) => l === "+a0")).toHaveLength(starts);
});

test("what follows a failed step is skipped, what does not goes on", async () => {
  workload({ a: { retryLimit: 0 }, b: { after: ["a"] }, c: { after: ["b"] }, other: {}, more: { after: ["other"] } });
  const node = fakeNode({ a: [40] });
  expect(states(await run(node))).toEqual({
    a: "failed",
    b: "skipped",
    c: "skipped",
    other: "committed",
    more: "committed",
  });
});

test("steps that were committed in an earlier try are not started again", async () => {
  workload({ a: {}, b: { after: ["a"] } });
  const node = fakeNode();
  await run(node, { done: new Map([["a", 1]]) });
  expect(node.log).toEqual(["+b0", "-b0"]);
});

test("cancelling ends what runs and starts nothing else", async () => {
  workload({ a: { retryLimit: 5 }, b: { after: ["a"] } });
  const node = fakeNode({}, 10_000);
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 30);
  expect(states(await run(node, { signal: stop.signal }))).toEqual({ a: "failed", b: "skipped" });
  expect(node.log).toEqual(["+a0", "-a0"]);
});

test("events tell each start and how it ended", async () => {
  workload({ a: {} });
  const events: StepEvent[] = [];
  await run(fakeNode({ a: [40] }), { onEvent: (event: StepEvent) => events.push(event) });
  expect(events.map((e) => `${e.attempt} ${e.stage} ${e.detail ?? ""}`.trim())).toEqual([
    "1 running",
    "1 retrying exit 40: X",
    "2 running",
    "2 committed",
  ]);
});

test.each([
  ["no folder", () => rmSync(join(folder, "workload.json"), { force: true }), "WORKLOAD_MISSING"],
  ["no JSON", () => writeFileSync(join(folder, "workload.json"), "{"), "WORKLOAD"],
  ["another form", () => writeFileSync(join(folder, "workload.json"), `{"v":2}`), "SHAPE"],
  ["an unknown dependency", () => workload({ a: { after: ["nobody"] } }), "WORKLOAD"],
])("a workload with %s is refused", async (_what, prepare, code) => {
  prepare();
  await expect(run(fakeNode())).rejects.toMatchObject({ code });
});
