import type * as pulumi from "@pulumi/pulumi";
import type { PeerPodsArgs } from "../platform/peer-pods";

export interface EksPeerPodsArgs extends PeerPodsArgs {
  /** AWS region. Must be the provider's. @default config `aws:region` */
  region?: string;
  /** How the image boots; SNP needs UEFI. @default not checked */
  imageBootMode?: ImageBootMode;
  /** Plan of a new VPC, or an existing one. @default a new one, 10.64.0.0/16 */
  network?: AwsNetworkArgs;
  /** Existing cluster to use. @default a new one */
  cluster?: ExistingEksArgs;
  /** Version of a new cluster, such as `1.35`. @default EKS's own */
  kubernetesVersion?: string;
  /** Workers: they hold no plaintext, only tunnels to the guests. */
  workers?: EksWorkersArgs;
  /**
   * On AWS evidence says nothing about initdata: whoever may start VMs can start another program with the step's keys.
   * Only `true` deploys, and every preview repeats it. @default it is refused
   */
  acknowledgeUnboundInitdata?: boolean;
}

export const ImageBootMode = { Uefi: "uefi", UefiPreferred: "uefi-preferred", LegacyBios: "legacy-bios" } as const;
export type ImageBootMode = (typeof ImageBootMode)[keyof typeof ImageBootMode];

export interface AwsNetworkArgs {
  /** Of the VPC; a /16 is cut into four /18. @default "10.64.0.0/16" */
  cidr?: string;
  /** Two availability zones; guests run in the first, which must offer their sizes. @default the region's first two */
  zones?: string[];
  /** Existing subnets instead: nothing of the network is made then, and nothing is checked. @default new ones */
  existing?: ExistingAwsNetworkArgs;
}

export interface ExistingAwsNetworkArgs {
  vpcId: pulumi.Input<string>;
  /** Private subnets in two zones. */
  nodesSubnetIds: pulumi.Input<string>[];
  /** Subnet of the guests, with a way out (image pull, key broker). */
  guestsSubnetId: pulumi.Input<string>;
}

export interface ExistingEksArgs {
  name: pulumi.Input<string>;
  /** URL of its issuer of service-account tokens. */
  oidcIssuer: pulumi.Input<string>;
  /** ARN of the issuer's IAM OIDC provider. */
  oidcProviderArn: pulumi.Input<string>;
  /** The cluster's security group, which its workers have. */
  securityGroupId: pulumi.Input<string>;
  /** Access to it, kept secret. */
  kubeconfig: pulumi.Input<string>;
}

export interface EksWorkersArgs {
  /** A size without burst. They need no TEE. @default "m6a.xlarge" */
  size?: string;
  /** @default 2 */
  count?: number;
  /** Workers of the existing cluster are used: their kubelets set `node.kubernetes.io/worker` to nothing. @default false */
  existing?: boolean;
}
