import type * as pulumi from "@pulumi/pulumi";
import type { GuestImagePolicy } from "../platform/peer-pods";

export const BareMetalTee = { SevSnp: "snp", Tdx: "tdx" } as const;
export type BareMetalTee = (typeof BareMetalTee)[keyof typeof BareMetalTee];

export interface BareMetalArgs {
  /** What the hosts' processors have. */
  tee: BareMetalTee;
  /** NVIDIA GPUs in confidential mode are passed through to guests. Experimental. @default false */
  nvidia?: boolean;
  /** Text of the cluster's kubeconfig; kept secret. @default the ambient one */
  kubeconfig?: pulumi.Input<string>;
  /** What the guest image does that the host boots without initdata (docs/trust/boot-without-initdata.md). */
  guestImagePolicy: GuestImagePolicy;
  /** Why a guest image that boots open without initdata is accepted; at least ten characters. @default it is refused */
  acknowledgeStockGuestImage?: string;
  /** Version of the cluster, such as `1.35`. @default not checked */
  kubernetesVersion?: string;
  /** What is known of the hosts, checked at preview. @default checked on the hosts alone */
  hosts?: HostsArgs;
  /** Labels that tell the hosts of guests from other nodes. @default none: hardware and Kata tell them */
  nodeLabels?: Record<string, string>;
  /** Checks on the hosts before anything is installed. @default none, and previews say so */
  preflight?: PreflightArgs;
}

export interface HostsArgs {
  /** Kernel release, such as `6.17.0`. */
  kernel?: string;
  /** SEV firmware, such as `1.55`. */
  sevFirmware?: string;
  containerd?: string;
  /** Of the smallest host. */
  cores?: number;
  memoryGiB?: number;
}

export interface PreflightArgs {
  /** Image with a POSIX shell and the usual small tools, such as busybox, pinned by digest. */
  image: string;
  /** Hosts that are to pass, each once. */
  hosts: number;
  /** @default "default" */
  namespace?: string;
}
