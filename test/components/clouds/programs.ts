/** Programs that tests of the cloud components run on the engine. */

import { ResourceGroup } from "@pulumi/azure-native/resources";
import { EksPeerPods, type EksPeerPodsArgs, EncryptedBucket } from "../../../components/aws";
import { AksPeerPods, type AksPeerPodsArgs, EncryptedContainer } from "../../../components/azure";

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

export function bothClouds() {
  new AksPeerPods("azure", {
    location: "eastus",
    image: { id: IMAGE, defaultPolicy: "deny" },
    sizes: { default: "Standard_DC2as_v5" },
  });
  new EksPeerPods("aws", {
    region: "us-east-2",
    image: { id: "ami-0123456789abcdef0", defaultPolicy: "deny" },
    sizes: { default: "m6a.large" },
    acknowledgeUnboundInitdata: true,
  });
}

/** Storage of both clouds, with the ledger's identity given. */
export function bothStorages({ principalId, retentionSeconds }: { principalId: string; retentionSeconds?: number }) {
  const retention = retentionSeconds === undefined ? {} : { retentionSeconds };
  const ledgerRoleArn = "arn:aws:iam::123456789012:role/ledger";
  const bucket = new EncryptedBucket("sealed", { region: "us-east-2", ledgerRoleArn, ...retention });
  const group = new ResourceGroup("group", { location: "eastus" });
  const container = new EncryptedContainer("blobs", {
    resourceGroupName: group.name,
    location: "eastus",
    ledgerPrincipalId: principalId,
    ...retention,
  });
  return { s3: bucket.url, blob: container.url };
}
