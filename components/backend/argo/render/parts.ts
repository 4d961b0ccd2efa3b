/**
 * Splits a pipeline whose Jobs do not fit into one object. Argo copies a whole template into each Workflow made from it,
 * templates of other objects as well, so parts are Workflows of their own. Steps stay in the order of their edges: a part
 * starts when all parts that it reads from have ended, so levels of the graph are kept together as far as they fit.
 */

export interface PartStep {
  readonly name: string;
  readonly after: readonly string[];
  readonly shards: number;
}

export interface Part {
  /** In an order in which they can run. */
  readonly steps: readonly string[];
  /** Numbers of parts that it waits for; all of them lower than its own. */
  readonly after: readonly number[];
  /** Its steps of several shards, and how many each has. */
  readonly sharded: readonly string[];
  readonly shards: readonly number[];
}

/**
 * Steps of one part, unless the program says otherwise. A Job with its initdata is 8 to 12 kB and stands twice in a Workflow
 * that has started it (MAX_TEMPLATE_BYTES), beside 1 to 4 kB of states.
 */
export const STEPS_PER_PART = 36;

/** @param steps every one after all it waits for. @returns one part when all fit into it. */
export function partsOf(steps: readonly PartStep[], most = STEPS_PER_PART): Part[] {
  const groups = steps.length <= most ? [[...steps]] : groupsOf(levelsOf(steps), most);
  const home = new Map(groups.flatMap((group, part) => group.map(({ name }) => [name, part] as const)));
  return groups.map((group, part) => {
    const sharded = group.filter(({ shards }) => shards > 1);
    const after = new Set(group.flatMap((step) => step.after.map((other) => home.get(other) ?? part)));
    after.delete(part);
    return {
      steps: group.map(({ name }) => name),
      after: [...after].sort((a, b) => a - b),
      sharded: sharded.map(({ name }) => name),
      shards: sharded.map(({ shards }) => shards),
    };
  });
}

/** Steps by the longest way to them. */
function levelsOf(steps: readonly PartStep[]): PartStep[][] {
  const depth = new Map<string, number>();
  const levels: PartStep[][] = [];
  for (const step of steps) {
    const level = Math.max(0, ...step.after.map((other) => (depth.get(other) ?? 0) + 1));
    depth.set(step.name, level);
    levels[level] = [...(levels[level] ?? []), step];
  }
  return levels;
}

function groupsOf(levels: readonly PartStep[][], most: number): PartStep[][] {
  const groups: PartStep[][] = [[]];
  for (const level of levels) {
    const last = groups.at(-1) as PartStep[];
    if (last.length + level.length <= most) {
      last.push(...level);
      continue;
    }
    // Equal shares; the steps of one level do not wait for each other, and neither do these parts.
    const count = Math.ceil(level.length / most);
    const share = Math.ceil(level.length / count);
    for (let i = 0; i < level.length; i += share) groups.push(level.slice(i, i + share));
  }
  return groups.filter((group) => group.length > 0);
}
