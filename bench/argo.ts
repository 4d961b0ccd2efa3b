/**
 * The pace of Argo: a fan-out of SEALFLOW_BENCH_STEPS (default 300) steps in parts, on a real API server with the real
 * controller and executors. Guests are left out: a step is an ordinary pod whose program is `true`. First the controller
 * alone, while there is no node, then a whole run.
 */
import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { clusterMissing } from "../tools/cluster";
import { cpuSeconds, since } from "./argo/spent";
import { World } from "./argo/world";
import { type BenchOptions, type Figure, figure } from "./figure";

const STEPS = Number(process.env.SEALFLOW_BENCH_STEPS ?? 300);
/** Steps of a part that are started at the same time: executors are what takes memory. */
const PARALLELISM = 4;
const CORES = availableParallelism();

export async function run({ say }: BenchOptions): Promise<Figure[]> {
  const missing = clusterMissing({ argo: true });
  if (missing) throw new Error(`no cluster to measure: ${missing}`);
  const world = await World.create(STEPS, PARALLELISM);
  try {
    return [...(await alone(world, say)), ...(await whole(world, say))];
  } finally {
    await world.close();
  }
}

/** Every step may start at once, and none ends: how fast the controller makes executors' pods. */
async function alone(world: World, say: BenchOptions["say"]): Promise<Figure[]> {
  const before = cpuSeconds(world.cluster.dir);
  const started = performance.now();
  for (const part of world.parts) await world.submit(`${part}-free`);
  for (;;) {
    const made = await world.executors();
    if (made >= STEPS) break;
    await sleep(200);
  }
  const seconds = (performance.now() - started) / 1000;
  const { controller } = since(before, cpuSeconds(world.cluster.dir));
  say(`${STEPS} executors made in ${seconds.toFixed(1)} s, controller's CPU ${controller.toFixed(1)} s`);
  await world.clear();
  const what = `${STEPS} steps in ${world.parts.length} parts, controller alone`;
  return [
    figure({ name: `${what}: steps started`, value: STEPS / seconds, unit: "1/s" }),
    figure({ name: `${what}: its CPU time for a step`, value: (controller / STEPS) * 1000, unit: "ms" }),
  ];
}

async function whole(world: World, say: BenchOptions["say"]): Promise<Figure[]> {
  const stop = await world.startNode(CORES * 2);
  try {
    const before = cpuSeconds(world.cluster.dir);
    const started = performance.now();
    const { metadata } = await world.submit("fan");
    await world.ended(metadata.name);
    const seconds = (performance.now() - started) / 1000;
    const spent = since(before, cpuSeconds(world.cluster.dir));
    say(`${STEPS} steps from submission to end: ${seconds.toFixed(1)} s`);
    const what = `${STEPS} steps that do nothing, in ${world.parts.length} parts`;
    return [
      figure({ name: `${what}: submission to end`, value: seconds, unit: "s" }),
      figure({ name: `${what}: steps ended`, value: STEPS / seconds, unit: "1/s" }),
      ...Object.entries(spent).map(([part, cpu]) =>
        figure({ name: `${what}: CPU time for a step, ${part}`, value: (cpu / STEPS) * 1000, unit: "ms" }),
      ),
    ];
  } finally {
    await stop();
  }
}
