/** The cluster that is not trusted, and its workers. */
import * as ec2 from "@pulumi/aws/ec2";
import * as eks from "@pulumi/aws/eks";
import * as iam from "@pulumi/aws/iam";
import * as pulumi from "@pulumi/pulumi";
import { childOf } from "../options";
import type { EksPeerPodsArgs } from "./args";
import { WORKERS } from "./check";
import type { AwsNetwork } from "./network";
import { CLUSTER_POLICIES, type Federation, NODE_POLICIES, serviceRole } from "./roles";
import { userDataOf, WORKER_NODE } from "./user-data";

export interface EksCluster extends Federation {
  readonly name: pulumi.Output<string>;
  /** Of the cluster; its workers have it. */
  readonly securityGroupId: pulumi.Output<string>;
  /** Secret. Unknown in the preview of a new cluster. */
  readonly kubeconfig: pulumi.Output<string>;
  readonly resources: pulumi.Resource[];
}

export interface ClusterScope {
  readonly name: string;
  readonly args: EksPeerPodsArgs;
  readonly region: string;
  readonly network: AwsNetwork;
  readonly tags: Record<string, string>;
  readonly parent: pulumi.ComponentResource;
}

export function createCluster(scope: ClusterScope): EksCluster {
  const { args } = scope;
  const cluster = args.cluster ? existingCluster(args.cluster) : newCluster(scope);
  const workers = args.workers?.existing ? [] : createWorkers(scope, cluster.name);
  return { ...cluster, resources: [...cluster.resources, ...workers] };
}

const existingCluster = (existing: NonNullable<EksPeerPodsArgs["cluster"]>): EksCluster => ({
  name: pulumi.output(existing.name),
  oidcIssuer: existing.oidcIssuer,
  oidcProviderArn: existing.oidcProviderArn,
  securityGroupId: pulumi.output(existing.securityGroupId),
  kubeconfig: pulumi.secret(existing.kubeconfig),
  resources: [],
});

function newCluster({ name, args, region, network, tags, parent }: ClusterScope): EksCluster {
  const { role, policies } = serviceRole(
    { name: `${name}-eks-role`, tags, parent },
    "eks.amazonaws.com",
    CLUSTER_POLICIES,
  );
  const cluster = new eks.Cluster(
    `${name}-eks`,
    {
      roleArn: role.arn,
      ...(args.kubernetesVersion === undefined ? {} : { version: args.kubernetesVersion }),
      accessConfig: { authenticationMode: "API_AND_CONFIG_MAP" },
      vpcConfig: { subnetIds: network.nodesSubnetIds, endpointPrivateAccess: true, endpointPublicAccess: true },
      tags,
    },
    childOf(parent, { dependsOn: policies }),
  );
  const oidcIssuer = cluster.identities.apply((identities) => identities[0]?.oidcs?.[0]?.issuer ?? "");
  const provider = new iam.OpenIdConnectProvider(
    `${name}-oidc`,
    { url: oidcIssuer, clientIdLists: ["sts.amazonaws.com"], tags },
    childOf(parent),
  );
  return {
    name: cluster.name,
    oidcIssuer,
    oidcProviderArn: provider.arn,
    // By way of the id: what a preview says of the configuration is not all.
    securityGroupId: pulumi
      .all([cluster.id, cluster.vpcConfig])
      .apply(([, config]) => config.clusterSecurityGroupId ?? ""),
    kubeconfig: kubeconfigOf(cluster, region),
    resources: [role, ...policies, cluster, provider],
  };
}

/** Label and containerd's setting come by the kubelet and nodeadm; nodes need a way out to join. */
function createWorkers({ name, args, network, tags, parent }: ClusterScope, clusterName: pulumi.Output<string>) {
  const { size, count } = { ...WORKERS, ...args.workers };
  const { role, policies } = serviceRole(
    { name: `${name}-nodes-role`, tags, parent },
    "ec2.amazonaws.com",
    NODE_POLICIES,
  );
  const template = new ec2.LaunchTemplate(
    `${name}-workers-template`,
    {
      userData: userDataOf(WORKER_NODE),
      metadataOptions: { httpTokens: "required", httpPutResponseHopLimit: 1 },
      updateDefaultVersion: true,
      tags,
    },
    childOf(parent),
  );
  const workers = new eks.NodeGroup(
    `${name}-workers`,
    {
      clusterName,
      nodeRoleArn: role.arn,
      subnetIds: network.nodesSubnetIds,
      amiType: "AL2023_x86_64_STANDARD",
      instanceTypes: [size],
      scalingConfig: { desiredSize: count, minSize: count, maxSize: count },
      launchTemplate: { id: template.id, version: pulumi.interpolate`${template.latestVersion}` },
      tags,
    },
    childOf(parent, { dependsOn: [...policies, ...network.resources] }),
  );
  return [role, ...policies, template, workers];
}

/** Holds no credential: whoever uses it is logged in to AWS. The same text at each run. */
const kubeconfigOf = (cluster: eks.Cluster, region: string): pulumi.Output<string> =>
  pulumi.secret(
    pulumi.all([cluster.name, cluster.endpoint, cluster.certificateAuthority]).apply(([name, server, authority]) =>
      JSON.stringify({
        apiVersion: "v1",
        kind: "Config",
        clusters: [{ name, cluster: { server, "certificate-authority-data": authority.data } }],
        users: [
          {
            name,
            user: {
              exec: {
                apiVersion: "client.authentication.k8s.io/v1beta1",
                command: "aws",
                args: ["eks", "get-token", "--cluster-name", name, "--region", region, "--output", "json"],
                interactiveMode: "Never",
              },
            },
          },
        ],
        contexts: [{ name, context: { cluster: name, user: name } }],
        "current-context": name,
      }),
    ),
  );
