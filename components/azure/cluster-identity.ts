/** What a new cluster's control plane may do in a network that is not its own: use the nodes' subnet. */
import * as managedidentity from "@pulumi/azure-native/managedidentity";
import type * as pulumi from "@pulumi/pulumi";
import { childOf } from "../options";
import type { ClusterScope } from "./cluster-scope";
import { assignRole, ROLES } from "./roles";

export interface ClusterIdentity {
  readonly identityId: pulumi.Output<string>;
  /** The cluster cannot make nodes before it has this. */
  readonly role: pulumi.Resource;
}

export function createClusterIdentity(scope: ClusterScope): ClusterIdentity {
  const { name, args, resourceGroupName, nodesSubnetId, tags, parent } = scope;
  const identity = new managedidentity.UserAssignedIdentity(
    `${name}-aks-identity`,
    { resourceGroupName, location: args.location, tags },
    childOf(parent),
  );
  const grant = { principalId: identity.principalId, role: ROLES.networkContributor, scope: nodesSubnetId };
  return { identityId: identity.id, role: assignRole(`${name}-aks-nodes-network`, grant, parent) };
}
