/** What the parts of a new cluster are made from. */
import type * as pulumi from "@pulumi/pulumi";
import type { AksPeerPodsArgs } from "./args";

export interface ClusterScope {
  readonly name: string;
  readonly args: AksPeerPodsArgs;
  readonly resourceGroupName: pulumi.Output<string>;
  readonly nodesSubnetId: pulumi.Output<string>;
  readonly tags: Record<string, string>;
  readonly parent: pulumi.ComponentResource;
}
