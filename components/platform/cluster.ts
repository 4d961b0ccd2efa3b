import type * as pulumi from "@pulumi/pulumi";
import type { PlatformWiring } from "../../model/platforms";
import type { PeerPodsChart } from "../../policy/peer-pods";
import type { Platform } from "./platform";

/** How guests come to a cluster's nodes. */
export const RuntimeKind = {
  /** A VM of the cloud for each pod: the peer-pods chart. */
  PeerPods: "peer-pods",
  /** Kata with the node's own hypervisor: the chart of Confidential Containers. */
  Kata: "kata",
  /** The cluster has it: nothing is installed, but it is checked. */
  Present: "present",
} as const;
export type RuntimeKind = (typeof RuntimeKind)[keyof typeof RuntimeKind];

/** What CocoRuntime has to install, or to find. Plain facts: each platform says them once. */
export interface RuntimeNeeds {
  readonly kind: RuntimeKind;
  /** Peer pods only: the chart with this platform's values. Unknown in the preview of a new cluster. */
  readonly chart?: pulumi.Output<PeerPodsChart>;
  /** Kata only: shims of kata-deploy without their prefix, such as `qemu-snp`. The first is the platform's runtime class. */
  readonly shims?: readonly string[];
  /** Labels that a node must have to take guests; installed runtimes select the same. */
  readonly nodeLabels: Readonly<Record<string, string>>;
  /** Labels that Node Feature Discovery sets where the hardware is there; pods of the runtime class need them. */
  readonly featureLabels?: Readonly<Record<string, string>>;
}

/**
 * A platform on a Kubernetes cluster. Every such platform fulfils it; CocoRuntime, the relying party's components and the
 * Argo backend take nothing else of it.
 */
export interface ClusterPlatform extends Platform {
  /** Name of the component; what is made for its cluster is named after it. */
  readonly clusterName: string;
  /** Row of the capability matrix (docs/platforms.md). */
  readonly platform: string;
  /** Initdata rule, sizes of guests, order of deletion. */
  readonly wiring: PlatformWiring;
  /** Secret; unknown in the preview of a new cluster. undefined: the ambient kubeconfig, which no stack should rely on. */
  readonly kubeconfig?: pulumi.Output<string> | undefined;
  readonly runtime: RuntimeNeeds;
  /** What must be there before the runtime, and must outlive it. */
  readonly before: readonly pulumi.Resource[];
}

export const isClusterPlatform = (platform: Platform): platform is ClusterPlatform =>
  "runtime" in platform && "wiring" in platform && "before" in platform;
