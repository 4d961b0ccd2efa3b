/** What a program asks of a platform, as far as it can be wrong. Plain data: components fill it from their own arguments. */
import type { DefaultPolicy } from "./guest-image";

/** A value that preview does not know yet is null: it counts as given, and its form is checked at the next step. */
export type Later<T> = T | null;

export interface PlatformArgs {
  /** Name of a row, such as `azure-peer-pods-snp`. */
  readonly platform: string;
  /** Azure location (`eastus`) or AWS region (`us-east-2`). */
  readonly region?: Later<string>;
  readonly image?: GuestImageChoice;
  readonly instances?: InstanceChoice;
  /** What the largest step asks for; checked against the instances that are allowed. */
  readonly largestStep?: { readonly cpu: number; readonly memoryGiB: number };
  readonly kubernetesVersion?: Later<string>;
  readonly workers?: WorkerChoice;
  /** Bare metal: what is known of the hosts. */
  readonly hosts?: HostFacts;
  readonly disk?: DiskChoice;
  readonly network?: NetworkChoice;
  /** How the adaptor and its controller log in to the cloud. */
  readonly login?: "workload-identity" | "irsa" | "client-secret" | "static-keys" | "pod-identity" | "node-role";
  /** Default: the platform's first class. */
  readonly runtimeClass?: string;
  /** Characters of the largest initdata annotation. */
  readonly initdataCharacters?: number;
  /** An agent policy with the debug entries. */
  readonly debugPolicy?: boolean;
  /** The adaptor's DISABLECVM: plain VMs. */
  readonly plainVms?: boolean;
  /** The controller that deletes leaked VMs. Default true. */
  readonly leakController?: boolean;
  /** Why a guest image that boots open without initdata is accepted. */
  readonly acknowledgeStockGuestImage?: string;
  /** AWS: that evidence says nothing about initdata. */
  readonly acknowledgeUnboundInitdata?: boolean;
}

export interface GuestImageChoice {
  /** ARM id of a gallery's image version, or AMI id. */
  readonly id?: Later<string>;
  /** What the image does when it boots without initdata. */
  readonly defaultPolicy?: DefaultPolicy;
  /** Release of Cloud API Adaptor that it was built from. */
  readonly adaptorVersion?: Later<string>;
  /** Azure: whether its definition has the feature DiskControllerTypes with NVMe. */
  readonly nvme?: boolean;
  /** AWS. */
  readonly bootMode?: "uefi" | "uefi-preferred" | "legacy-bios";
}

export interface InstanceChoice {
  /** For pods that ask for nothing else. */
  readonly default?: string;
  /** The adaptor's allow-list; must have the default. */
  readonly allowed?: readonly string[];
}

export interface WorkerChoice {
  readonly size?: string;
  readonly os?: string;
  readonly arch?: "amd64" | "arm64";
  readonly labels?: Readonly<Record<string, string>>;
  readonly taints?: readonly string[];
  /** EKS: `managed` node group, `self-managed` Auto Scaling group, or kinds without node access. */
  readonly kind?: "managed" | "self-managed" | "fargate" | "auto-mode";
  /** Whether labels are set through the kubelet (user data) and not through the node group. */
  readonly labelsByKubelet?: boolean;
  /** containerd keeps the layers that it has unpacked (`discard_unpacked_layers = false`). */
  readonly keepsLayers?: boolean;
  readonly workloadRuntime?: string;
  readonly fips?: boolean;
  readonly trustedLaunch?: boolean;
}

export interface HostFacts {
  readonly kernel?: string;
  /** SEV firmware, `major.minor`. */
  readonly sevFirmware?: string;
  readonly containerd?: string;
  readonly arch?: "amd64" | "arm64" | "s390x";
  readonly labels?: Readonly<Record<string, string>>;
  readonly cores?: number;
  readonly memoryGiB?: number;
}

export interface DiskChoice {
  /** Root disk of a pod VM, GiB. */
  readonly rootGiB?: number;
  /** Azure: the adaptor makes `Premium_LRS` and nothing else. */
  readonly type?: string;
  /** Volumes of the cluster in pods. */
  readonly persistentVolumes?: boolean;
}

export interface NetworkChoice {
  readonly plugin?: string;
  /** UDP port of the tunnel between worker and pod VM. */
  readonly vxlanPort?: number;
  readonly publicIp?: boolean;
  /** Azure: rules by subnet; whether the pod VMs' subnet reaches the internet (image pull, key broker). */
  readonly podSubnetOutbound?: boolean;
}
