import type * as pulumi from "@pulumi/pulumi";
import type { PeerPodsArgs } from "../platform/peer-pods";

/** What encrypts a guest's memory; on Azure the size of the VM decides it. */
export const AzureTee = {
  SevSnp: "snp",
  Tdx: "tdx",
  /** SEV-SNP with one H100; the guest image must bring NVIDIA's driver. Experimental. */
  SevSnpGpu: "snp-gpu",
} as const;
export type AzureTee = (typeof AzureTee)[keyof typeof AzureTee];

export interface AksPeerPodsArgs extends PeerPodsArgs {
  /** @default "snp" */
  tee?: AzureTee;
  /** Azure location, such as `eastus`. */
  location: string;
  /** Existing resource group for network and cluster. @default a new one */
  resourceGroupName?: pulumi.Input<string>;
  /** Network plan of a new virtual network, or an existing one. @default a new one, 10.224.0.0/12 */
  network?: AzureNetworkArgs;
  /** Existing cluster to use. @default a new one */
  cluster?: ExistingAksArgs;
  /** Version of a new cluster, such as `1.35`. @default AKS's own */
  kubernetesVersion?: string;
  /** Workers: they hold no plaintext, only tunnels to the guests. */
  workers?: AksWorkersArgs;
  /** Whether the image's definition has the feature DiskControllerTypes with NVMe; v6 sizes need it. @default not checked */
  imageHasNvme?: boolean;
  /**
   * Whether the adaptor's identity gets Reader on the gallery of the image. Needed for a gallery of your own; community
   * galleries need no role. @default true for images of a gallery in a subscription
   */
  readGallery?: boolean;
}

export interface AzureNetworkArgs {
  /** @default "10.224.0.0/12" */
  addressSpace?: string;
  /** Subnet of the cluster's nodes. @default "10.224.0.0/16" */
  nodes?: string;
  /** Subnet of the guests. @default "10.225.0.0/16" */
  guests?: string;
  /** Addresses of pods on the nodes (overlay). @default "10.244.0.0/16" */
  pods?: string;
  /** Addresses of the cluster's services. @default "10.0.0.0/16" */
  services?: string;
  /**
   * Existing subnets instead: nothing of the network is made then, and nothing is checked. The guests' subnet needs a way
   * out (image pull, key broker) and rules that let workers reach TCP 15150 and the tunnel's UDP port. @default new ones
   */
  existing?: ExistingAzureNetworkArgs;
}

export interface ExistingAzureNetworkArgs {
  /** ARM id. */
  nodesSubnetId: pulumi.Input<string>;
  /** ARM id. */
  guestsSubnetId: pulumi.Input<string>;
}

export interface ExistingAksArgs {
  resourceGroupName: pulumi.Input<string>;
  /** Name of the managed cluster. */
  name: pulumi.Input<string>;
  /** Its issuer of service-account tokens; workload identity must be on. */
  oidcIssuer: pulumi.Input<string>;
}

export interface AksWorkersArgs {
  /** A size without burst, four vCPUs and more. They need no TEE. @default "Standard_D4s_v5" */
  size?: string;
  /** @default 2 */
  count?: number;
  /** @default "Ubuntu" */
  os?: string;
  /** Size of the nodes of a new cluster's system pool. @default "Standard_D2s_v5" */
  systemSize?: string;
  /** @default 2 */
  systemCount?: number;
  /**
   * Workers of the existing cluster are used, and no pool is made: they carry the label
   * `node.kubernetes.io/worker` with an empty value. @default false
   */
  existing?: boolean;
}
