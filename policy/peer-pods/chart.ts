/**
 * The peer-pods chart for one cloud: Cloud API Adaptor, its controller that deletes leaked VMs, the webhook, kata-deploy
 * with the remote runtime alone. It must be a Helm release, because clean-up is done by hooks, and cert-manager must be
 * there before. Keys: confidential-containers/cloud-api-adaptor, src/cloud-api-adaptor/install/charts/peerpods.
 */
import { PEER_PODS_RUNTIME_CLASS } from "../../model/platforms";
import { jcsDigest } from "../../protocol/canonical";
import { PolicyError } from "../errors";
import { VERSIONS } from "../versions";

/** The chart's own; other names do not work, its cluster-wide names are fixed too. */
export const ADAPTOR_NAMESPACE = "confidential-containers-system";
/** Service accounts that log in to the cloud: the adaptor, and the controller, which needs an identity as well. */
export const ADAPTOR_SERVICE_ACCOUNTS = ["cloud-api-adaptor", "peerpodctrl-controller-manager"] as const;
/** TCP, worker to guest: the agent's connection. */
export const FORWARDER_PORT = 15_150;
/** UDP, both ways: the pod's network. Not 4789, which network plugins take for themselves. */
export const VXLAN_PORT = 9000;
/** The charts roll nothing when configuration changes; a label with its digest does. */
export const CONFIG_LABEL = "sealflow.config";
/** The controller reads this name and no other. */
const SECRET_NAME = "peer-pods-secret";
const REGISTRY = "quay.io/confidential-containers";

interface Common {
  /** Guest image. */
  readonly imageId: string;
  readonly region: string;
  readonly subnetId: string;
  /** Size of guests that ask for nothing else. */
  readonly defaultInstance: string;
  /** Sizes that pods may ask for; must have the default. */
  readonly instances: readonly string[];
  /** On every VM, and what a sweep looks for. Keys and values without comma and equals sign; at least one. */
  readonly tags: Readonly<Record<string, string>>;
  /** Guests per worker; the scheduler's only limit, it knows nothing of the cloud's quota. Default 10. */
  readonly limitPerNode?: number;
  /** Root disk of a guest, GiB. Default: the image's own on Azure, 30 on AWS. */
  readonly rootGiB?: number;
  /** UDP. Default VXLAN_PORT. */
  readonly vxlanPort?: number;
}

export interface AzurePeerPods extends Common {
  readonly cloud: "azure";
  readonly subscriptionId: string;
  /** Of the guests' VMs; best one of their own, so that roles reach no further. */
  readonly resourceGroup: string;
  readonly tenantId: string;
  /** Client id of the user-assigned identity with both federated credentials. */
  readonly clientId: string;
  /** For network interfaces that get their security group each. Default: the subnet's. */
  readonly securityGroupId?: string;
}

export interface AwsPeerPods extends Common {
  readonly cloud: "aws";
  readonly securityGroupIds: readonly string[];
  /** IRSA roles: of the adaptor, of the controller. */
  readonly adaptorRoleArn: string;
  readonly controllerRoleArn: string;
}

export type PeerPodsArgs = AzurePeerPods | AwsPeerPods;

export interface PeerPodsChart {
  readonly chart: string;
  readonly version: string;
  readonly namespace: string;
  readonly values: Readonly<Record<string, unknown>>;
  /** To be made before the chart; nothing in it is secret on these clouds, but the adaptor reads it from a Secret. */
  readonly secret: { readonly name: string; readonly data: Readonly<Record<string, string>> } | null;
}

/** @throws PolicyError PEER_PODS with every value that the adaptor would misread. */
export function peerPodsChart(args: PeerPodsArgs): PeerPodsChart {
  const problems = problemsOf(args);
  if (problems.length > 0) throw new PolicyError("PEER_PODS", `peer pods on ${args.cloud}: ${problems.join("; ")}`);
  const config = { ...commonConfig(args), ...(args.cloud === "azure" ? azureConfig(args) : awsConfig(args)) };
  const logins = args.cloud === "azure" ? azureLogins(args) : awsLogins(args);
  const image = { tag: VERSIONS.cloudApiAdaptorImages };
  // By whom they sign in is read when a pod is made.
  const rolledBy = (value: unknown) => ({ ...logins.labels, [CONFIG_LABEL]: jcsDigest(value).slice(0, 16) });
  return {
    chart: "oci://ghcr.io/confidential-containers/cloud-api-adaptor/charts/peerpods",
    version: VERSIONS.charts.peerPods,
    namespace: ADAPTOR_NAMESPACE,
    secret: logins.secret === null ? null : { name: SECRET_NAME, data: logins.secret },
    values: {
      provider: args.cloud,
      providerConfigs: { [args.cloud]: config },
      // `create` would put the values into Helm's history.
      secrets: { mode: "reference", existingSecretName: logins.secret === null ? "" : SECRET_NAME },
      image: { name: `${REGISTRY}/cloud-api-adaptor`, ...image },
      daemonset: {
        podLabels: rolledBy({ config, logins }),
        serviceAccount: { annotations: logins.adaptor },
      },
      resourceCtrl: {
        enabled: true,
        image: { repository: `${REGISTRY}/peerpod-ctrl`, ...image },
        podLabels: rolledBy({ logins }),
        serviceAccount: { annotations: logins.controller },
      },
      webhook: {
        enabled: true,
        image: { repository: `${REGISTRY}/peer-pods-webhook`, ...image },
        webhook: { targetRuntimeClass: PEER_PODS_RUNTIME_CLASS, failurePolicy: "Fail" },
        certManager: { enabled: true },
      },
      "kata-deploy": {
        enabled: true,
        snapshotter: { setup: ["nydus"] },
        defaultShim: { amd64: "remote" },
        // Shims that a newer chart adds are on by default, and would make runtime classes without a TEE.
        shims: { disableAll: true, remote: { enabled: true } },
      },
    },
  };
}

/** Strings only: the chart writes them into a ConfigMap, where numbers and booleans go wrong. */
type Config = Readonly<Record<string, string>>;

const commonConfig = ({ tags, limitPerNode = 10, vxlanPort = VXLAN_PORT, rootGiB }: Common): Config => ({
  DISABLECVM: "false",
  CLOUD_CONFIG_VERIFY: "true",
  TLS_SKIP_VERIFY: "false",
  USE_PUBLIC_IP: "false",
  PEERPODS_LIMIT_PER_NODE: String(limitPerNode),
  FORWARDER_PORT: String(FORWARDER_PORT),
  VXLAN_PORT: String(vxlanPort),
  TAGS: Object.entries(tags)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(","),
  ...(rootGiB === undefined ? {} : { ROOT_VOLUME_SIZE: String(rootGiB) }),
});

const azureConfig = (args: AzurePeerPods): Config => ({
  AZURE_SUBSCRIPTION_ID: args.subscriptionId,
  AZURE_RESOURCE_GROUP: args.resourceGroup,
  AZURE_REGION: args.region,
  AZURE_SUBNET_ID: args.subnetId,
  AZURE_IMAGE_ID: args.imageId,
  AZURE_INSTANCE_SIZE: args.defaultInstance,
  AZURE_INSTANCE_SIZES: args.instances.join(","),
  ...(args.securityGroupId === undefined ? {} : { AZURE_NSG_ID: args.securityGroupId }),
});

const awsConfig = (args: AwsPeerPods): Config => ({
  PODVM_AMI_ID: args.imageId,
  PODVM_INSTANCE_TYPE: args.defaultInstance,
  PODVM_INSTANCE_TYPES: args.instances.join(","),
  AWS_REGION: args.region,
  AWS_SUBNET_ID: args.subnetId,
  AWS_SG_IDS: args.securityGroupIds.join(","),
  // A launch template would decide over SNP instead of the adaptor.
  USE_PODVM_LAUNCHTEMPLATE: "false",
});

interface Logins {
  readonly labels: Config;
  readonly adaptor: Config;
  readonly controller: Config;
  readonly secret: Config | null;
}

function azureLogins({ clientId, tenantId }: AzurePeerPods): Logins {
  const annotations = { "azure.workload.identity/client-id": clientId };
  return {
    labels: { "azure.workload.identity/use": "true" },
    adaptor: annotations,
    controller: annotations,
    // Without AZURE_CLIENT_SECRET the adaptor takes the workload identity.
    secret: { AZURE_CLIENT_ID: clientId, AZURE_TENANT_ID: tenantId },
  };
}

const awsLogins = ({ adaptorRoleArn, controllerRoleArn }: AwsPeerPods): Logins => ({
  labels: {},
  adaptor: { "eks.amazonaws.com/role-arn": adaptorRoleArn },
  controller: { "eks.amazonaws.com/role-arn": controllerRoleArn },
  secret: null,
});

function problemsOf(args: PeerPodsArgs): string[] {
  const { tags, instances, defaultInstance, limitPerNode = 10 } = args;
  const empty = Object.entries(args).filter(
    ([, value]) => value === "" || (Array.isArray(value) && value.length === 0),
  );
  return [
    ...empty.map(([name]) => `${name} is empty`),
    ...(instances.includes(defaultInstance) ? [] : [`instances lacks the default ${defaultInstance}`]),
    ...instances.filter((size) => size.includes(",")).map((size) => `instance "${size}" has a comma`),
    ...(Object.keys(tags).length > 0 ? [] : ["tags is empty, so left-over VMs could not be found"]),
    ...Object.entries(tags)
      .filter(([key, value]) => key === "" || /[,=]/.test(key + value))
      .map(([key]) => `tag "${key}": neither key nor value may have a comma or an equals sign`),
    ...(Number.isInteger(limitPerNode) && limitPerNode >= 1
      ? []
      : [`limitPerNode is ${limitPerNode}, expected 1 and more`]),
  ];
}
