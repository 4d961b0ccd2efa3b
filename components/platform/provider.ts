import * as k8s from "@pulumi/kubernetes";
import type { ClusterPlatform } from "./cluster";

const providers = new WeakMap<ClusterPlatform, k8s.Provider>();
/** Of every provider that was made for a platform: its platform. */
const clusters = new WeakMap<k8s.Provider, ClusterPlatform>();

/** Remembers whose cluster a provider deploys to. */
export function ofCluster(platform: ClusterPlatform, provider: k8s.Provider): k8s.Provider {
  clusters.set(provider, platform);
  return provider;
}

/** Whether a provider (undefined: the ambient kubeconfig) deploys to a platform's cluster, as far as is known of it. */
export const deploysTo = (platform: ClusterPlatform, provider: k8s.Provider | undefined): boolean =>
  provider === undefined ? platform.kubeconfig === undefined : clusters.get(provider) === platform;

/** Whether a provider was made for the cluster of a platform, whichever. */
export const isOfPlatform = (provider: k8s.Provider | undefined): boolean =>
  provider !== undefined && clusters.has(provider);

/**
 * The one Kubernetes provider of a platform's cluster, for every component that deploys to it: each provider is a process
 * of its own, and objects of two providers do not know each other.
 * @returns undefined: the ambient kubeconfig.
 */
export function clusterProvider(platform: ClusterPlatform): k8s.Provider | undefined {
  if (platform.kubeconfig === undefined) return undefined;
  const known = providers.get(platform);
  if (known) return known;
  const { clusterName, kubeconfig } = platform;
  const provider = ofCluster(
    platform,
    new k8s.Provider(`${clusterName}-kubernetes`, { kubeconfig }, { parent: platform }),
  );
  providers.set(platform, provider);
  return provider;
}
