import * as k8s from "@pulumi/kubernetes";
import type { ClusterPlatform } from "./cluster";

const providers = new WeakMap<ClusterPlatform, k8s.Provider>();

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
  const provider = new k8s.Provider(`${clusterName}-kubernetes`, { kubeconfig }, { parent: platform });
  providers.set(platform, provider);
  return provider;
}
