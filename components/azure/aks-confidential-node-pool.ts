import * as containerservice from "@pulumi/azure-native/containerservice";
import * as pulumi from "@pulumi/pulumi";
import { childOf } from "../options";
import { CONFIDENTIAL_NODE_LABELS } from "../platform/confidential-nodes";
import { checkPlatform, ownerTags } from "../platform/peer-pods";
import { linuxPool } from "./pool";

export interface AksConfidentialNodePoolArgs {
  /** Resource group of the cluster. */
  resourceGroupName: pulumi.Input<string>;
  /** Name of the managed cluster. */
  clusterName: pulumi.Input<string>;
  /** Azure location of the cluster. */
  location: string;
  /** A confidential size with SEV-SNP of generation 5, such as `Standard_DC4as_v5`. AKS has none with TDX. */
  size: string;
  /** @default 1 */
  count?: number;
  /** `Ubuntu2404` or `AzureLinux`. @default "Ubuntu2404" */
  os?: string;
  /** Of the cluster, to check the operating system against. @default not checked */
  kubernetesVersion?: string;
  /** ARM id. @default the cluster's */
  subnetId?: pulumi.Input<string>;
  /** Lower case, at most twelve characters. @default "cvm" */
  poolName?: string;
  /** @default none */
  tags?: Record<string, string>;
}

const PLATFORM = "aks-confidential-nodes";

/**
 * Nodes whose memory is encrypted, for what runs beside pipelines, such as a registry cache. Experimental. **The whole
 * node is the boundary**: all its pods share it, the control plane reaches into them, and no evidence of a pod exists. It
 * is no platform for pipelines: steps get no keys there.
 */
export class AksConfidentialNodePool extends pulumi.ComponentResource {
  /** Selects these nodes. */
  readonly nodeSelector: Readonly<Record<string, string>>;

  constructor(name: string, args: AksConfidentialNodePoolArgs, opts?: pulumi.ComponentResourceOptions) {
    super("sealflow:index:AksConfidentialNodePool", name, {}, opts);
    const { size, os = "Ubuntu2404", count = 1, poolName = "cvm", kubernetesVersion, location } = args;
    const facts = {
      platform: PLATFORM,
      region: location,
      instances: { default: size },
      workers: { os },
      ...(kubernetesVersion === undefined ? {} : { kubernetesVersion }),
    };
    const problem = /^[a-z][a-z0-9]{0,11}$/.test(poolName)
      ? []
      : [`poolName: "${poolName}" must be lower case letters and digits, at most twelve; take "cvm"`];
    checkPlatform(name, facts, problem, this);
    this.nodeSelector = CONFIDENTIAL_NODE_LABELS;
    new containerservice.AgentPool(
      `${name}-pool`,
      {
        resourceGroupName: args.resourceGroupName,
        resourceName: args.clusterName,
        agentPoolName: poolName,
        ...linuxPool({ size, count, os }),
        enableFIPS: false,
        nodeLabels: { ...CONFIDENTIAL_NODE_LABELS },
        tags: ownerTags(name, args.tags),
        ...(args.subnetId === undefined ? {} : { vnetSubnetID: args.subnetId }),
      },
      childOf(this, { deleteBeforeReplace: true }),
    );
    this.registerOutputs({ nodeSelector: this.nodeSelector });
  }
}
