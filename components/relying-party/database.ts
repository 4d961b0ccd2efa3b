/** Where a service of the relying party keeps its state, and what becomes of it in the cluster. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { clusterAccess, type DatabaseAccess, databaseObjects, urlAccess } from "../../policy/services";
import { optionsOf, type ServiceScope } from "./kubernetes-service";

/** A PostgreSQL cluster in the service's own namespace. Its password is made there and is in no state of Pulumi. */
export interface CloudNativePgDatabase {
  cloudNativePg: {
    /** PostgreSQL image of CloudNativePG, `…@sha256:…`. */
    image: string;
    /** Of each instance's volume, such as `10Gi`. */
    size: string;
    /** @default the cluster's */
    storageClass?: string;
    /** @default 3 in production, of which one more than the first has every commit; 1 in development */
    instances?: number;
    /** What installs the operator, when this program does. @default the cluster has it */
    operator?: pulumi.Resource;
    /** @default "cnpg-system" */
    operatorNamespace?: string;
  };
}

/** `postgres://…` of a server elsewhere, a secret; or a cluster beside the service. */
export type DatabaseSource = pulumi.Input<string> | CloudNativePgDatabase;

export const isInCluster = (source: DatabaseSource | undefined): source is CloudNativePgDatabase =>
  typeof source === "object" && !pulumi.Output.isInstance(source) && "cloudNativePg" in source;

/** @param secret name of the Secret that takes a URL's parts. @returns undefined without a database. */
export const accessOf = (
  source: DatabaseSource | undefined,
  { service, secret }: { service: string; secret: string },
): DatabaseAccess | undefined =>
  source === undefined ? undefined : isInCluster(source) ? clusterAccess(service) : urlAccess(secret);

export interface DatabasePlace {
  readonly service: string;
  readonly namespace: string;
  readonly production: boolean;
  /** Whether a client without TLS is refused. */
  readonly tlsOnly: boolean;
  /** Of the database itself. */
  readonly options: pulumi.CustomResourceOptions;
}

/** @returns what the service has to wait for: nothing when its database is elsewhere. @throws PolicyError SERVICE */
export function createDatabase(
  scope: ServiceScope,
  source: DatabaseSource | undefined,
  { options, ...place }: DatabasePlace,
): pulumi.Resource[] {
  if (!isInCluster(source)) return [];
  const { operator, instances = place.production ? 3 : 1, ...args } = source.cloudNativePg;
  const { cluster, network } = databaseObjects({ ...args, ...place, instances });
  const policy = new k8s.networking.v1.NetworkPolicy(`${scope.name}-database-network`, network, optionsOf(scope));
  const before = [policy, ...(operator ? [operator] : [])];
  const custom = cluster as k8s.apiextensions.CustomResourceArgs;
  return [new k8s.apiextensions.CustomResource(`${scope.name}-database`, custom, optionsOf(scope, before, options))];
}
