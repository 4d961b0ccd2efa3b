/** Kubernetes version, workers of the cluster (operating system, labels, taints), network and login. */
import type { PlatformArgs, WorkerChoice } from "../args";
import { familyOf } from "../families";
import type { Problems } from "../problems";
import type { PlatformRow } from "../types";
import { isBelow, versionOf } from "./version";

/** Oldest and newest version of AKS in its calendar. Source: MicrosoftDocs/azure-aks-docs, supported versions, 2026-11. */
const AKS = { oldest: [1, 34], ends: [1, 34], newest: [1, 37] } as const;
/** What the release of Confidential Containers was tested with. Source: its release notes. */
const TESTED = [1, 34] as const;
export const WORKER_LABEL = "node.kubernetes.io/worker";
/** AKS: which versions each operating system of a CVM pool has. Source: azure-aks-docs, articles/aks/use-cvm.md. */
const CVM_OS: Readonly<Record<string, { readonly from: readonly number[]; readonly to: readonly number[] }>> = {
  Ubuntu2404: { from: [1, 32], to: [1, 38] },
  AzureLinux: { from: [1, 28], to: [1, 36] },
  AzureLinux3: { from: [1, 28], to: [1, 36] },
};

export function checkKubernetes(row: PlatformRow, { kubernetesVersion }: PlatformArgs, out: Problems): void {
  if (kubernetesVersion === undefined || kubernetesVersion === null) return;
  const at = "kubernetesVersion";
  const version = versionOf(kubernetesVersion);
  if (version === undefined) {
    out.error("KUBERNETES", at, `"${kubernetesVersion}" is no version; write it with numbers, such as 1.35`);
    return;
  }
  const minor = version.slice(0, 2);
  if (row.cloud === "azure") {
    if (isBelow(minor, AKS.oldest)) {
      out.error("KUBERNETES", at, `AKS ended ${kubernetesVersion}; use 1.35 or 1.36`);
    } else if (!isBelow(AKS.ends, minor)) {
      out.warn("KUBERNETES", at, `AKS ends ${kubernetesVersion} in November 2026; use 1.35 or 1.36`);
    } else if (isBelow(AKS.newest, minor)) {
      out.warn("KUBERNETES", at, `${kubernetesVersion} is newer than what is known to work; 1.35 and 1.36 are`);
    }
  } else if (isBelow(minor, TESTED)) {
    out.warn(
      "KUBERNETES",
      at,
      `Confidential Containers are tested with 1.34 and newer, found ${kubernetesVersion}; upgrade the cluster`,
    );
  }
}

export function checkWorkers(row: PlatformRow, args: PlatformArgs, out: Problems): void {
  const { workers = {} } = args;
  if (workers.os?.startsWith("Windows")) {
    out.error("OS", "workers.os", `${workers.os} runs no Kata; use Ubuntu`);
  }
  if (workers.arch === "arm64") {
    out.error("OS", "workers.arch", "kata-deploy has no remote runtime for arm64; use amd64 workers");
  }
  if (workers.workloadRuntime !== undefined && workers.workloadRuntime !== "OCIContainer") {
    const ended = workers.workloadRuntime === "KataCcIsolation" ? "ended in March 2026" : "is no TEE";
    out.error(
      "OS",
      "workers.workloadRuntime",
      `${workers.workloadRuntime} ${ended}; leave it out: peer pods bring their own runtime`,
    );
  }
  if (row.model === "peer-pods") checkPeerPodWorkers(row, workers, out);
  if (row.model === "node-pool") checkConfidentialWorkers(row, workers, args, out);
}

function checkPeerPodWorkers(row: PlatformRow, workers: WorkerChoice, out: Problems): void {
  const label = workers.labels?.[WORKER_LABEL];
  const say = `must be {"${WORKER_LABEL}": ""}: the adaptor's DaemonSet selects exactly that`;
  if (label === undefined) out.error("LABEL", "workers.labels", `${WORKER_LABEL} is missing; ${say}`);
  else if (label !== "") out.error("LABEL", "workers.labels", `${WORKER_LABEL} is "${label}"; ${say}`);
  if ((workers.taints?.length ?? 0) > 0) {
    out.error(
      "LABEL",
      "workers.taints",
      `${workers.taints?.[0]}: the charts tolerate no taints, so no guest would start; remove it, and keep others away by node selectors`,
    );
  }
  const family = workers.size === undefined ? undefined : familyOf(workers.size);
  if (family?.state === "refused") {
    out.error(
      "INSTANCE",
      "workers.size",
      `${workers.size} is refused: ${family.reason}. Workers need no TEE: use Standard_D4s_v5`,
    );
  } else if (/^Standard_B\d|^t[234]a?g?\./.test(workers.size ?? "")) {
    out.error(
      "INSTANCE",
      "workers.size",
      `${workers.size} is a burst size, which starves the tunnels of all pods; use ${row.cloud === "aws" ? "m6a.xlarge" : "Standard_D4s_v5"}`,
    );
  } else if (/^Standard_F\d+s_v2$/.test(workers.size ?? "")) {
    out.warn("INSTANCE", "workers.size", `${workers.size} retires on 2028-11-15; use Standard_D4s_v5`);
  }
  if (row.cloud === "aws") checkEksWorkers(workers, label, out);
  else if (workers.os?.startsWith("AzureLinux")) {
    out.warn("OS", "workers.os", `upstream does not test peer pods with ${workers.os}; Ubuntu is tested`);
  }
}

function checkEksWorkers(
  { kind, os, keepsLayers, labelsByKubelet }: WorkerChoice,
  label: string | undefined,
  out: Problems,
): void {
  if (kind === "fargate" || kind === "auto-mode") {
    out.error(
      "OS",
      "workers.kind",
      `${kind} gives no access to the nodes' containerd; use a managed or self-managed node group`,
    );
    return;
  }
  if (os === "Bottlerocket")
    out.error("OS", "workers.os", "Bottlerocket has a read-only root, where kata-deploy cannot install; use Ubuntu");
  if ((os === "AL2" || os === "AL2023") && keepsLayers !== true) {
    out.error(
      "OS",
      "workers.keepsLayers",
      `containerd of ${os} discards unpacked layers, so guests find no image; set discard_unpacked_layers = false in its nodeadm configuration and keepsLayers: true, or use Ubuntu`,
    );
  }
  if (kind === "managed" && label === "" && labelsByKubelet !== true) {
    out.error(
      "LABEL",
      "workers.labelsByKubelet",
      `managed node groups refuse empty label values; set ${WORKER_LABEL}= by the kubelet's --node-labels and labelsByKubelet: true`,
    );
  }
}

function checkConfidentialWorkers(row: PlatformRow, workers: WorkerChoice, args: PlatformArgs, out: Problems): void {
  if (row.cloud === "aws") {
    if (workers.kind !== "self-managed") {
      out.error(
        "OS",
        "workers.kind",
        `${workers.kind ?? "a managed"} node group drops amdSevSnp in silence; use self-managed`,
      );
    }
    return;
  }
  if (workers.os === "Ubuntu2204")
    out.error("OS", "workers.os", "Ubuntu2204 has no confidential image on AKS; use Ubuntu2404 or AzureLinux");
  const range = CVM_OS[workers.os ?? ""];
  const version = versionOf(args.kubernetesVersion ?? "")?.slice(0, 2);
  if (range !== undefined && version !== undefined && (isBelow(version, range.from) || isBelow(range.to, version))) {
    out.error(
      "OS",
      "workers.os",
      `${workers.os} of confidential pools is for Kubernetes ${range.from.join(".")} to ${range.to.join(".")}, found ${args.kubernetesVersion}; use ${workers.os === "Ubuntu2404" ? "AzureLinux" : "Ubuntu2404"}`,
    );
  }
  if (workers.fips === true) out.error("OS", "workers.fips", "confidential pools have no FIPS images; set fips: false");
  if (workers.trustedLaunch === true)
    out.error(
      "OS",
      "workers.trustedLaunch",
      "Trusted Launch and confidential VM exclude each other; remove it, the pool has a vTPM anyway",
    );
}

/** Ports that network plugins take for tunnels of their own. */
const TUNNELS = [4789, 8472];
const VXLAN_PLUGINS = ["calico", "flannel", "cilium"];

export function checkNetwork(row: PlatformRow, { network, login, leakController }: PlatformArgs, out: Problems): void {
  if (row.model !== "peer-pods") return;
  const { plugin = "", vxlanPort = 9000, publicIp, podSubnetOutbound } = network ?? {};
  if (!Number.isInteger(vxlanPort) || vxlanPort < 1 || vxlanPort > 65_535) {
    out.error("NETWORK", "network.vxlanPort", `${vxlanPort} is no port; use 9000`);
  } else if (vxlanPort === 15_150) {
    out.error("NETWORK", "network.vxlanPort", "15150 is the port of the agent's connection; use 9000");
  } else if (TUNNELS.includes(vxlanPort) && VXLAN_PLUGINS.includes(plugin.toLowerCase())) {
    out.error(
      "NETWORK",
      "network.vxlanPort",
      `${plugin} has ${vxlanPort} for its own tunnels, so pods would have no network; use 9000`,
    );
  }
  if (publicIp === true)
    out.error(
      "NETWORK",
      "network.publicIp",
      "guests on the internet; remove it: workers reach them inside the network",
    );
  if (podSubnetOutbound === false) {
    out.error(
      "NETWORK",
      "network.podSubnetOutbound",
      "guests pull their images and reach the key broker themselves; give the subnet a NAT gateway",
    );
  }
  if (leakController === false) {
    out.error(
      "LEAK",
      "leakController",
      "without it VMs stay behind (and are paid for) when the adaptor restarts; leave it on and give it an identity",
    );
  }
  checkLogin(row, login, out);
}

function checkLogin(row: PlatformRow, login: PlatformArgs["login"], out: Problems): void {
  if (login === undefined) return;
  const best = row.cloud === "aws" ? "irsa" : "workload-identity";
  if (login === best) return;
  if (login === "client-secret" && row.cloud === "azure") {
    out.warn("LOGIN", "login", "a client secret lies in the cluster for all who read secrets; use workload-identity");
    return;
  }
  if (login === "static-keys" && row.cloud === "aws") {
    out.warn("LOGIN", "login", "static keys lie in the cluster for all who read secrets; use irsa");
    return;
  }
  const why =
    login === "pod-identity" || login === "node-role"
      ? "the adaptor's entry point does not accept it"
      : `it is not of ${row.cloud}`;
  out.error("LOGIN", "login", `${login}: ${why}; use ${best}`);
}
