import * as autoscaling from "@pulumi/aws/autoscaling";
import * as ec2 from "@pulumi/aws/ec2";
import * as eks from "@pulumi/aws/eks";
import * as iam from "@pulumi/aws/iam";
import * as pulumi from "@pulumi/pulumi";
import { childOf } from "../options";
import { CONFIDENTIAL_NODE_LABELS } from "../platform/confidential-nodes";
import { checkPlatform, ownerTags } from "../platform/peer-pods";
import { regionOf } from "./check";
import { NODE_POLICIES, serviceRole } from "./roles";
import { userDataOf } from "./user-data";

export interface EksConfidentialNodeGroupArgs {
  /** @default config `aws:region` */
  region?: string;
  cluster: SelfManagedClusterArgs;
  /** Subnets with a way out, in zones that offer the size. */
  subnetIds: pulumi.Input<string>[];
  /** AMI for EKS nodes (Amazon Linux 2023) that boots by UEFI. */
  imageId: pulumi.Input<string>;
  /** A size of m6a, c6a or r6a. */
  size: string;
  /** @default 1 */
  count?: number;
  /** @default none */
  tags?: Record<string, string>;
}

/** What a node has to know to join. */
export interface SelfManagedClusterArgs {
  name: pulumi.Input<string>;
  endpoint: pulumi.Input<string>;
  /** PEM in base64, as EKS gives it. */
  certificateAuthority: pulumi.Input<string>;
  /** Addresses of services, such as `172.20.0.0/16`. */
  serviceCidr: pulumi.Input<string>;
  securityGroupId: pulumi.Input<string>;
}

/**
 * Nodes that are SNP instances, for what runs beside pipelines. Experimental. **The whole node is the boundary**: all its
 * pods share it, the control plane reaches into them, and no evidence of a pod exists. It is no platform for pipelines:
 * steps get no keys there. Self-managed, because managed node groups drop the CPU option in silence.
 */
export class EksConfidentialNodeGroup extends pulumi.ComponentResource {
  /** Selects these nodes. */
  readonly nodeSelector: Readonly<Record<string, string>>;

  constructor(name: string, args: EksConfidentialNodeGroupArgs, opts?: pulumi.ComponentResourceOptions) {
    super("sealflow:index:EksConfidentialNodeGroup", name, {}, opts);
    check(name, args, this);
    const tags = ownerTags(name, args.tags);
    const scope = { name: `${name}-role`, tags, parent: this };
    const { role, policies } = serviceRole(scope, "ec2.amazonaws.com", NODE_POLICIES);
    const profile = new iam.InstanceProfile(`${name}-profile`, { role: role.name, tags }, childOf(this));
    const entry = new eks.AccessEntry(
      `${name}-access`,
      { clusterName: args.cluster.name, principalArn: role.arn, type: "EC2_LINUX", tags },
      childOf(this),
    );
    const template = createTemplate(name, args, profile, tags, this);
    createGroup(name, args, template, tags, childOf(this, { dependsOn: [entry, ...policies] }));
    this.nodeSelector = CONFIDENTIAL_NODE_LABELS;
    this.registerOutputs({ nodeSelector: this.nodeSelector });
  }
}

function check(name: string, args: EksConfidentialNodeGroupArgs, resource: pulumi.Resource): void {
  const region = regionOf(args);
  const facts = {
    platform: "eks-confidential-nodes",
    ...(region === undefined ? {} : { region }),
    image: args.imageId === undefined ? {} : { id: typeof args.imageId === "string" ? args.imageId : null },
    instances: { default: args.size },
    workers: { kind: "self-managed" as const },
  };
  checkPlatform(name, facts, [], resource);
}

function createTemplate(
  name: string,
  args: EksConfidentialNodeGroupArgs,
  profile: iam.InstanceProfile,
  tags: Record<string, string>,
  parent: pulumi.ComponentResource,
): ec2.LaunchTemplate {
  const { cluster } = args;
  const userData = pulumi
    .all([cluster.name, cluster.endpoint, cluster.certificateAuthority, cluster.serviceCidr])
    .apply(([clusterName, apiServerEndpoint, certificateAuthority, cidr]) =>
      userDataOf({
        labels: CONFIDENTIAL_NODE_LABELS,
        keepsLayers: false,
        cluster: { name: clusterName, apiServerEndpoint, certificateAuthority, cidr },
      }),
    );
  return new ec2.LaunchTemplate(
    `${name}-template`,
    {
      imageId: args.imageId,
      instanceType: args.size,
      cpuOptions: { amdSevSnp: "enabled" },
      iamInstanceProfile: { arn: profile.arn },
      metadataOptions: { httpTokens: "required", httpPutResponseHopLimit: 1 },
      vpcSecurityGroupIds: [cluster.securityGroupId],
      updateDefaultVersion: true,
      userData,
      tags,
    },
    childOf(parent),
  );
}

function createGroup(
  name: string,
  { cluster, subnetIds, count = 1 }: EksConfidentialNodeGroupArgs,
  template: ec2.LaunchTemplate,
  tags: Record<string, string>,
  opts: pulumi.CustomResourceOptions,
): autoscaling.Group {
  const own = Object.entries(tags).map(([key, value]) => ({ key, value, propagateAtLaunch: true }));
  return new autoscaling.Group(
    `${name}-group`,
    {
      minSize: count,
      maxSize: count,
      desiredCapacity: count,
      vpcZoneIdentifiers: subnetIds,
      launchTemplate: { id: template.id, version: pulumi.interpolate`${template.latestVersion}` },
      tags: [
        ...own,
        { key: pulumi.interpolate`kubernetes.io/cluster/${cluster.name}`, value: "owned", propagateAtLaunch: true },
      ],
    },
    opts,
  );
}
