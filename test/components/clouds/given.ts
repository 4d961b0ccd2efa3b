/** Networks, clusters and identities that are in the clouds before a stack: what platforms adopt, and nothing may touch. */
import { ACCOUNT } from "../../support/cloud-providers/aws";
import { SUBSCRIPTION } from "../../support/cloud-providers/azure";
import type { Existing, Store } from "../../support/cloud-providers/store";

const GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/given`;
const NETWORK = `${GROUP}/providers/Microsoft.Network/virtualNetworks/given`;
const AKS = `${GROUP}/providers/Microsoft.ContainerService/managedClusters/given`;
const subnet = (name: string): string => `${NETWORK}/subnets/${name}`;
export const PRINCIPAL = "77777777-8888-4999-aaaa-bbbbbbbbbbbb";
export const LEDGER_ROLE = `arn:aws:iam::${ACCOUNT}:role/ledger`;

export const GIVEN_AKS = {
  resourceGroupName: "given",
  name: "given",
  oidcIssuer: "https://eastus.oic.prod-aks.azure.com/given/",
};
export const GIVEN_AZURE_NETWORK = { nodesSubnetId: subnet("nodes"), guestsSubnetId: subnet("guests") };
export const GIVEN_EKS = {
  name: "given",
  oidcIssuer: "https://oidc.eks.us-east-2.amazonaws.com/id/GIVEN",
  oidcProviderArn: `arn:aws:iam::${ACCOUNT}:oidc-provider/oidc.eks.us-east-2.amazonaws.com/id/GIVEN`,
  securityGroupId: "sg-given",
  kubeconfig: "planted-given-kubeconfig",
};
export const GIVEN_AWS_NETWORK = {
  vpcId: "vpc-given",
  nodesSubnetIds: ["subnet-given-a", "subnet-given-b"],
  guestsSubnetId: "subnet-given-guests",
};

const existing = (id: string, outputs: Existing["outputs"] = {}): Existing => ({
  id,
  type: "given",
  name: "",
  inputs: {},
  outputs,
});

const AZURE = [
  ...[GROUP, NETWORK, AKS, subnet("nodes"), subnet("guests")].map((id) => existing(id)),
  existing("ledger", { principalId: PRINCIPAL }),
];
const AWS = [
  GIVEN_EKS.name,
  GIVEN_EKS.oidcProviderArn,
  GIVEN_EKS.securityGroupId,
  GIVEN_AWS_NETWORK.vpcId,
  ...GIVEN_AWS_NETWORK.nodesSubnetIds,
  GIVEN_AWS_NETWORK.guestsSubnetId,
].map((id) => existing(id));

export function give(azure: Store, aws: Store): void {
  for (const resource of AZURE) azure.put(resource);
  for (const resource of AWS) aws.put(resource);
}

/** Whether exactly what was given is there, as it was. */
export const onlyGiven = (store: Store): boolean => {
  const given = store.dir.endsWith("aws") ? AWS : AZURE;
  const text = (all: readonly Existing[]) => JSON.stringify([...all].sort((a, b) => (a.id < b.id ? -1 : 1)));
  return text(store.all()) === text(given);
};
