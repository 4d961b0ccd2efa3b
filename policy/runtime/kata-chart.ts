/**
 * The umbrella chart of Confidential Containers with nothing left to its defaults that decides where guests run. It must be
 * a Helm release: hooks clean the nodes when it goes. Keys: confidential-containers/charts values.yaml; kata-deploy's
 * values.yaml in kata-containers/kata-containers.
 */
import { jcsDigest } from "../../protocol/canonical";
import { PolicyError } from "../errors";
import { CONFIG_LABEL } from "../peer-pods";
import { VERSIONS } from "../versions";

export const KATA_NAMESPACE = "coco-system";
/** The umbrella's name for kata-deploy. */
const KATA = "kata-as-coco-runtime";
export const DISTRIBUTIONS = ["k8s", "k3s", "rke2", "k0s", "microk8s"] as const;
export type Distribution = (typeof DISTRIBUTIONS)[number];

/** Shims with a TEE, each with the label that Node Feature Discovery sets on nodes which have it. */
export const TEE_SHIMS = {
  "qemu-snp": "amd.feature.node.kubernetes.io/snp",
  "qemu-snp-runtime-rs": "amd.feature.node.kubernetes.io/snp",
  "qemu-tdx": "intel.feature.node.kubernetes.io/tdx",
  "qemu-tdx-runtime-rs": "intel.feature.node.kubernetes.io/tdx",
  "qemu-nvidia-gpu-snp": "amd.feature.node.kubernetes.io/snp",
  "qemu-nvidia-gpu-tdx": "intel.feature.node.kubernetes.io/tdx",
} as const;
export type TeeShim = keyof typeof TEE_SHIMS;

export interface KataChartArgs {
  /** Shims of the platform; others stay off. */
  readonly shims: readonly string[];
  /** Nodes that get the runtime. */
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly distribution?: Distribution;
  /**
   * `install`: the chart brings Node Feature Discovery. `present`: the cluster has it. `none`: whoever runs the nodes sets
   * the labels by hand, and nothing counts how many guests a processor can hold.
   */
  readonly nodeFeatureDiscovery: "install" | "present" | "none";
  /** `daemonset`, or `job` for pools that scale: then nothing stays resident. Never changes in the life of a release. */
  readonly mode?: "daemonset" | "job";
}

export interface HelmChart {
  readonly chart: string;
  readonly version: string;
  readonly namespace: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** @throws PolicyError RUNTIME with everything that would leave pods without a guest. */
export function kataChart(args: KataChartArgs): HelmChart {
  const problems = problemsOf(args);
  if (problems.length > 0) throw new PolicyError("RUNTIME", `Confidential Containers: ${problems.join("; ")}`);
  const { shims, nodeSelector, nodeFeatureDiscovery, distribution = "k8s", mode = "daemonset" } = args;
  const discovered = nodeFeatureDiscovery !== "none";
  const settings = {
    deploymentMode: mode,
    ...(mode === "job" ? { job: { reconcile: { enabled: true } } } : {}),
    image: { reference: "quay.io/kata-containers/kata-deploy", tag: VERSIONS.kata },
    imagePullPolicy: "IfNotPresent",
    k8sDistribution: distribution,
    // Debug classes and devkits open guests.
    debug: false,
    snapshotter: { setup: ["nydus"] },
    shims: {
      // Shims that a newer chart adds are on by default, and would make runtime classes without a TEE.
      disableAll: true,
      ...Object.fromEntries(shims.map((shim) => [shim, shimValues(shim as TeeShim)])),
    },
    runtimeClasses: { enabled: true, createDefault: false },
    // `auto` asks the cluster while rendering; here the program decides.
    nodeFeatureRules: { create: discovered ? "true" : "false" },
    "node-feature-discovery": { enabled: nodeFeatureDiscovery === "install" },
    nodeSelector: { ...nodeSelector },
  };
  return {
    chart: "oci://ghcr.io/confidential-containers/charts/confidential-containers",
    version: VERSIONS.charts.confidentialContainers,
    namespace: KATA_NAMESPACE,
    values: {
      customContainerd: { enabled: false },
      [KATA]: { enabled: true, ...settings, podLabels: { [CONFIG_LABEL]: installDigest(settings) } },
    },
  };
}

function shimValues(shim: TeeShim) {
  const gpu = shim.includes("nvidia");
  return {
    enabled: true,
    containerd: gpu ? { forceGuestPull: true } : { snapshotter: "nydus", forceGuestPull: false },
    runtimeClass: { nodeSelector: { [TEE_SHIMS[shim]]: "true" } },
  };
}

function problemsOf({ shims, nodeSelector, distribution = "k8s", mode = "daemonset" }: KataChartArgs): string[] {
  return [
    ...(shims.length > 0 ? [] : ["shims is empty, so no runtime class would be made"]),
    ...shims
      .filter((shim) => !Object.hasOwn(TEE_SHIMS, shim))
      .map((shim) => `shim "${shim}" has no TEE; use one of ${Object.keys(TEE_SHIMS).join(", ")}`),
    ...(DISTRIBUTIONS.includes(distribution)
      ? []
      : [`distribution "${distribution}" stops the install; use one of ${DISTRIBUTIONS.join(", ")}`]),
    ...(mode === "daemonset" || mode === "job" ? [] : [`mode "${mode}" is neither daemonset nor job`]),
    ...Object.entries(nodeSelector)
      .filter(([key]) => key === "" || key === "katacontainers.io/kata-runtime")
      .map(([key]) => `nodeSelector "${key}": kata-deploy sets it itself, so no node would have it before`),
  ];
}

/** Of what gets installed: another value means that nodes change. */
export const installDigest = (value: unknown): string => jcsDigest(value).slice(0, 16);
