/** Built-in roles by their ids, and assignments of them. Source: Azure built-in roles, learn.microsoft.com. */
import * as authorization from "@pulumi/azure-native/authorization";
import * as pulumi from "@pulumi/pulumi";
import { childOf } from "../options";

export const ROLES = {
  reader: "acdd72a7-3385-48ef-bd42-f606fba81ae7",
  virtualMachineContributor: "9980e02c-c2be-4d73-94e8-173b1dc7cf3c",
  networkContributor: "4d97b98b-1d4f-4787-a291-c67834d212e7",
  storageBlobDataContributor: "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
  storageBlobDelegator: "db58b8e5-c6ad-4a2a-8342-4190687cbf4a",
} as const;

export interface RoleArgs {
  /** Of a managed identity. */
  readonly principalId: pulumi.Input<string>;
  readonly role: string;
  readonly scope: pulumi.Input<string>;
}

export interface Account {
  readonly subscriptionId: pulumi.Output<string>;
  readonly tenantId: pulumi.Output<string>;
}

/** Where the program is logged in. */
export const account = (): Account => authorization.getClientConfigOutput();

/** The kind of principal is given, because the directory learns of a new identity only after minutes. */
export function assignRole(
  name: string,
  { principalId, role, scope }: RoleArgs,
  parent: pulumi.ComponentResource,
): authorization.RoleAssignment {
  const { subscriptionId } = account();
  return new authorization.RoleAssignment(
    name,
    {
      principalId,
      principalType: "ServicePrincipal",
      roleDefinitionId: pulumi.interpolate`/subscriptions/${subscriptionId}/providers/Microsoft.Authorization/roleDefinitions/${role}`,
      scope,
    },
    childOf(parent),
  );
}
