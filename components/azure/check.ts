/** Arguments of AksPeerPods against the rules of its platform; defaults filled in. */
import type { PlatformArgs } from "../../model/platforms";
import { VXLAN_PORT } from "../../policy/peer-pods";
import { networkProblems } from "../platform/cidr";
import { adoptionProblems, commonFacts, imageFacts, WORKER_LABELS } from "../platform/peer-pods";
import { type AksPeerPodsArgs, AzureTee } from "./args";

export const PLATFORM_OF: Readonly<Record<AzureTee, string>> = {
  [AzureTee.SevSnp]: "azure-peer-pods-snp",
  [AzureTee.Tdx]: "azure-peer-pods-tdx",
  [AzureTee.SevSnpGpu]: "azure-peer-pods-gpu",
};

/** Network of a plan that says nothing. */
export const NETWORK = {
  addressSpace: "10.224.0.0/12",
  nodes: "10.224.0.0/16",
  guests: "10.225.0.0/16",
  pods: "10.244.0.0/16",
  services: "10.0.0.0/16",
} as const;

/** Workers of a program that says nothing. */
export const WORKERS = {
  size: "Standard_D4s_v5",
  count: 2,
  os: "Ubuntu",
  systemSize: "Standard_D2s_v5",
  systemCount: 2,
} as const;

/** What the rules see. The cluster's own network plugin makes no tunnels, so no port is taken. */
export const factsOf = (args: AksPeerPodsArgs): PlatformArgs => ({
  platform: PLATFORM_OF[args.tee ?? AzureTee.SevSnp] ?? String(args.tee),
  region: args.location,
  image: { ...imageFacts(args.image), ...(args.imageHasNvme === undefined ? {} : { nvme: args.imageHasNvme }) },
  ...commonFacts(args),
  ...(args.kubernetesVersion === undefined ? {} : { kubernetesVersion: args.kubernetesVersion }),
  workers: {
    size: args.workers?.size ?? WORKERS.size,
    os: args.workers?.os ?? WORKERS.os,
    labels: WORKER_LABELS,
  },
  network: { plugin: "azure", vxlanPort: args.vxlanPort ?? VXLAN_PORT },
  login: "workload-identity",
});

/** What only this component can see. */
export function ownProblems(args: AksPeerPodsArgs): string[] {
  const { existing, ...plan } = args.network ?? {};
  const { addressSpace, nodes, guests, pods, services } = { ...NETWORK, ...plan };
  const whole = { name: "network.addressSpace", cidr: addressSpace };
  const apart = {
    "network.nodes": nodes,
    "network.guests": guests,
    "network.pods": pods,
    "network.services": services,
  };
  const inside = { "network.nodes": whole, "network.guests": whole };
  return [...(existing ? [] : networkProblems({ apart, inside })), ...adoptionProblems(args)];
}
