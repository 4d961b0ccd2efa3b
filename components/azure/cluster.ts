/** The cluster that is not trusted: it starts guests and sees none of what is in them. */
import * as containerservice from "@pulumi/azure-native/containerservice";
import * as pulumi from "@pulumi/pulumi";
import { childOf } from "../options";
import { WORKER_LABELS } from "../platform/peer-pods";
import { NETWORK, WORKERS } from "./check";
import { createClusterIdentity } from "./cluster-identity";
import type { ClusterScope } from "./cluster-scope";
import { linuxPool } from "./pool";

export interface AksCluster {
  readonly resourceGroupName: pulumi.Output<string>;
  readonly name: pulumi.Output<string>;
  readonly oidcIssuer: pulumi.Output<string>;
  /** Secret. Unknown in the preview of a new cluster. */
  readonly kubeconfig: pulumi.Output<string>;
  /** Cluster and workers. */
  readonly resources: pulumi.Resource[];
}

export function createCluster(scope: ClusterScope): AksCluster {
  const { args } = scope;
  const existing = args.cluster;
  const cluster = existing ? undefined : newCluster(scope);
  const place = cluster
    ? { resourceGroupName: scope.resourceGroupName, resourceName: cluster.name }
    : {
        resourceGroupName: pulumi.output(existing?.resourceGroupName ?? ""),
        resourceName: pulumi.output(existing?.name ?? ""),
      };
  const workers = args.workers?.existing ? undefined : newWorkers(scope, place);
  const issuer = cluster ? issuerOf(scope.name, cluster) : pulumi.output(existing?.oidcIssuer ?? "");
  return {
    resourceGroupName: place.resourceGroupName,
    name: place.resourceName,
    oidcIssuer: issuer,
    kubeconfig: kubeconfigOf(place),
    resources: [cluster, workers].filter((resource) => resource !== undefined),
  };
}

function newCluster(scope: ClusterScope): containerservice.ManagedCluster {
  const { name, args, resourceGroupName, nodesSubnetId, tags, parent } = scope;
  const { pods, services } = { ...NETWORK, ...args.network };
  const { systemSize, systemCount } = { ...WORKERS, ...args.workers };
  const own = createClusterIdentity(scope);
  return new containerservice.ManagedCluster(
    `${name}-aks`,
    {
      resourceGroupName,
      location: args.location,
      tags,
      dnsPrefix: name.toLowerCase().replace(/[^a-z0-9-]/g, "-"),
      sku: { name: "Base", tier: "Standard" },
      ...(args.kubernetesVersion === undefined ? {} : { kubernetesVersion: args.kubernetesVersion }),
      identity: { type: "UserAssigned", userAssignedIdentities: [own.identityId] },
      enableRBAC: true,
      oidcIssuerProfile: { enabled: true },
      securityProfile: { workloadIdentity: { enabled: true } },
      // An upgrade replaces workers, and ends the guests of their pods: the program says when.
      autoUpgradeProfile: { upgradeChannel: "none", nodeOSUpgradeChannel: "None" },
      networkProfile: {
        networkPlugin: "azure",
        networkPluginMode: "overlay",
        outboundType: "loadBalancer",
        podCidr: pods,
        serviceCidr: services,
        dnsServiceIP: services.replace(/\.[0-9]+\/[0-9]+$/, ".10"),
      },
      agentPoolProfiles: [
        {
          name: "system",
          mode: "System",
          type: "VirtualMachineScaleSets",
          vmSize: systemSize,
          count: systemCount,
          osType: "Linux",
          osSKU: "Ubuntu",
          vnetSubnetID: nodesSubnetId,
        },
      ],
    },
    childOf(parent, { dependsOn: own.role }),
  );
}

/** No taint: the charts tolerate none. */
function newWorkers(
  { name, args, nodesSubnetId, tags, parent }: ClusterScope,
  place: { resourceGroupName: pulumi.Output<string>; resourceName: pulumi.Output<string> },
): containerservice.AgentPool {
  return new containerservice.AgentPool(
    `${name}-workers`,
    {
      ...place,
      agentPoolName: "peerpods",
      ...linuxPool({ ...WORKERS, ...args.workers }),
      nodeLabels: { ...WORKER_LABELS },
      vnetSubnetID: nodesSubnetId,
      tags,
    },
    childOf(parent, { deleteBeforeReplace: true }),
  );
}

/** By way of the id, which is not known in the preview of a new cluster: what a preview says of the profile is not all. */
const issuerOf = (name: string, cluster: containerservice.ManagedCluster): pulumi.Output<string> =>
  pulumi.all([cluster.id, cluster.oidcIssuerProfile]).apply(([, profile]) => {
    if (profile?.issuerURL) return profile.issuerURL;
    throw new pulumi.RunError(
      `Platform "${name}": the cluster has no OIDC issuer. Run \`pulumi refresh\`, then \`up\``,
    );
  });

function kubeconfigOf(place: {
  resourceGroupName: pulumi.Output<string>;
  resourceName: pulumi.Output<string>;
}): pulumi.Output<string> {
  const { kubeconfigs } = containerservice.listManagedClusterUserCredentialsOutput(place);
  return pulumi.secret(kubeconfigs.apply((found) => Buffer.from(found[0]?.value ?? "", "base64").toString("utf8")));
}
