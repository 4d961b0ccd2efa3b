/** The set of reference values of one TEE: from what a program says and files on this machine to what is registered. */
import { readFileSync } from "node:fs";
import type { MinimumTcb, ReferenceValueSet, SnpLaunch } from "../model";
import {
  measurePodShapes,
  PolicyError,
  publishedPcr11,
  type ReferenceValue,
  referenceValues,
  type ShapeMeasurement,
} from "../policy";
import type { Context } from "./server/context";
import { absolute, show } from "./source";

/** What a program says; which members belong to a TEE is checked by `referenceValues`. */
export interface ReferenceSource {
  tee: ReferenceValueSet["tee"];
  source: string;
  defaultPolicy: ReferenceValueSet["defaultPolicy"];
  measurements?: string[];
  minimumTcb?: MinimumTcb;
  pcr11?: string[];
  mrTd?: string[];
  rtmr1?: string[];
  rtmr2?: string[];
  xfam?: string[];
  launch?: SnpLaunch;
  published?: string[];
}

/**
 * Id to value. A list is a map from each value to where it is from, so that a preview shows which ones come and go; the
 * minimum firmware versions are one object.
 */
export type Registered = Record<string, Record<string, string> | Record<string, number>>;

/** Files that the set is made from, as the program names them. */
export const filesOf = ({ launch, published = [] }: ReferenceSource): string[] => {
  const { firmware, kernel, initrd } = launch ?? {};
  return [firmware, kernel, initrd, ...published].filter((file) => file !== undefined);
};

/** @throws PolicyError with every problem; Error of the file system. */
export function registeredOf(context: Context, source: ReferenceSource): Registered {
  const { launch, published, ...given } = source;
  const from = new Map<string, string>();
  for (const { measurement, vcpus, steps } of launch ? measure(context, launch) : []) {
    from.set(measurement, `${vcpus} vCPUs: ${steps.join(", ")}`);
  }
  const pcr11: string[] = [];
  for (const file of published ?? []) {
    const pcr = publishedPcr11(read(context, file).toString("utf8"));
    pcr11.push(pcr);
    from.set(pcr, show(context, absolute(context, file)));
  }
  const set = {
    ...given,
    ...(launch ? { measurements: [...(given.measurements ?? []), ...from.keys()] } : {}),
    ...(published ? { pcr11: [...(given.pcr11 ?? []), ...pcr11] } : {}),
  };
  requireMembers(set);
  const values = referenceValues(set as unknown as ReferenceValueSet);
  return Object.fromEntries(values.map(({ id, value }) => [id, labelled(value, from)]));
}

export const valuesOf = (registered: Registered): ReferenceValue[] =>
  Object.entries(registered).map(([id, value]) => {
    const single = Object.values(value).some((member) => typeof member === "number");
    return { id, value: single ? (value as unknown as MinimumTcb) : Object.keys(value).sort() };
  });

function labelled(value: ReferenceValue["value"], from: ReadonlyMap<string, string>): Registered[string] {
  if (!Array.isArray(value)) return { ...(value as MinimumTcb) };
  return Object.fromEntries((value as string[]).map((member) => [member, from.get(member) ?? "given"]));
}

function measure(context: Context, launch: SnpLaunch): ShapeMeasurement[] {
  const { firmware, kernel, initrd, commandLine = "", cpu, shapes, defaultVcpus, maxVcpus } = launch;
  const boot = kernel === undefined ? undefined : { kernel: read(context, kernel), commandLine };
  const disk = initrd === undefined ? {} : { initrd: read(context, initrd) };
  return measurePodShapes(
    { firmware: read(context, firmware), cpu: cpu as "EPYC-v4", ...(boot ? { boot: { ...boot, ...disk } } : {}) },
    Object.entries(shapes).map(([step, limit]) => ({ step, cpu: limit })),
    { ...(defaultVcpus === undefined ? {} : { defaultVcpus }), ...(maxVcpus === undefined ? {} : { maxVcpus }) },
  );
}

const read = (context: Context, file: string): Buffer => readFileSync(absolute(context, file));

const MEMBERS: Readonly<Record<ReferenceValueSet["tee"], readonly (keyof ReferenceSource)[]>> = {
  snp: ["measurements", "minimumTcb"],
  "az-snp-vtpm": ["measurements", "pcr11", "minimumTcb"],
  tdx: ["mrTd", "rtmr1", "rtmr2", "xfam"],
  "az-tdx-vtpm": ["mrTd", "pcr11", "xfam"],
};

/** Values of another TEE would be left out in silence. */
function requireMembers(set: object): void {
  const { tee } = set as ReferenceSource;
  const wanted: readonly string[] = MEMBERS[tee];
  const all = new Set<string>(Object.values(MEMBERS).flat());
  const found = Object.keys(set).filter((name) => all.has(name));
  const problems = [
    ...wanted.filter((name) => !found.includes(name)).map((name) => `${name} is missing`),
    ...found.filter((name) => !wanted.includes(name)).map((name) => `${name} belongs to another TEE`),
  ];
  if (problems.length > 0) {
    throw new PolicyError("REFERENCE_VALUES", `reference values of ${tee}: ${problems.join("; ")}`);
  }
}
