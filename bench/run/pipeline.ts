/**
 * A large pipeline on the local backend: what control costs beside the steps' own work, and whether memory grows.
 * SEALFLOW_BENCH_STEPS changes its size (default 1000).
 */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { runWorkload } from "../../untrusted/backend-local";
import { createNode, type SimulatedNode } from "../../untrusted/node";
import { type Figure, figure } from "../figure";
import { type BenchStep, deploy } from "./deploy";

const STEPS = Number(process.env.SEALFLOW_BENCH_STEPS ?? 1000);
const FAN = 20;
/** For the whole of 1,000 steps; smaller pipelines may use their part. */
const CONTROL_SECONDS = (60 * STEPS) / 1000;
/** How much memory may grow from the end of the first quarter. */
const GROWTH = 1.25;

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

export async function largePipeline(say: (line: string) => void): Promise<Figure[]> {
  say(`pipeline of ${STEPS} steps: deploying`);
  const deployed = await deploy(PROGRAM, fanOut(STEPS));
  try {
    const seconds: number[] = [];
    const memory: { services: number; control: number }[] = [];
    const inner = createNode({ home: deployed.home, connection: deployed.connection });
    const node: SimulatedNode = {
      async runJob(job, options) {
        const end = await inner.runJob(job, options);
        seconds.push(end.seconds);
        memory.push({ services: residentMiB(deployed.servicesPid), control: residentMiB(process.pid) });
        if (seconds.length % 100 === 0) say(`pipeline: ${seconds.length} of ${STEPS} steps`);
        return end;
      },
    };
    const started = performance.now();
    const run = await deployed.openRun();
    await runWorkload({ folder: deployed.folder, node, run });
    const total = (performance.now() - started) / 1000;
    const { state } = await deployed.status(run);
    if (state !== "succeeded") throw new Error(`the run ended ${state}`);
    // Idle places count as control: those beside a step that all others wait for, too.
    const work = sum(seconds) / availableParallelism();
    const quarter = memory[Math.floor(memory.length / 4)] ?? { services: 0, control: 0 };
    const last = memory.at(-1) ?? quarter;
    const grown = (what: string, value: number, against: number) =>
      figure({ name: what, value, unit: "MiB", against, atMost: Math.round(against * GROWTH) });
    const tenth = Math.max(1, Math.floor(seconds.length / 10));
    return [
      figure({
        name: `${STEPS} steps, fan-out ${FAN}: control (total less work on ${availableParallelism()} cores)`,
        value: total - work,
        unit: "s",
        against: CONTROL_SECONDS,
        atMost: CONTROL_SECONDS,
      }),
      figure({ name: "  total", value: total, unit: "s" }),
      figure({
        name: "  a step of the last tenth, beside the first",
        value: mean(seconds.slice(-tenth)),
        unit: "s",
        against: mean(seconds.slice(0, tenth)),
      }),
      grown("memory of ledger, KBS and store at the end, beside after a quarter", last.services, quarter.services),
      grown("memory of backend and node at the end, beside after a quarter", last.control, quarter.control),
    ];
  } finally {
    await deployed.close();
  }
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]): number => sum(values) / Math.max(1, values.length);

function residentMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024;
}
