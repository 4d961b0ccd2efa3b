export { type KubernetesNode, type KubernetesNodeOptions, type Program, startKubernetesNode } from "./kubelet";
