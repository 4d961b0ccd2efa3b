/**
 * What Pulumi costs for pipelines of many steps on this machine's platform: first `up`, preview, an `up` that changes
 * nothing, removal; beside as many resources of a provider that does nothing. SEALFLOW_BENCH_SIZES (default
 * `10,100,500`) changes the sizes. Goals hold for 500 steps on two cores.
 */
import { availableParallelism } from "node:os";
import type { BenchOptions, Figure } from "./figure";
import { figure } from "./figure";
import type { Bed, Timed } from "./pulumi/bed";
import { pipelineProject, trivialProject } from "./pulumi/projects";
import { isBusy } from "./support/machine";

const CORES = availableParallelism();

const SIZES = (process.env.SEALFLOW_BENCH_SIZES ?? "10,100,500").split(",").map(Number);
/** Steps, seconds and MiB of the goals. */
const GOAL = { steps: 500, preview: 25, same: 30, memory: 700 };

export async function run({ say }: BenchOptions): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const steps of SIZES) figures.push(...(await measured(steps, say)));
  return figures;
}

interface Round {
  readonly up: Timed;
  readonly preview: Timed;
  readonly same: Timed;
  readonly destroy: Timed;
  readonly resources: number;
}

async function measured(steps: number, say: (line: string) => void): Promise<Figure[]> {
  const busy = isBusy();
  const round = async (bed: Bed, title: string): Promise<Round> => {
    try {
      const timed = async (word: string, ...args: string[]) => {
        const result = await bed.pulumi(...args);
        const { seconds, cpu, memoryMiB } = result;
        say(`${title}: ${word} ${seconds.toFixed(1)} s, CPU ${cpu.toFixed(1)} s, ${Math.round(memoryMiB)} MiB`);
        return result;
      };
      const up = await timed("first up", "up", "--yes", "--skip-preview");
      const resources = await bed.resources();
      const preview = await timed("preview", "preview", "--expect-no-changes");
      const same = await timed("up without changes", "up", "--yes", "--skip-preview", "--expect-no-changes");
      const destroy = await timed("removal", "destroy", "--yes", "--skip-preview");
      return { up, preview, same, destroy, resources };
    } finally {
      await bed.close();
    }
  };
  const ours = await round(await pipelineProject(steps), `${steps} steps`);
  const trivial = await round(await trivialProject(ours.resources), `${ours.resources} trivial resources`);
  const took = ({ seconds, cpu }: Timed): number => (busy ? cpu / CORES : seconds);
  const limit = (value: number) => (steps === GOAL.steps ? { atMost: value } : {});
  const beside = (name: string, of: (round: Round) => Timed, goal = {}) =>
    figure({
      name: `${steps} steps (${ours.resources} resources): ${name}${busy ? `, CPU time over ${CORES} cores` : ""}`,
      value: took(of(ours)),
      unit: "s",
      against: Number(took(of(trivial)).toPrecision(3)),
      ...goal,
    });
  const memory = (...of: Timed[]) => Math.max(...of.map(({ memoryMiB }) => memoryMiB));
  return [
    beside("first up", ({ up }) => up),
    beside("preview", ({ preview }) => preview, limit(GOAL.preview)),
    beside("up without changes", ({ same }) => same, limit(GOAL.same)),
    beside("removal", ({ destroy }) => destroy),
    figure({
      name: `${steps} steps: most memory of engine, program and provider, preview and up without changes`,
      value: memory(ours.preview, ours.same),
      unit: "MiB",
      ...limit(GOAL.memory),
    }),
    // The engine writes the whole state anew after each resource, and its collector is generous then.
    figure({
      name: `${steps} steps: the same, first up and removal`,
      value: memory(ours.up, ours.destroy),
      unit: "MiB",
      against: Math.round(memory(trivial.up, trivial.destroy)),
    }),
  ];
}
