/**
 * What running costs: the runner for one empty step, control for a large pipeline, sealing of a large image.
 * SEALFLOW_BENCH_PARTS (such as `overhead,seal`) takes some of the parts only.
 */
import type { BenchOptions, Figure } from "./figure";
import { overhead } from "./run/overhead";
import { largePipeline } from "./run/pipeline";
import { sealing } from "./run/seal";

const PARTS = { overhead, seal: sealing, pipeline: largePipeline };

export async function run({ say }: BenchOptions): Promise<Figure[]> {
  const wanted = process.env.SEALFLOW_BENCH_PARTS?.split(",");
  const figures: Figure[] = [];
  for (const [name, part] of Object.entries(PARTS)) {
    if (!wanted || wanted.includes(name)) figures.push(...(await part(say)));
  }
  return figures;
}
