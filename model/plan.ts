/** A checked spec, resolved: what sealing, deploying and running a pipeline need to know of it. Pure. */

import { stepsBefore } from "../protocol/conditions";
import type { Program } from "../protocol/messages/program";
import { checkSpec } from "./check";
import { topological } from "./graph";
import { seconds } from "./quantities";
import type { Format, FormatSpec, ImageSource, InputSpec, Json, PipelineSpec, ReleaseSpec, StepSpec } from "./spec";

export interface Plan {
  readonly name: string;
  readonly description?: string;
  /** Datasets, in the order of the spec. */
  readonly inputs: readonly PlanInput[];
  /** Every step after all it waits for. */
  readonly steps: readonly PlanStep[];
  /** Every input that comes from a step. */
  readonly edges: readonly PlanEdge[];
  readonly releases: readonly PlanRelease[];
  readonly schedules: readonly PlanSchedule[];
}

export interface PlanSchedule {
  readonly name: string;
  /** Five fields, UTC. */
  readonly cron: string;
  readonly lateSeconds: number;
}

export interface PlanInput {
  readonly name: string;
  readonly format: Format;
  readonly allowUnsafeFormat?: string;
  /** Steps that read it. */
  readonly readers: readonly string[];
}

export interface PlanEdge {
  /** `step.output`. */
  readonly from: string;
  /** Producer. */
  readonly step: string;
  readonly output: string;
  /** Reading step, and the name of its input. */
  readonly to: string;
  readonly input: string;
  readonly format: Format;
  readonly collect: boolean;
}

export interface PlanRelease {
  readonly name: string;
  /** `step.output`. */
  readonly from: string;
  readonly step: string;
  readonly output: string;
  readonly format: Format;
  /** `owner` first, always; then by name. */
  readonly recipients: readonly string[];
}

export interface PlanStep {
  readonly name: string;
  readonly image: ImageSource;
  /** Program and its arguments, as one list. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** As the program of the step carries them (protocol). */
  readonly inputs: Program["inputs"];
  readonly outputs: Program["outputs"];
  /** Recipients by name, `owner` among them; keys come with the component. */
  readonly releases: readonly {
    readonly output: string;
    readonly as: string;
    readonly recipients: readonly string[];
  }[];
  readonly limits: Program["limits"];
  readonly egress: boolean;
  readonly exitClass: "visible" | "hidden";
  readonly trustProgram?: string;
  readonly acceptRollback?: string;
  /** Kubernetes quantities. */
  readonly resources: { readonly cpu: string; readonly memory: string };
  /** Pauses between attempts, in seconds; the number of attempts is in `limits`. */
  readonly backoff: { readonly seconds: number; readonly factor: number; readonly maxSeconds: number };
  /** Defaults of the run's parameters: private, so they belong into no public file. */
  readonly parameters: Readonly<Record<string, Json>>;
  /** Absent: it always runs. */
  readonly when?: { readonly from: string; readonly equals: boolean };
  /** Steps that it waits for: it reads from them, or its condition does. */
  readonly after: readonly string[];
}

/** What a step gets when it says nothing. Durations in seconds. */
export const STEP_DEFAULTS = {
  timeoutSeconds: 3600,
  waitSeconds: 600,
  retryLimit: 0,
  shards: 1,
  cpu: "1",
  memory: "2Gi",
  backoffSeconds: 5,
  backoffFactor: 2,
  maxBackoffSeconds: 300,
} as const;

/** How long after its time a slot of a schedule may be opened, when the schedule does not say. */
const LATE_SECONDS = 3600;

/** @throws SpecError with every problem of the spec. */
export function compilePlan(spec: PipelineSpec): Plan {
  checkSpec(spec);
  const formats = formatsOf(spec);
  // By name: lists are part of identities, and the order in which data is written must not be.
  const releases = Object.entries(spec.releases ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, release]) => planRelease(name, release, formats));
  const byStep = new Map<string, PlanRelease[]>();
  for (const release of releases) byStep.set(release.step, [...(byStep.get(release.step) ?? []), release]);
  const planned = new Map(
    Object.entries(spec.steps).map(([name, step]) => [name, planStep(name, step, formats, byStep.get(name) ?? [])]),
  );
  const { order } = topological(new Map([...planned].map(([name, step]) => [name, new Set(step.after)])));
  const steps = order.map((name) => planned.get(name) as PlanStep);
  return {
    name: spec.name,
    ...(spec.description === undefined ? {} : { description: spec.description }),
    inputs: planInputs(spec, steps),
    steps,
    edges: steps.flatMap(edgesOf),
    releases,
    schedules: Object.entries(spec.schedules ?? {}).map(([name, declared]) => {
      const { cron, late } = typeof declared === "string" ? { cron: declared, late: undefined } : declared;
      return { name, cron, lateSeconds: seconds(late) ?? LATE_SECONDS };
    }),
  };
}

const long = (declared: Format | FormatSpec): FormatSpec =>
  typeof declared === "string" ? { format: declared } : declared;

/** Reference → format and allowance. */
function formatsOf(spec: PipelineSpec): ReadonlyMap<string, FormatSpec> {
  const inputs = Object.entries(spec.inputs ?? {}).map(([name, declared]) => [name, long(declared)] as const);
  const outputs = Object.entries(spec.steps).flatMap(([step, { outputs }]) =>
    Object.entries(outputs ?? {}).map(([name, declared]) => [`${step}.${name}`, long(declared)] as const),
  );
  return new Map([...inputs, ...outputs]);
}

function planInputs(spec: PipelineSpec, steps: readonly PlanStep[]): PlanInput[] {
  const readers = new Map<string, string[]>();
  for (const step of steps) {
    const read = new Set(Object.values(step.inputs).flatMap(({ dataset }) => dataset ?? []));
    for (const name of read) readers.set(name, [...(readers.get(name) ?? []), step.name]);
  }
  return Object.entries(spec.inputs ?? {}).map(([name, declared]) => ({
    name,
    ...long(declared),
    readers: readers.get(name) ?? [],
  }));
}

function planRelease(
  name: string,
  release: string | ReleaseSpec,
  formats: ReadonlyMap<string, FormatSpec>,
): PlanRelease {
  const { from, recipients = [] } = typeof release === "string" ? { from: release } : release;
  const [step, output] = from.split(".") as [string, string];
  const { format } = formats.get(from) as FormatSpec;
  return { name, from, step, output, format, recipients: ["owner", ...[...recipients].sort()] };
}

function planStep(
  name: string,
  step: StepSpec,
  formats: ReadonlyMap<string, FormatSpec>,
  releases: readonly PlanRelease[],
): PlanStep {
  const inputs = Object.fromEntries(
    Object.entries(step.inputs ?? {}).map(([input, source]) => [input, planSource(source, formats)]),
  );
  const { retry, resources, trustProgram, acceptRollback } = step;
  return {
    name,
    image: step.image,
    command: [...step.command, ...(step.args ?? [])],
    env: { ...step.env },
    inputs,
    outputs: Object.fromEntries(Object.entries(step.outputs ?? {}).map(([o, declared]) => [o, { ...long(declared) }])),
    releases: releases.map(({ output, name: as, recipients }) => ({ output, as, recipients })),
    limits: {
      timeoutSeconds: seconds(step.timeout) ?? STEP_DEFAULTS.timeoutSeconds,
      waitSeconds: seconds(step.wait) ?? STEP_DEFAULTS.waitSeconds,
      retryLimit: retry?.limit ?? STEP_DEFAULTS.retryLimit,
      shards: step.shards ?? STEP_DEFAULTS.shards,
    },
    egress: step.egress ?? false,
    exitClass: step.exitClass ?? "visible",
    ...(trustProgram === undefined ? {} : { trustProgram }),
    ...(acceptRollback === undefined ? {} : { acceptRollback }),
    resources: {
      cpu: resources?.cpu === undefined ? STEP_DEFAULTS.cpu : cpuQuantity(resources.cpu),
      memory: memoryQuantity(resources?.memory ?? STEP_DEFAULTS.memory),
    },
    backoff: {
      seconds: seconds(retry?.backoff) ?? STEP_DEFAULTS.backoffSeconds,
      factor: retry?.factor ?? STEP_DEFAULTS.backoffFactor,
      maxSeconds: seconds(retry?.maxBackoff) ?? STEP_DEFAULTS.maxBackoffSeconds,
    },
    parameters: step.parameters ?? {},
    ...(step.when ? { when: { ...step.when } } : {}),
    after: stepsBefore({ inputs, ...(step.when ? { when: step.when } : {}) }),
  };
}

/** 2 → `2`, 0.5 → `500m`: as Kubernetes writes them back. */
const cpuQuantity = (cores: number): string =>
  Number.isInteger(cores) ? String(cores) : `${Math.round(cores * 1000)}m`;

/** Without a fraction: `1.5Gi` → `1536Mi`. */
function memoryQuantity(memory: string): string {
  const [, digits, unit] = /^([0-9.]+)(Mi|Gi|Ti)$/.exec(memory) as unknown as [string, string, string];
  if (!digits.includes(".")) return memory;
  const mebibytes = Number(digits) * { Mi: 1, Gi: 1024, Ti: 1024 * 1024 }[unit as "Mi" | "Gi" | "Ti"];
  return `${Math.ceil(mebibytes)}Mi`;
}

/** The edge's allowance is its producer's: it is one object. What is declassified is said where it is made. */
function planSource(source: string | InputSpec, formats: ReadonlyMap<string, FormatSpec>): Program["inputs"][string] {
  const { from, collect } = typeof source === "string" ? { from: source, collect: undefined } : source;
  return {
    ...(from.includes(".") ? { from } : { dataset: from }),
    ...withoutBit(formats.get(from) as FormatSpec),
    ...(collect ? { collect } : {}),
  };
}

const withoutBit = ({ declassify: _declassify, ...format }: FormatSpec): Omit<FormatSpec, "declassify"> => format;

function edgesOf(step: PlanStep): PlanEdge[] {
  return Object.entries(step.inputs).flatMap(([input, { from, format, collect }]) => {
    if (from === undefined) return [];
    const [producer, output] = from.split(".") as [string, string];
    return [{ from, step: producer, output, to: step.name, input, format, collect: collect === true }];
  });
}
