/** Arguments of EksPeerPods against the rules of its platform; defaults filled in. */
import * as pulumi from "@pulumi/pulumi";
import type { PlatformArgs } from "../../model/platforms";
import { VXLAN_PORT } from "../../policy/peer-pods";
import { networkProblems } from "../platform/cidr";
import { adoptionProblems, commonFacts, imageFacts, WORKER_LABELS } from "../platform/peer-pods";
import type { EksPeerPodsArgs } from "./args";

export const PLATFORM = "aws-peer-pods-snp";
export const NETWORK = { cidr: "10.64.0.0/16" } as const;
export const WORKERS = { size: "m6a.xlarge", count: 2 } as const;

/** The region of the arguments, else of the provider's configuration. */
export const regionOf = ({ region }: { region?: string }): string | undefined =>
  region ?? new pulumi.Config("aws").get("region");

export function factsOf(args: EksPeerPodsArgs): PlatformArgs {
  const region = regionOf(args);
  return {
    platform: PLATFORM,
    ...(region === undefined ? {} : { region }),
    image: {
      ...imageFacts(args.image),
      ...(args.imageBootMode === undefined ? {} : { bootMode: args.imageBootMode }),
    },
    ...commonFacts(args),
    ...(args.kubernetesVersion === undefined ? {} : { kubernetesVersion: args.kubernetesVersion }),
    workers: {
      size: args.workers?.size ?? WORKERS.size,
      os: "AL2023",
      kind: "managed",
      labels: WORKER_LABELS,
      // Both by user data, see user-data.ts.
      labelsByKubelet: true,
      keepsLayers: true,
    },
    network: { plugin: "vpc-cni", vxlanPort: args.vxlanPort ?? VXLAN_PORT },
    login: "irsa",
    ...(args.acknowledgeUnboundInitdata === undefined
      ? {}
      : { acknowledgeUnboundInitdata: args.acknowledgeUnboundInitdata }),
  };
}

/** What only this component can see. */
export function ownProblems(args: EksPeerPodsArgs): string[] {
  const { existing, cidr, zones } = args.network ?? {};
  const provider = new pulumi.Config("aws").get("region");
  return [
    ...(args.region !== undefined && provider !== undefined && provider !== args.region
      ? [`region: ${args.region}, but the provider works in ${provider}; set aws:region to the same`]
      : []),
    ...(existing
      ? []
      : [...networkProblems({ apart: { "network.cidr": cidr ?? NETWORK.cidr } }), ...sizeProblems(cidr)]),
    ...(zones !== undefined && (zones.length !== 2 || zones[0] === zones[1])
      ? [`network.zones: EKS needs two different zones, found ${JSON.stringify(zones)}; give two`]
      : []),
    ...(existing && existing.nodesSubnetIds.length < 2
      ? ["network.existing.nodesSubnetIds: EKS needs subnets in two zones; give two"]
      : []),
    ...adoptionProblems(args),
  ];
}

const sizeProblems = (cidr: string | undefined): string[] =>
  cidr === undefined || cidr.endsWith("/16")
    ? []
    : [`network.cidr: ${cidr} cannot be cut into four /18; give a /16, or subnets of your own`];
