/**
 * The identity with which adaptor and controller make and delete guests. Both log in by the cluster's own tokens, so no
 * secret of Azure lies in the cluster; whoever rules the cluster can use it, and it reaches the guests' resource group,
 * the guests' subnet and the image, nothing else.
 */
import * as managedidentity from "@pulumi/azure-native/managedidentity";
import type * as pulumi from "@pulumi/pulumi";
import { ADAPTOR_NAMESPACE, ADAPTOR_SERVICE_ACCOUNTS } from "../../policy/peer-pods";
import { childOf } from "../options";
import { assignRole, ROLES } from "./roles";

export interface AdaptorIdentity {
  readonly clientId: pulumi.Output<string>;
  /** Identity, roles and federation: there before the adaptor and after it, which deletes guests with them. */
  readonly resources: pulumi.Resource[];
}

export interface IdentityScope {
  readonly name: string;
  readonly location: string;
  readonly resourceGroupName: pulumi.Output<string>;
  /** ARM id of the resource group in which guests are made. */
  readonly guestsGroupId: pulumi.Output<string>;
  readonly guestsSubnetId: pulumi.Output<string>;
  /** ARM id of the image's gallery, when it needs a role. */
  readonly galleryId: pulumi.Input<string> | undefined;
  readonly oidcIssuer: pulumi.Output<string>;
  readonly tags: Record<string, string>;
  readonly parent: pulumi.ComponentResource;
}

export function createAdaptorIdentity(scope: IdentityScope): AdaptorIdentity {
  const { name, location, resourceGroupName, tags, parent } = scope;
  const identity = new managedidentity.UserAssignedIdentity(
    `${name}-adaptor`,
    { resourceGroupName, location, tags },
    childOf(parent),
  );
  return {
    clientId: identity.clientId,
    resources: [identity, ...grantRoles(scope, identity), ...federate(scope, identity)],
  };
}

function grantRoles(
  { name, guestsGroupId, guestsSubnetId, galleryId, parent }: IdentityScope,
  { principalId }: managedidentity.UserAssignedIdentity,
): pulumi.Resource[] {
  const grant = (what: string, role: string, scope: pulumi.Input<string>) =>
    assignRole(`${name}-adaptor-${what}`, { principalId, role, scope }, parent);
  return [
    grant("makes-guests", ROLES.virtualMachineContributor, guestsGroupId),
    grant("reads-guests", ROLES.reader, guestsGroupId),
    // To join the guests' subnet, and no other of the network.
    grant("joins-subnet", ROLES.networkContributor, guestsSubnetId),
    ...(galleryId === undefined ? [] : [grant("reads-image", ROLES.reader, galleryId)]),
  ];
}

/** One after the other: Azure refuses writes to one identity at the same time. */
function federate(
  { name, resourceGroupName, oidcIssuer, parent }: IdentityScope,
  identity: managedidentity.UserAssignedIdentity,
): pulumi.Resource[] {
  const made: pulumi.Resource[] = [];
  for (const account of ADAPTOR_SERVICE_ACCOUNTS) {
    made.push(
      new managedidentity.FederatedIdentityCredential(
        `${name}-adaptor-${account}`,
        {
          resourceGroupName,
          resourceName: identity.name,
          federatedIdentityCredentialResourceName: account,
          issuer: oidcIssuer,
          subject: `system:serviceaccount:${ADAPTOR_NAMESPACE}:${account}`,
          audiences: ["api://AzureADTokenExchange"],
        },
        childOf(parent, { dependsOn: [...made] }),
      ),
    );
  }
  return made;
}
