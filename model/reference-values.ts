/** What the production attestation policy compares a guest with, typed per TEE: a list means "any of these". */
import { compilePlan } from "./plan";
import type { DefaultPolicy } from "./platforms/guest-image";
import type { PipelineSpec } from "./spec";

/** Lower-case hex. */
export type Hex = string;

/** Lowest firmware versions of an AMD processor that are let in; each at least this. */
export interface MinimumTcb {
  readonly bootloader: number;
  readonly tee: number;
  readonly snp: number;
  readonly microcode: number;
}

interface Common {
  /** Where the values come from, for the reader of a diff: a release, a build, a file's digest. */
  readonly source: string;
  readonly defaultPolicy: DefaultPolicy;
}

export interface SnpValues extends Common {
  readonly tee: "snp";
  /** Launch measurements, 48 bytes each: one per pod shape. */
  readonly measurements: readonly Hex[];
  readonly minimumTcb: MinimumTcb;
}

export interface AzureSnpValues extends Common {
  readonly tee: "az-snp-vtpm";
  /** Launch measurements of Azure's paravisor, 48 bytes each. */
  readonly measurements: readonly Hex[];
  /** PCR 11 of the pod-VM image, 32 bytes each. */
  readonly pcr11: readonly Hex[];
  readonly minimumTcb: MinimumTcb;
}

export interface TdxValues extends Common {
  readonly tee: "tdx";
  /** Firmware, 48 bytes each. */
  readonly mrTd: readonly Hex[];
  /** Kernel, 48 bytes each. */
  readonly rtmr1: readonly Hex[];
  /** Command line and initrd, 48 bytes each. */
  readonly rtmr2: readonly Hex[];
  /** CPU features that the guest may use, 8 bytes each. */
  readonly xfam: readonly Hex[];
}

export interface AzureTdxValues extends Common {
  readonly tee: "az-tdx-vtpm";
  readonly mrTd: readonly Hex[];
  readonly pcr11: readonly Hex[];
  readonly xfam: readonly Hex[];
}

export type ReferenceValueSet = SnpValues | AzureSnpValues | TdxValues | AzureTdxValues;

/** What an SEV-SNP launch is measured from. Paths are relative to the project. */
export interface SnpLaunch {
  /** The OVMF file that QEMU's -bios gets. */
  readonly firmware: string;
  /** What QEMU boots directly; without it the guest boots from its disk, which the launch does not measure. */
  readonly kernel?: string;
  /** @default none, as Kata's guests with a measured root disk */
  readonly initrd?: string;
  /** Exactly as given to QEMU's -append. @default "" */
  readonly commandLine?: string;
  /** QEMU's `-cpu` model, or a CPUID signature. */
  readonly cpu: string | number;
  /** Step to its CPU limit: `podShapes(spec)`. The number of vCPUs is measured. */
  readonly shapes: Readonly<Record<string, string | number>>;
  /** `default_vcpus` of Kata's configuration. @default 1 */
  readonly defaultVcpus?: number;
  /** `default_maxvcpus` of Kata's configuration. @default 240 */
  readonly maxVcpus?: number;
}

/** Step to the CPU limit of its pod, for `SnpLaunch.shapes`. @throws SpecError. */
export const podShapes = (spec: PipelineSpec): Record<string, string | number> =>
  Object.fromEntries(compilePlan(spec).steps.map(({ name, resources }) => [name, resources.cpu]));
