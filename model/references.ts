/** What references name: existence, formats, shards, cycles. Looks only at what has its form; the schema tells the rest. */
import { FORMATS } from "../protocol/formats";
import type { Problem } from "./errors";
import { cycles } from "./graph";
import { entries, isObject } from "./plain";
import { didYouMean, listed } from "./suggest";

interface Step {
  /** undefined when it is out of range, which is told elsewhere. */
  readonly shards: number | undefined;
  /** undefined for a format that does not exist. */
  readonly outputs: ReadonlyMap<string, string | undefined>;
}

export interface Names {
  readonly inputs: ReadonlyMap<string, string | undefined>;
  readonly steps: ReadonlyMap<string, Step>;
  readonly stepNames: readonly string[];
}

const formatOf = (declared: unknown): string | undefined => {
  const format = isObject(declared) ? declared.format : declared;
  return (FORMATS as readonly unknown[]).includes(format) ? (format as string) : undefined;
};

export function namesOf(spec: Readonly<Record<string, unknown>>): Names {
  const formats = (table: unknown) => new Map(entries(table).map(([name, declared]) => [name, formatOf(declared)]));
  const shards = ({ shards: n = 1 }: Readonly<Record<string, unknown>>) =>
    typeof n === "number" && n >= 1 && n <= 1000 ? n : undefined;
  const step = (s: unknown): Step =>
    isObject(s) ? { shards: shards(s), outputs: formats(s.outputs) } : { shards: undefined, outputs: new Map() };
  const steps = new Map(entries(spec.steps).map(([name, s]) => [name, step(s)]));
  return { inputs: formats(spec.inputs), steps, stepNames: [...steps.keys()] };
}

export function referenceProblems(spec: Readonly<Record<string, unknown>>): Problem[] {
  const names = namesOf(spec);
  if (names.steps.size === 0) return []; // then every reference is wrong, for a reason that is told already
  const problems: Problem[] = [];
  const missing = (from: string) => unknownReference(from, names, problems.length < MAX_SUGGESTIONS);
  const after = new Map([...names.steps.keys()].map((name) => [name, new Set<string>()]));
  for (const [name, step] of entries(spec.steps)) {
    let objects = 0;
    for (const [input, source] of entries(isObject(step) ? step.inputs : undefined)) {
      const at = `steps.${name}.inputs.${input}`;
      const from = isObject(source) ? source.from : source;
      if (typeof from !== "string" || from === "") continue;
      const unknown = missing(from);
      if (unknown !== undefined) {
        problems.push({ code: "REFERENCE", at, message: unknown });
        continue;
      }
      problems.push(...inputProblems(at, from, name, isObject(source) ? source : {}, names));
      const producer = from.includes(".") ? (from.split(".")[0] as string) : undefined;
      if (producer !== undefined) after.get(name)?.add(producer);
      const all = producer !== undefined && isObject(source) && source.collect === true;
      objects += all ? (names.steps.get(producer)?.shards ?? 1) : 1;
    }
    if (objects > MAX_OBJECTS) {
      const message = `${objects} objects are too many. The most is ${MAX_OBJECTS}; collect them in two stages`;
      problems.push({ code: "LIMIT", at: `steps.${name}.inputs`, message });
    }
    const when = isObject(step) ? step.when : undefined;
    if (!isObject(when) || typeof when.from !== "string" || when.from === "") continue;
    const wrong = missing(when.from) ?? conditionProblem(when.from, spec.steps);
    if (wrong !== undefined) problems.push({ code: "REFERENCE", at: `steps.${name}.when.from`, message: wrong });
    else after.get(name)?.add(when.from.split(".")[0] as string);
  }
  for (const path of cycles(after)) problems.push(cycleProblem(path));
  return [...problems, ...releaseProblems(spec.releases, missing)];
}

/** @returns why an output that exists is no condition. */
function conditionProblem(from: string, steps: unknown): string | undefined {
  const [step, output] = from.split(".") as [string, string?];
  if (output === undefined) return `"${from}" is a pipeline input. A condition is a declassified output of a step`;
  const producer = isObject(steps) ? steps[step] : undefined;
  const declared = isObject(producer) && isObject(producer.outputs) ? producer.outputs[output] : undefined;
  if (isObject(declared) && declared.declassify !== undefined) return undefined;
  return `"${from}" is not declassified, and whether a step runs tells it to everybody. Write { format: "json", declassify: "<reason>" } for the output, or decide inside a step`;
}

function cycleProblem(path: readonly string[]): Problem {
  const [step] = path as [string];
  if (path.length === 2) {
    const message = "the step reads its own output. Read another step's";
    return { code: "CYCLE", at: `steps.${step}.inputs`, message };
  }
  const message = `steps wait for each other: ${path.join(" → ")}. Remove one of these inputs`;
  return { code: "CYCLE", at: "steps", message };
}

/** That a step reads: its receipt names no more (protocol/messages/receipt.ts). */
const MAX_OBJECTS = 5000;

/** Looking for the nearest of thousands of names takes its time; after this many problems nobody reads on. */
const MAX_SUGGESTIONS = 20;

/** @returns what is wrong with a reference; undefined when it names something. */
function unknownReference(from: string, { inputs, steps, stepNames }: Names, suggest: boolean): string | undefined {
  const hint = (found: string, known: () => readonly string[]) => (suggest ? didYouMean(found, known()) : "");
  const shown = JSON.stringify(from.slice(0, 90));
  const [step, output, ...more] = from.split(".") as [string, string?, ...string[]];
  if (more.length > 0) return `${shown} is no reference. Write "step.output", or the name of a pipeline input`;
  if (output === undefined) {
    if (inputs.has(step)) return undefined;
    const whole = steps.get(step);
    if (whole) {
      const outputs = [...whole.outputs.keys()];
      if (outputs.length === 0) return `${shown} is a step without outputs. Give it one, and name that`;
      return `${shown} is a step. Name one of its outputs: ${listed(outputs.map((o) => `"${step}.${o}"`))}`;
    }
    const known = [...inputs.keys()];
    const outputs = () => [...steps].flatMap(([name, s]) => [...s.outputs.keys()].map((o) => `${name}.${o}`));
    return `there is no pipeline input ${shown} (has ${listed(known)}).${hint(from, () => [...known, ...outputs()])}`;
  }
  const producer = steps.get(step);
  if (!producer) {
    const known = stepNames;
    return `there is no step "${step.slice(0, 60)}" (has ${listed(known)}).${hint(step, () => known)}`;
  }
  if (producer.outputs.has(output)) return undefined;
  const known = [...producer.outputs.keys()];
  return `step "${step}" has no output "${output.slice(0, 60)}" (has ${listed(known)}).${hint(output, () => known)}`;
}

/** Format and shards of an input whose reference names something. */
function inputProblems(
  at: string,
  from: string,
  reader: string,
  source: Readonly<Record<string, unknown>>,
  { inputs, steps }: Names,
): Problem[] {
  const problems: Problem[] = [];
  const [step, output] = from.split(".") as [string, string?];
  const producer = output === undefined ? undefined : steps.get(step);
  const yields = output === undefined ? inputs.get(step) : producer?.outputs.get(output);
  const wanted = formatOf(source.format);
  if (wanted !== undefined && yields !== undefined && wanted !== yields) {
    const message = `the step reads ${wanted}, but "${from}" is ${yields}. Read an output that is ${wanted}, or change the step's declaration`;
    problems.push({ code: "FORMAT", at, message });
  }
  if (producer === undefined) {
    if (source.collect === true) {
      problems.push({ code: "SHARDS", at, message: `"${from}" is a pipeline input and has no shards. Remove collect` });
    }
    return problems;
  }
  const own = steps.get(reader)?.shards;
  if (own === undefined || producer.shards === undefined) return problems;
  if (source.collect !== true && producer.shards !== 1 && producer.shards !== own) {
    const message = `step "${step}" has ${producer.shards} shards and this step has ${own}. Collect them, or make the numbers equal`;
    problems.push({ code: "SHARDS", at, message });
  }
  return problems;
}

function releaseProblems(releases: unknown, missing: (from: string) => string | undefined): Problem[] {
  const problems: Problem[] = [];
  const perStep = new Map<string, number>();
  for (const [name, release] of entries(releases)) {
    const at = `releases.${name}`;
    const from = isObject(release) ? release.from : release;
    if (typeof from !== "string" || from === "") continue;
    const unknown = missing(from);
    if (unknown !== undefined) {
      problems.push({ code: "REFERENCE", at, message: unknown });
    } else if (!from.includes(".")) {
      const message = `"${from}" is a pipeline input, which its owner has already. Release an output of a step`;
      problems.push({ code: "REFERENCE", at, message });
    } else {
      const step = from.split(".")[0] as string;
      perStep.set(step, (perStep.get(step) ?? 0) + 1);
    }
  }
  for (const [step, count] of perStep) {
    if (count <= 100) continue;
    const message = `${count} releases of step "${step}" are too many. The most is 100; put the files into one tar`;
    problems.push({ code: "LIMIT", at: "releases", message });
  }
  return problems;
}
