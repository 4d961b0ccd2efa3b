import { progressOn, tableLines } from "../../cli/run/progress";

function output(isTTY: boolean) {
  const written: string[] = [];
  return { written, isTTY, columns: 60, write: (text: string) => written.push(text) };
}

const steps = new Map([
  ["split", 1],
  ["count", 2],
]);

test("without a terminal each change is one line with the time, and nothing is said twice", () => {
  let now = 0;
  const out = output(false);
  const progress = progressOn(out, steps, () => now);
  progress.update({ step: "split", shard: 0, attempt: 1, phase: "attesting" });
  now = 1500;
  progress.update({ step: "split", shard: 0, attempt: 1, phase: "running" });
  progress.update({ step: "split", shard: 0, attempt: 1, phase: "running" });
  progress.update({ step: "count", shard: 1, attempt: 2, phase: "failed", detail: "timeout" });
  progress.end();
  expect(out.written).toEqual([
    "[   0.0 s] split: attesting\n",
    "[   1.5 s] split: running\n",
    "[   1.5 s] count[1]: failed (attempt 2): timeout\n",
  ]);
});

test("on a terminal the table is drawn again in place, and notes stand above it", () => {
  const out = output(true);
  const progress = progressOn(out, steps, () => 0);
  progress.update({ step: "split", shard: 0, attempt: 1, phase: "pulling" });
  progress.note("guests are simulated");
  progress.end();
  const text = out.written.join("");
  expect(text).toContain("split  pulling");
  expect(text).toContain("\x1b[1A\x1b[2K\x1b[1A\x1b[2Kguests are simulated\n");
  expect(text).toMatch(/count {2}waiting +0\/2 shards\n$/);
});

test("a step's time runs from its first shard's start to its last shard's end", () => {
  let now = 1000;
  const progress = progressOn(output(false), steps, () => now);
  progress.update({ step: "count", shard: 0, attempt: 1, phase: "waiting" });
  now = 2000;
  progress.update({ step: "count", shard: 0, attempt: 1, phase: "running" });
  now = 3000;
  progress.update({ step: "count", shard: 0, attempt: 1, phase: "committed" });
  progress.update({ step: "count", shard: 1, attempt: 1, phase: "running" });
  now = 5000;
  progress.update({ step: "count", shard: 1, attempt: 1, phase: "committed" });
  now = 9000;
  const [split, count] = progress.states();
  expect(split).toMatchObject({ phase: "waiting", seconds: 0, ended: false });
  expect(count).toMatchObject({ phase: "committed", seconds: 3, ended: true, shardsEnded: 2 });
});

test("lines are cut to the terminal's width: a wrapped one could not be drawn over", () => {
  const progress = progressOn(output(false), steps, () => 0);
  progress.update({ step: "split", shard: 0, attempt: 3, phase: "retrying", detail: "x".repeat(100) });
  for (const line of tableLines(progress.states(), 40)) expect(line.length).toBeLessThan(40);
});
