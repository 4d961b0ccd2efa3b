import type { Tee } from "../../protocol/rcar";
import type { InitdataRule } from "./initdata";

/** `local` and `any` have no provider: a machine, and whatever cluster it is. */
export type Cloud = "local" | "azure" | "aws" | "gcp" | "ibm" | "alibaba" | "baremetal" | "any";

/** How a guest comes into being: a VM of the cloud for each pod, a whole node, a VM of the node's own hypervisor. */
export type PlatformModel = "simulated" | "peer-pods" | "node-pool" | "bare-metal" | "nested" | "container";

/** `experimental`: works by its sources, lacks a guarantee or upstream tests; `reason` says which. */
export type PlatformState = "supported" | "experimental" | "refused";

export interface PlatformRow {
  readonly platform: string;
  readonly cloud: Cloud;
  readonly model: PlatformModel;
  /** What encrypts the memory; null: nothing that Sealflow relies on. */
  readonly hardware: "SEV-SNP" | "TDX" | "Secure Execution" | null;
  /** Evidence by Trustee's name of the verifier; `sample` is the simulated guest; null: nothing attests a pod. */
  readonly tee: Tee | null;
  /** What one guest holds. */
  readonly boundary: "pod" | "node" | "none";
  /** Whether attested hardware keeps the operator out of a pod. */
  readonly confidential: boolean;
  readonly state: PlatformState;
  /** Runtime classes by which its pods are told from others; the first is the one that Jobs get. */
  readonly runtimeClasses: readonly string[];
  /** How initdata reaches evidence; null: it does not. */
  readonly initdata: InitdataRule | null;
  /** Instance families (families.ts) that its guests may be; empty where the cluster decides. */
  readonly families: readonly string[];
  /** Regions known to have them; the lists grow, so another one is a warning. Empty where there are none. */
  readonly regions: readonly string[];
  readonly gpu: "none" | "nvidia";
  /** What it is, what it lacks, or why it is refused. */
  readonly reason: string;
  /** What to use; empty for rows that may be used. */
  readonly instead: string;
  /** Where this is written down: upstream repository and path, or address. */
  readonly source: string;
}

export interface InstanceSize {
  readonly name: string;
  readonly vcpus: number;
  readonly memoryGiB: number;
}

/** A series of VM sizes that differ in nothing but their size. */
export interface InstanceFamily {
  readonly family: string;
  readonly cloud: "azure" | "aws";
  /** What the size makes of a guest; null: not a confidential VM. */
  readonly hardware: "SEV-SNP" | "TDX" | null;
  /** Matches every name of the family, sizes that are not listed included. */
  readonly pattern: RegExp;
  readonly sizes: readonly InstanceSize[];
  readonly state: PlatformState;
  /** Disks by NVMe only: the image must say that it can. */
  readonly nvmeOnly: boolean;
  readonly gpu: "none" | "nvidia";
  /** What to know, or why it is refused. */
  readonly reason: string;
  /** The family to take; empty for those that may be used. */
  readonly instead: string;
  readonly source: string;
}
