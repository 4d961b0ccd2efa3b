/**
 * Where confidential pods may run, as data: one row for each platform, supported ones and those that are refused with
 * the reason. Nothing falls back silently: what has no row, or a refused one, stops at preview.
 */
import { didYouMean, listed } from "./suggest";

export interface PlatformRow {
  readonly platform: string;
  /** What attests: `sample` is the simulated guest; null: nothing does. */
  readonly tee: "sample" | "snp" | "tdx" | "az-snp-vtpm" | "az-tdx-vtpm" | null;
  /** What one guest holds. */
  readonly boundary: "pod" | "node" | "none";
  /** Whether hardware keeps the operator out. */
  readonly confidential: boolean;
  readonly state: "supported" | "refused";
  /** Runtime classes by which its pods are told from others. */
  readonly runtimeClasses: readonly string[];
  /** What it is, or why it is refused. */
  readonly reason: string;
  /** What to use; empty for supported rows. */
  readonly instead: string;
  /** Where the reason is written down. */
  readonly source: string;
}

export const PLATFORMS: readonly PlatformRow[] = [
  {
    platform: "local",
    tee: "sample",
    boundary: "pod",
    confidential: false,
    state: "supported",
    runtimeClasses: ["sealflow-simulated"],
    reason:
      "simulated guests on this machine: the same images, policies and key releases, no protection from the machine",
    instead: "",
    source: "docs/design: simulated guests",
  },
  {
    platform: "aks-kata-cc",
    tee: null,
    boundary: "pod",
    confidential: false,
    state: "refused",
    runtimeClasses: ["kata-cc-isolation"],
    reason:
      "AKS confidential containers (KataCcIsolation) ended in March 2026 and their sizes were retired on 2026-08-01",
    instead: "peer pods on AKS, one confidential VM for each pod",
    source: "Azure/AKS#3781; MicrosoftDocs/azure-compute-docs: sizes/retirement/dcccv5-series-retirement.md",
  },
  {
    platform: "aks-pod-sandboxing",
    tee: null,
    boundary: "pod",
    confidential: false,
    state: "refused",
    runtimeClasses: ["kata-vm-isolation", "kata-mshv-vm-isolation"],
    reason: "AKS pod sandboxing (KataVmIsolation) is a VM without a TEE: the operator reads its memory",
    instead: "peer pods on AKS, one confidential VM for each pod",
    source: "AKS documentation: use pod sandboxing",
  },
  {
    platform: "plain",
    tee: null,
    boundary: "none",
    confidential: false,
    state: "refused",
    runtimeClasses: ["", "runc", "crun", "gvisor", "runsc", "nvidia"],
    reason: "containers of the node itself: whoever has the node reads their memory",
    instead: "a platform with a TEE, or `local` to try things out",
    source: "docs/design: parties and guarantees",
  },
  {
    platform: "plain-kata",
    tee: null,
    boundary: "pod",
    confidential: false,
    state: "refused",
    runtimeClasses: [
      "kata",
      "kata-qemu",
      "kata-clh",
      "kata-fc",
      "kata-dragonball",
      "kata-qemu-coco-dev",
      "kata-clh-coco-dev",
    ],
    reason: "Kata without a TEE: the host reads the guest's memory, and no evidence of hardware exists",
    instead: "kata-qemu-snp or kata-qemu-tdx on bare metal, kata-remote with peer pods, or `local` to try things out",
    source: "confidential-containers documentation: the coco-dev runtime classes are for development without a TEE",
  },
  {
    platform: "ec2-nested",
    tee: null,
    boundary: "pod",
    confidential: false,
    state: "refused",
    runtimeClasses: [],
    reason: "an EC2 guest gets no KVM with SNP, and nested virtualization there has no TEE",
    instead: "peer pods on AWS (experimental)",
    source: "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/sev-snp.html",
  },
  {
    platform: "libvirt-peer-pods",
    tee: null,
    boundary: "pod",
    confidential: false,
    state: "refused",
    runtimeClasses: [],
    reason: "the libvirt provider starts guests without launch security on x86, so nothing attests",
    instead: "bare metal SNP or TDX",
    source: "confidential-containers/cloud-api-adaptor#1019",
  },
  {
    platform: "ec2-nitro-tpm",
    tee: null,
    boundary: "node",
    confidential: false,
    state: "refused",
    runtimeClasses: [],
    reason: "its root of trust is the cloud's hypervisor, and Trustee has no verifier for it",
    instead: "peer pods on AWS (experimental)",
    source: "EC2 documentation: NitroTPM, attestable AMIs",
  },
];

/** @returns why a platform cannot be used, and what to do; undefined when it can. */
export function platformProblem(name: string): string | undefined {
  const row = PLATFORMS.find(({ platform }) => platform === name);
  const usable = PLATFORMS.filter(({ state }) => state === "supported").map(({ platform }) => platform);
  if (row === undefined) return `there is no platform "${name}" (has ${listed(usable)}).${didYouMean(name, usable)}`;
  return row.state === "refused" ? `platform "${name}" is refused: ${row.reason}. Use ${row.instead}` : undefined;
}

/** @returns why a step may not run under a runtime class; undefined when nothing is known against it. */
export function runtimeClassProblem(runtimeClass: string): string | undefined {
  const row = PLATFORMS.find(
    ({ state, runtimeClasses }) => state === "refused" && runtimeClasses.includes(runtimeClass),
  );
  const shown = runtimeClass === "" ? "no runtime class" : `runtime class "${runtimeClass}"`;
  return row && `${shown} is refused: ${row.reason}. Use ${row.instead}`;
}
