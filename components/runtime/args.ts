import type { Distribution } from "../../policy/runtime";
import type { ClusterPlatform } from "../platform/cluster";

/** How the runtime gets onto the cluster. */
export const RuntimeInstall = {
  /** The charts, as Helm releases. */
  Charts: "charts",
  /** The operator 0.17, which upstream has archived: for clusters that stay with it. */
  Operator: "operator",
} as const;
export type RuntimeInstall = (typeof RuntimeInstall)[keyof typeof RuntimeInstall];

/** Whether this brings a part of the cluster that others may have brought already. */
export const ClusterPart = {
  Install: "install",
  /** The cluster has it, and keeps it when this goes. */
  Present: "present",
  /** It is neither there nor wanted. */
  None: "none",
} as const;
export type ClusterPart = (typeof ClusterPart)[keyof typeof ClusterPart];

export interface CocoRuntimeArgs {
  /** Says what has to be installed, and where. */
  platform: ClusterPlatform;
  /** @default RuntimeInstall.Charts */
  install?: RuntimeInstall;
  /** cert-manager, which the webhook of peer pods needs. Has to be said for peer pods; two of them break each other. */
  certManager?: ClusterPart;
  /**
   * Node Feature Discovery, which labels nodes that have a TEE and counts how many guests they can hold. Has to be said for
   * Kata; with ClusterPart.None whoever runs the nodes sets the labels.
   */
  nodeFeatureDiscovery?: ClusterPart;
  /** Kind of Kubernetes; a wrong one stops the install. @default "k8s" */
  distribution?: Distribution;
  /** Whether nodes come and go: then jobs install the runtime, and nothing stays resident. Never changes. @default false */
  scaling?: boolean;
  /** Operator only: image that prepares the nodes, by digest or commit (docs/kubernetes.md). */
  requirementsImage?: string;
  /** Seconds that it waits for the runtime class and a node that can take it. @default 1200 */
  readySeconds?: number;
}
