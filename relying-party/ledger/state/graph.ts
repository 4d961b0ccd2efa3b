/** Questions about a descriptor's graph that claims and commits share. */
import { stepsBefore } from "../../../protocol/conditions";
import type { Descriptor, DescriptorStep } from "../../../protocol/messages";
import { parseEdgeName } from "../../../protocol/names";

/** Name of the encrypted log among a step's objects; no output may have it. */
export const LOG = "log";

/** Inputs of the pipeline that every run request pins another pipeline's release for. */
export const importedInputs = (d: Descriptor): Set<string> =>
  new Set(
    Object.values(d.steps).flatMap(({ inputs }) =>
      Object.values(inputs).flatMap(({ imported }) => (imported ? [imported.input] : [])),
    ),
  );

/**
 * Which shards of the producer an input has: all when collected, the only one of an unsharded producer, else its own.
 */
export function shardsOfInput(
  d: Descriptor,
  input: DescriptorStep["inputs"][string],
  shard: number,
): { producer: string; output: string; shards: number[] } | undefined {
  if (!input.from) return undefined;
  const { step: producer, output } = parseEdgeName(input.from);
  const count = d.steps[producer]?.limits.shards ?? 0;
  const shards = input.collect ? [...Array(count).keys()] : [count === 1 ? 0 : shard];
  return { producer, output, shards };
}

/** Releases that a step's commit carries: release → recipients. The owner is always one. */
export function releasesOf(d: Descriptor, step: string): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const [release, { from, recipients }] of Object.entries(d.releases)) {
    if (parseEdgeName(from).step === step) found.set(release, new Set(["owner", ...recipients]));
  }
  return found;
}

/** Contradictions inside a descriptor; empty when it holds together. */
export function graphProblems(d: Descriptor): string[] {
  const problems: string[] = [];
  const steps = new Map(Object.entries(d.steps));
  if (steps.size === 0) problems.push("steps: there are none");
  if (!Object.hasOwn(d.recipients, "owner")) problems.push('recipients: "owner" is missing');
  const hasEdge = (edge: string): boolean => {
    const { step, output } = parseEdgeName(edge);
    return Object.hasOwn(steps.get(step)?.outputs ?? {}, output);
  };

  const ids = new Map<string, string>();
  for (const [name, step] of steps) {
    const twin = ids.get(step.programId);
    if (twin) problems.push(`steps.${name}: has the programId of ${twin}`);
    ids.set(step.programId, name);
    if (Object.hasOwn(step.outputs, LOG)) problems.push(`steps.${name}.outputs: "${LOG}" is reserved`);
    for (const [input, source] of Object.entries(step.inputs)) {
      problems.push(...sourceProblems(d, `steps.${name}.inputs.${input}`, step, source, hasEdge));
    }
    problems.push(...conditionProblems(d, name, step, hasEdge));
  }
  if (d.schedules && importedInputs(d).size > 0) {
    problems.push("schedules: a slot pins no release of another pipeline, and this one reads some");
  }
  for (const [release, { from, recipients }] of Object.entries(d.releases)) {
    if (!hasEdge(from)) problems.push(`releases.${release}: there is no output ${from}`);
    for (const r of recipients) {
      if (!Object.hasOwn(d.recipients, r)) problems.push(`releases.${release}: there is no recipient "${r}"`);
    }
  }
  if (problems.length === 0) problems.push(...cycleProblems(steps));
  return problems;
}

/** A bit is one value: of a step without shards, declared as such. */
function conditionProblems(
  d: Descriptor,
  name: string,
  { when, outputs, limits }: DescriptorStep,
  hasEdge: (edge: string) => boolean,
): string[] {
  const problems: string[] = [];
  const bits = Object.entries(outputs).filter(([, { declassify }]) => declassify !== undefined);
  for (const [output, { format }] of bits) {
    if (format !== "json") problems.push(`steps.${name}.outputs.${output}: a declassified output is json`);
  }
  if (bits.length > 0 && limits.shards !== 1) problems.push(`steps.${name}: declassifies a bit and has shards`);
  if (!when) return problems;
  const { step, output } = parseEdgeName(when.from);
  if (!hasEdge(when.from)) problems.push(`steps.${name}.when: there is no output ${when.from}`);
  else if (d.steps[step]?.outputs[output]?.declassify === undefined) {
    problems.push(`steps.${name}.when: ${when.from} is not declassified`);
  }
  return problems;
}

function sourceProblems(
  d: Descriptor,
  at: string,
  step: DescriptorStep,
  source: DescriptorStep["inputs"][string],
  hasEdge: (edge: string) => boolean,
): string[] {
  const given = [source.from, source.dataset, source.imported].filter((s) => s !== undefined);
  if (given.length !== 1) return [`${at}: needs one of from, dataset, imported`];
  if (source.imported !== undefined) {
    const twin = Object.hasOwn(d.datasets, source.imported.input);
    return twin ? [`${at}: "${source.imported.input}" is a dataset, too`] : [];
  }
  if (source.dataset !== undefined) {
    return Object.hasOwn(d.datasets, source.dataset) ? [] : [`${at}: there is no dataset "${source.dataset}"`];
  }
  const from = source.from as string;
  if (!hasEdge(from)) return [`${at}: there is no output ${from}`];
  const count = d.steps[parseEdgeName(from).step]?.limits.shards;
  if (!source.collect && count !== 1 && count !== step.limits.shards) {
    return [`${at}: ${from} has ${count} shards and the step has ${step.limits.shards}; collect, or make them equal`];
  }
  return [];
}

/** Kahn's algorithm: what is left after all steps without waiting producers were taken away is in a cycle. */
function cycleProblems(steps: ReadonlyMap<string, DescriptorStep>): string[] {
  const waiting = new Map([...steps].map(([name, step]) => [name, new Set(stepsBefore(step))]));
  const consumers = new Map<string, string[]>();
  for (const [name, producers] of waiting) {
    for (const p of producers) consumers.set(p, [...(consumers.get(p) ?? []), name]);
  }
  const ready = [...waiting].filter(([, producers]) => producers.size === 0).map(([name]) => name);
  for (let name = ready.pop(); name !== undefined; name = ready.pop()) {
    waiting.delete(name);
    for (const consumer of consumers.get(name) ?? []) {
      const left = waiting.get(consumer);
      left?.delete(name);
      if (left?.size === 0) ready.push(consumer);
    }
  }
  return waiting.size === 0 ? [] : [`steps: ${[...waiting.keys()].sort().join(", ")} wait for each other`];
}
