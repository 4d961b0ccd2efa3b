/**
 * One launch measurement per pod shape. On SEV-SNP the number of vCPUs is measured, and Kata derives it from the pod's CPU
 * limit, so steps of different sizes are different guests to the processor.
 */
import { PolicyError } from "../errors";
import { type SnpLaunchArgs, snpLaunchMeasurements } from "./snp/index";

export interface PodShape {
  readonly step: string;
  /** Limit of the step's container: a Kubernetes quantity such as `2` or `500m`. */
  readonly cpu: string | number;
}

export interface RuntimeShape {
  /** `default_vcpus` of Kata's configuration; default 1. */
  readonly defaultVcpus?: number;
  /** `default_maxvcpus`: the most that Kata gives a guest; default 240, as QEMU. */
  readonly maxVcpus?: number;
}

/**
 * vCPUs of a pod's guest. With `static_sandbox_resource_mgmt`, which confidential guests have because nothing can be
 * plugged in later, Kata adds the pod's CPU limit to its default and rounds up.
 * @throws PolicyError REFERENCE_VALUES.
 */
export function vcpusOf(cpu: string | number, { defaultVcpus = 1, maxVcpus = 240 }: RuntimeShape = {}): number {
  const [, amount, milli] = /^([0-9]+(?:\.[0-9]+)?)(m?)$/.exec(String(cpu)) ?? [];
  if (amount === undefined) {
    throw new PolicyError("REFERENCE_VALUES", `cpu ${JSON.stringify(cpu)}: expected a quantity such as 2 or 500m`);
  }
  const limit = Number(amount) / (milli === "m" ? 1000 : 1);
  const vcpus = Math.ceil(Math.round((limit + defaultVcpus) * 1000) / 1000);
  if (vcpus < 1 || vcpus > maxVcpus) {
    throw new PolicyError("REFERENCE_VALUES", `cpu ${cpu}: a guest of ${vcpus} vCPUs, the runtime allows ${maxVcpus}`);
  }
  return vcpus;
}

export interface ShapeMeasurement {
  readonly vcpus: number;
  readonly measurement: string;
  /** Steps with this shape, sorted. */
  readonly steps: readonly string[];
}

/** Sorted by vCPUs; steps of one shape share a measurement. @throws PolicyError. */
export function measurePodShapes(
  launch: Omit<SnpLaunchArgs, "vcpus">,
  shapes: readonly PodShape[],
  runtime: RuntimeShape = {},
): ShapeMeasurement[] {
  const steps = new Map<number, string[]>();
  for (const { step, cpu } of shapes) {
    const vcpus = vcpusOf(cpu, runtime);
    steps.set(vcpus, [...(steps.get(vcpus) ?? []), step]);
  }
  const sizes = [...steps.keys()].sort((a, b) => a - b);
  const measured = snpLaunchMeasurements(launch, sizes);
  return sizes.map((vcpus, i) => ({
    vcpus,
    measurement: measured[i] as string,
    steps: [...(steps.get(vcpus) ?? [])].sort(),
  }));
}
