/** Where the relying party runs: not in the cluster that it is meant to distrust. */
import type * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { ClusterPlatform } from "../platform/cluster";
import { deploysTo, isOfPlatform } from "../platform/provider";

/** `production`: replicas on PostgreSQL, images by digest, a cluster of its own. `development`: one of each. */
export const ServiceMode = { Production: "production", Development: "development" } as const;
export type ServiceMode = (typeof ServiceMode)[keyof typeof ServiceMode];

export interface PlacementArgs {
  /** @default ServiceMode.Production */
  mode?: ServiceMode;
  /** Cluster of the relying party, the owner's own. @default the ambient kubeconfig */
  provider?: k8s.Provider;
  /**
   * Where guests run that get keys here, whose operator is distrusted: platforms of this program, or `"elsewhere"` where
   * other programs deploy them, so that nothing can be compared. Needed in production. @default a warning that nobody looks
   */
  guests?: ClusterPlatform | readonly ClusterPlatform[] | "elsewhere";
  /**
   * Development only: why the relying party runs in the cluster that it is meant to distrust. Whoever administers that
   * cluster reads its keys. @default it is refused
   */
  acknowledgeSameCluster?: string;
}

const WHY = "it would run in the cluster whose administrators it is meant to keep out, who could read its keys";

/** @returns problems; what is acknowledged, and what nobody looks at, is said at every preview. */
export function placementProblems(args: PlacementArgs, resource: pulumi.Resource): string[] {
  const { mode = ServiceMode.Production, guests, acknowledgeSameCluster: reason } = args;
  if (!Object.values<string>(ServiceMode).includes(mode)) {
    return [`mode: "${mode}" is neither "production" nor "development"`];
  }
  // Without one of its own the component's children take the provider that it was given by its options.
  const provider = args.provider ?? (resource.getProvider("kubernetes:core/v1:Namespace") as k8s.Provider | undefined);
  const platforms = platformsOf(guests);
  const same = isOfPlatform(provider) || platforms.some((platform) => deploysTo(platform, provider));
  if (mode === ServiceMode.Production) {
    if (same) return [`provider: ${WHY}. Give a cluster of the owner's own`];
    return [...(platforms.length === 0 && guests !== "elsewhere" ? [MISSING] : []), ...needless(reason)];
  }
  const unknown = platforms.length === 0;
  if (!same && !unknown) return needless(reason);
  if (reason !== undefined && reason.trim().length >= 10) {
    const what = same ? `the relying party runs beside the guests that it releases keys to, so ${WHY}` : UNSEEN;
    void pulumi.log.warn(`${what}: ${reason}`, resource);
    return [];
  }
  if (same || reason !== undefined) {
    return [`provider: ${WHY}. Give another cluster, or say acknowledgeSameCluster: "<reason>"`];
  }
  if (guests !== "elsewhere") void pulumi.log.warn(`${UNSEEN}. ${REMEDY}`, resource);
  return [];
}

const REMEDY = 'Give the platform of the guests, or "elsewhere" where another program deploys it';
const MISSING = `guests: missing, so nobody looks whether the relying party runs in the cluster that it is meant to distrust. ${REMEDY}`;
const UNSEEN =
  "guests: of no platform here, so nobody looks whether the relying party runs in the cluster that it is meant to distrust";

const platformsOf = (guests: PlacementArgs["guests"]): readonly ClusterPlatform[] =>
  guests === undefined || guests === "elsewhere" ? [] : [guests].flat();

const needless = (reason: string | undefined): string[] =>
  reason === undefined ? [] : ["acknowledgeSameCluster: it runs in another cluster than guests. Remove it"];
