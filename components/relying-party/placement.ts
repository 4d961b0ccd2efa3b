/** Where the relying party runs: not in the cluster that it is meant to distrust. */
import type * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { ClusterPlatform } from "../platform/cluster";
import { deploysTo } from "../platform/provider";

/** `production`: replicas on PostgreSQL, images by digest, a cluster of its own. `development`: one of each. */
export const ServiceMode = { Production: "production", Development: "development" } as const;
export type ServiceMode = (typeof ServiceMode)[keyof typeof ServiceMode];

export interface PlacementArgs {
  /** @default ServiceMode.Production */
  mode?: ServiceMode;
  /** Cluster of the relying party, the owner's own. @default the ambient kubeconfig */
  provider?: k8s.Provider;
  /** Platform whose operator is distrusted: where guests run. */
  guests?: ClusterPlatform;
  /**
   * Development only: why the relying party runs in the cluster that it is meant to distrust. Whoever administers that
   * cluster reads its keys. @default it is refused
   */
  acknowledgeSameCluster?: string;
}

/** @returns problems; what is acknowledged is said at every preview. */
export function placementProblems(args: PlacementArgs, resource: pulumi.Resource): string[] {
  const { mode = ServiceMode.Production, guests, acknowledgeSameCluster: reason } = args;
  if (!Object.values<string>(ServiceMode).includes(mode)) {
    return [`mode: "${mode}" is neither "production" nor "development"`];
  }
  // Without one of its own the component's children take the provider that it was given by its options.
  const provider = args.provider ?? (resource.getProvider("kubernetes:core/v1:Namespace") as k8s.Provider | undefined);
  const same = guests !== undefined && deploysTo(guests, provider);
  if (!same) {
    return reason === undefined ? [] : ["acknowledgeSameCluster: it runs in another cluster than guests. Remove it"];
  }
  const why = "it would run in the cluster whose administrators it is meant to keep out, who could read its keys";
  if (mode === ServiceMode.Production) return [`provider: ${why}. Give a cluster of the owner's own`];
  if (reason === undefined || reason.trim().length < 10) {
    return [`provider: ${why}. Give another cluster, or say acknowledgeSameCluster: "<reason>"`];
  }
  void pulumi.log.warn(
    `the relying party runs beside the guests that it releases keys to, so ${why}: ${reason}`,
    resource,
  );
  return [];
}
