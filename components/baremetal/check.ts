/** Arguments of BareMetal against the rules of its platform, and what its runtime is. */
import { HOST_FLOORS, type PlatformArgs } from "../../model/platforms";
import { RuntimeKind, type RuntimeNeeds } from "../platform/cluster";
import { type BareMetalArgs, BareMetalTee } from "./args";

export const platformOf = ({ tee, nvidia }: BareMetalArgs): string => `baremetal-${nvidia ? "nvidia-" : ""}${tee}`;

export const factsOf = (args: BareMetalArgs): PlatformArgs => ({
  platform: platformOf(args),
  image: args.guestImagePolicy === undefined ? {} : { defaultPolicy: args.guestImagePolicy },
  ...(args.hosts === undefined ? {} : { hosts: args.hosts }),
  ...(args.kubernetesVersion === undefined ? {} : { kubernetesVersion: args.kubernetesVersion }),
  ...(args.acknowledgeStockGuestImage === undefined
    ? {}
    : { acknowledgeStockGuestImage: args.acknowledgeStockGuestImage }),
});

const PINNED = /^[^@\s]+@sha256:[0-9a-f]{64}$/;

/** What only this component can see. */
export function ownProblems({ preflight }: BareMetalArgs): string[] {
  if (preflight === undefined) return [];
  const { image, hosts } = preflight;
  return [
    ...(PINNED.test(image)
      ? []
      : [`preflight.image: "${image}" is not pinned; give it with its digest, busybox@sha256:…`]),
    ...(Number.isInteger(hosts) && hosts >= 1
      ? []
      : [`preflight.hosts: ${hosts} is no number of hosts; give how many are to pass`]),
  ];
}

/** Shims of kata-deploy by evidence; the platform's first runtime class is the shim with the prefix `kata-`. */
export function runtimeOf({ tee, nvidia, nodeLabels = {} }: BareMetalArgs): RuntimeNeeds {
  const hardware = tee === BareMetalTee.Tdx ? "TDX" : "SEV-SNP";
  return {
    kind: RuntimeKind.Kata,
    shims: [nvidia ? `qemu-nvidia-gpu-${tee}` : `qemu-${tee}`],
    nodeLabels,
    featureLabels: {
      [HOST_FLOORS[hardware].label]: "true",
      ...(nvidia ? { "nvidia.com/cc.ready.state": "true" } : {}),
    },
  };
}
