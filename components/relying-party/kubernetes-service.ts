import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { type PartOfService, startDigest } from "../../policy/services";
import { childOf } from "../options";

export interface ServiceScope {
  readonly name: string;
  readonly parent: pulumi.ComponentResource;
  readonly provider?: k8s.Provider | undefined;
  /** Before everything. */
  readonly dependsOn?: pulumi.Resource[];
}

export const optionsOf = (
  { parent, provider, dependsOn = [] }: ServiceScope,
  more: pulumi.Resource[] = [],
  options: pulumi.CustomResourceOptions = {},
) => childOf(parent, { ...options, dependsOn: [...dependsOn, ...more], ...(provider ? { provider } : {}) });

/**
 * Restricted: every pod of the relying party passes it.
 * @param acknowledgeSameCluster kept where people who look at the cluster find it.
 * @param options of the namespace: what is in it goes with it.
 */
export function restrictedNamespace(
  scope: ServiceScope,
  namespace: string,
  acknowledgeSameCluster: string | undefined,
  options: pulumi.CustomResourceOptions,
): k8s.core.v1.Namespace {
  const labels = Object.fromEntries(
    ["enforce", "audit", "warn"].map((mode) => [`pod-security.kubernetes.io/${mode}`, "restricted"]),
  );
  const metadata = {
    name: namespace,
    labels: { "app.kubernetes.io/managed-by": "sealflow", ...labels },
    ...(acknowledgeSameCluster === undefined ? {} : { annotations: { acknowledgeSameCluster } }),
  };
  return new k8s.core.v1.Namespace(`${scope.name}-namespace`, { metadata }, optionsOf(scope, [], options));
}

/** @param data values are secrets of the stack. */
export function serviceSecret(
  scope: ServiceScope,
  word: string,
  metadata: { name: string; namespace: string },
  data: Record<string, pulumi.Input<string>>,
): k8s.core.v1.Secret {
  return new k8s.core.v1.Secret(`${scope.name}-${word}`, { metadata, stringData: data }, optionsOf(scope));
}

/** `start` of a service: rolls its pods when one of the files changes. It is no secret, see startDigest. */
export const startOf = (
  key: pulumi.Input<string>,
  files: Readonly<Record<string, pulumi.Input<string>>>,
): pulumi.Output<string> =>
  pulumi.unsecret(pulumi.all([key, pulumi.all(files)]).apply(([secret, read]) => startDigest(secret, read)));

/** Account first, the Deployment after its Secrets; a budget and a network policy beside it. */
export function createService(
  scope: ServiceScope,
  // biome-ignore lint/suspicious/noExplicitAny: plain objects of the builders, which the API server checks strictly
  objects: pulumi.Input<Readonly<Record<PartOfService, any>>>,
  files: pulumi.Resource[],
): k8s.apps.v1.Deployment {
  const { name } = scope;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  const parts = objects as Record<PartOfService, any>;
  const account = new k8s.core.v1.ServiceAccount(`${name}-account`, parts.account, optionsOf(scope));
  const network = new k8s.networking.v1.NetworkPolicy(`${name}-network`, parts.network, optionsOf(scope));
  new k8s.policy.v1.PodDisruptionBudget(`${name}-budget`, parts.budget, optionsOf(scope));
  new k8s.core.v1.Service(`${name}-service`, parts.service, optionsOf(scope));
  return new k8s.apps.v1.Deployment(
    `${name}-deployment`,
    parts.deployment,
    optionsOf(scope, [account, network, ...files]),
  );
}
