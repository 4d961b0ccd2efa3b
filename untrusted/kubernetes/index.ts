export { KubernetesClient, type KubernetesObject } from "./client";
export { type KubernetesCode, KubernetesError } from "./errors";
export { clusterOf, readKubeconfig } from "./kubeconfig";
