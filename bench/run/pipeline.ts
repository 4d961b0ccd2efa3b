/**
 * A large pipeline on the local backend: what control costs beside the steps' own work, and whether memory grows.
 * SEALFLOW_BENCH_STEPS changes its size (default 1000).
 */
import { readFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import type { KubernetesJob } from "../../policy";
import { runWorkload } from "../../untrusted/backend-local";
import { createNode, type SimulatedNode } from "../../untrusted/node";
import { type Figure, figure } from "../figure";
import { cpuSecondsOf, median } from "../support/machine";
import { type BenchStep, deploy } from "./deploy";

const STEPS = Number(process.env.SEALFLOW_BENCH_STEPS ?? 1000);
const FAN = 20;
const PLACES = availableParallelism();
/** For the whole of 1,000 steps; smaller pipelines may use their part. */
const CONTROL_SECONDS = (60 * STEPS) / 1000;
/** How much memory may grow from the first hundred steps on. */
const GROWTH = 1.25;
/** After so many steps memory is looked at. */
const LOOKS = [100, 500, 1000];

const PROGRAM = `require("node:fs").writeFileSync("/sealflow/out/x", "1")`;

/** One step, then again and again FAN of them side by side and one that reads all. */
export function fanOut(count: number): Record<string, BenchStep> {
  const outputs = { x: { format: "json" as const } };
  const steps: Record<string, BenchStep> = { "s-0": { inputs: {}, outputs } };
  const from = (step: string) => ({ from: `${step}.x`, format: "json" as const });
  let last = "s-0";
  for (let n = 1; n < count; ) {
    const side: string[] = [];
    for (; side.length < FAN && n < count; n++) side.push(`s-${n}`);
    for (const step of side) steps[step] = { inputs: { before: from(last) }, outputs };
    if (n === count) break;
    last = `s-${n++}`;
    steps[last] = { inputs: Object.fromEntries(side.map((step, i) => [`in-${i}`, from(step)])), outputs };
  }
  return steps;
}

interface Sample {
  readonly services: number;
  readonly control: number;
}

export async function largePipeline(say: (line: string) => void): Promise<Figure[]> {
  const graph = fanOut(STEPS);
  say(`pipeline of ${STEPS} steps: deploying`);
  const deployed = await deploy(PROGRAM, graph);
  try {
    const seconds = new Map<string, number>();
    const memory: Sample[] = [];
    const inner = createNode({ home: deployed.home, connection: deployed.connection });
    const names = new Map(Object.entries(deployed.jobs).map(([step, job]) => [job.metadata.name, step]));
    const node: SimulatedNode = {
      async runJob(job, options) {
        const end = await inner.runJob(job, options);
        seconds.set(names.get((job as KubernetesJob).metadata.name) ?? "", end.seconds);
        memory.push({ services: residentMiB(deployed.servicesPid), control: residentMiB(process.pid) });
        if (seconds.size % 100 === 0) say(`pipeline: ${seconds.size} of ${STEPS} steps`);
        return end;
      },
    };
    const started = performance.now();
    const cpu = process.cpuUsage();
    const servicesCpu = cpuOf(deployed.servicesPid);
    const run = await deployed.openRun();
    const ends = await runWorkload({ folder: deployed.folder, node, run });
    const total = (performance.now() - started) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    const bad = ends.filter(({ state }) => state !== "committed");
    if (bad.length > 0) throw new Error(`${bad.length} steps were not committed: ${JSON.stringify(bad[0])}`);
    const { state } = await deployed.status(run);
    if (state !== "succeeded") throw new Error(`the run ended ${state}`);

    const each = [...seconds.values()];
    const tenth = Math.max(1, Math.floor(STEPS / 10));
    const first = Math.min(100, Math.ceil(STEPS / 4));
    const looks = [...new Set([first, ...LOOKS.filter((steps) => steps < STEPS), STEPS])];
    const controlCpu = (user + system) / 1e6 + (cpuOf(deployed.servicesPid) - servicesCpu);
    const control = { against: CONTROL_SECONDS, atMost: CONTROL_SECONDS, unit: "s" };
    // The middle of some samples: what the collector has not taken yet comes and goes.
    const around = (steps: number, part: keyof Sample): number =>
      median(memory.slice(Math.max(0, steps - 11), steps).map((sample) => sample[part]));
    const grown = (what: string, part: keyof Sample) =>
      looks.map((steps) =>
        figure({
          name: `memory of ${what} after ${steps} steps`,
          value: around(steps, part),
          unit: "MiB",
          ...(steps === first
            ? {}
            : { against: Math.round(around(first, part)), atMost: Math.round(around(first, part) * GROWTH) }),
        }),
      );
    return [
      figure({
        name: `${STEPS} steps, fan-out ${FAN}: total less the same steps in an ideal schedule on ${PLACES} places`,
        value: total - idealSeconds(graph, seconds),
        ...control,
      }),
      figure({
        name: `  the same, counting places that idle beside a step that all wait for as control, too`,
        value: total - sum(each) / PLACES,
        ...control,
      }),
      figure({
        name: `  CPU time of all control (backend, node, ledger, KBS, store) over ${PLACES} cores`,
        value: controlCpu / PLACES,
        ...control,
      }),
      figure({ name: "  total", value: total, unit: "s" }),
      figure({ name: "  load of the machine at its end (1 minute)", value: loadavg()[0] ?? 0, unit: "processes" }),
      figure({ name: "  CPU time of backend and node, per step", value: (user + system) / 1000 / STEPS, unit: "ms" }),
      figure({
        name: "  CPU time of ledger, KBS and store, per step",
        value: (controlCpu * 1000 - (user + system) / 1000) / STEPS,
        unit: "ms",
      }),
      figure({
        name: "  a step of the last tenth, beside the first",
        value: mean(each.slice(-tenth)),
        unit: "s",
        against: Number(mean(each.slice(0, tenth)).toPrecision(3)),
      }),
      ...grown("ledger, KBS and store", "services"),
      ...grown("backend and node (the CLI's part)", "control"),
    ];
  } finally {
    await deployed.close();
  }
}

/**
 * How long the same steps take when starting one costs nothing: each begins when its producers have ended and a place is
 * free, in the order in which they became ready.
 */
export function idealSeconds(
  graph: Readonly<Record<string, BenchStep>>,
  seconds: ReadonlyMap<string, number>,
  places = PLACES,
): number {
  const waiting = new Map(
    Object.entries(graph).map(([step, { inputs }]) => [
      step,
      new Set(Object.values(inputs).flatMap(({ from }) => (from ? [from.split(".")[0] as string] : []))),
    ]),
  );
  const running: { step: string; end: number }[] = [];
  const ready: string[] = [];
  const look = () => {
    for (const [step, before] of waiting) {
      if (before.size > 0) continue;
      ready.push(step);
      waiting.delete(step);
    }
  };
  look();
  let now = 0;
  for (;;) {
    while (running.length < places && ready.length > 0) {
      const step = ready.shift() as string;
      running.push({ step, end: now + (seconds.get(step) ?? 0) });
    }
    const next = running.sort((a, b) => a.end - b.end).shift();
    if (!next) return now;
    now = next.end;
    for (const before of waiting.values()) before.delete(next.step);
    look();
  }
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]): number => sum(values) / Math.max(1, values.length);

function residentMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024;
}

/** Of a process that runs on. */
function cpuOf(pid: number): number {
  const cpu = cpuSecondsOf(pid);
  if (cpu === undefined) throw new Error(`process ${pid} has ended, so its CPU time is not known`);
  return cpu;
}
