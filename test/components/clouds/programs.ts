/** Programs that tests of the cloud components run on the engine. */

import { ResourceGroup } from "@pulumi/azure-native/resources";
import { EksConfidentialNodeGroup, EksPeerPods, type EksPeerPodsArgs, EncryptedBucket } from "../../../components/aws";
import {
  AksConfidentialNodePool,
  AksPeerPods,
  type AksPeerPodsArgs,
  EncryptedContainer,
} from "../../../components/azure";
import { GIVEN_AKS, GIVEN_AWS_NETWORK, GIVEN_AZURE_NETWORK, GIVEN_EKS, LEDGER_ROLE, PRINCIPAL } from "./given";

export const IMAGE =
  "/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/images/providers/Microsoft.Compute/galleries/guests/images/podvm/versions/0.22.0";

export function azurePeerPods(args: Partial<AksPeerPodsArgs>) {
  const platform = new AksPeerPods("cloud", {
    location: "eastus",
    image: { id: IMAGE, defaultPolicy: "deny" },
    sizes: { default: "Standard_DC2as_v5" },
    ...args,
  });
  const { kubeconfig, runtime, sweep } = platform;
  return { kubeconfig, chart: runtime.chart, sweep };
}

export function awsPeerPods(args: Partial<EksPeerPodsArgs>) {
  const platform = new EksPeerPods("cloud", {
    region: "us-east-2",
    image: { id: "ami-0123456789abcdef0", defaultPolicy: "deny" },
    sizes: { default: "m6a.large" },
    acknowledgeUnboundInitdata: true,
    ...args,
  });
  const { kubeconfig, runtime, sweep } = platform;
  return { kubeconfig, chart: runtime.chart, sweep };
}

const AZURE = {
  location: "eastus",
  image: { id: IMAGE, defaultPolicy: "deny" },
  sizes: { default: "Standard_DC2as_v5" },
} as const;
const AWS = {
  region: "us-east-2",
  image: { id: "ami-0123456789abcdef0", defaultPolicy: "deny" },
  sizes: { default: "m6a.large" },
  acknowledgeUnboundInitdata: true,
} as const;

/** Both clouds' platforms on networks and clusters that are there, and nodes that are confidential as a whole. */
export function adopted() {
  const azure = new AksPeerPods("azure-adopted", {
    ...AZURE,
    cluster: GIVEN_AKS,
    network: { existing: GIVEN_AZURE_NETWORK },
  });
  const aws = new EksPeerPods("aws-adopted", {
    ...AWS,
    cluster: GIVEN_EKS,
    network: { existing: GIVEN_AWS_NETWORK },
    workers: { existing: true },
  });
  new AksConfidentialNodePool("azure-cvm", {
    resourceGroupName: GIVEN_AKS.resourceGroupName,
    clusterName: GIVEN_AKS.name,
    location: "eastus",
    size: "Standard_DC4as_v5",
    subnetId: GIVEN_AZURE_NETWORK.nodesSubnetId,
  });
  new EksConfidentialNodeGroup("aws-cvm", {
    region: "us-east-2",
    cluster: {
      name: GIVEN_EKS.name,
      endpoint: "https://given.gr7.us-east-2.eks.amazonaws.com",
      certificateAuthority: "Z2l2ZW4=",
      serviceCidr: "172.20.0.0/16",
      securityGroupId: GIVEN_EKS.securityGroupId,
    },
    subnetIds: GIVEN_AWS_NETWORK.nodesSubnetIds,
    imageId: "ami-0123456789abcdef1",
    size: "m6a.xlarge",
  });
  return { azure: azure.kubeconfig, aws: aws.kubeconfig };
}

/** Everything that the components make in both clouds. */
export function everything() {
  new AksPeerPods("azure", AZURE);
  new EksPeerPods("aws", AWS);
  adopted();
  bothStorages({ principalId: PRINCIPAL });
}

interface BothStorages {
  readonly principalId: string;
  readonly retentionSeconds?: number;
  /** Of Azure's. */
  readonly location?: string;
  /** Of Azure's. Here: true. */
  readonly deleteObjects?: boolean;
}

/** Storage of both clouds, with the ledger's identity given. */
export function bothStorages({ principalId, retentionSeconds, ...azure }: BothStorages) {
  const retention = retentionSeconds === undefined ? {} : { retentionSeconds };
  const bucket = new EncryptedBucket("sealed", { region: "us-east-2", ledgerRoleArn: LEDGER_ROLE, ...retention });
  const group = new ResourceGroup("group", { location: "eastus" });
  const container = new EncryptedContainer("blobs", {
    resourceGroupName: group.name,
    location: "eastus",
    ledgerPrincipalId: principalId,
    deleteObjects: true,
    ...azure,
    ...retention,
  });
  return { s3: bucket.url, blob: container.url };
}
