/**
 * Sizes of VMs by family. Sizes get added by the clouds, so one that is not listed is a warning where the family is
 * known; a family that is not listed is refused. vCPUs and memory: MicrosoftDocs/azure-compute-docs,
 * articles/virtual-machines/sizes; AWS, instance type specifications.
 */
import type { InstanceFamily, InstanceSize } from "./types";

/** [vCPUs, GiB of memory]. */
type Shape = readonly [number, number];
const EIGHT = [2, 4, 8, 16, 32, 48, 64, 96];
const by = (vcpus: readonly number[], gib: number): Shape[] => vcpus.map((n) => [n, n * gib]);

const GENERAL = by(EIGHT, 4);
const MEMORY_V5: Shape[] = [...by([2, 4, 8, 16, 20], 8), [32, 192], [48, 384], [64, 512], [96, 672]];
const MEMORY_V6: Shape[] = [...by([2, 4, 8, 16, 32, 48, 64], 8), [96, 672]];
const TDX_GENERAL = by([...EIGHT, 128], 4);
const TDX_MEMORY = by([2, 4, 8, 16, 32, 48, 64], 8);

const AZURE_SIZES = "MicrosoftDocs/azure-compute-docs: articles/virtual-machines/sizes";
const AZURE_MATRIX = "confidential-containers/confidentialcontainers.org: content/en/docs/overview/_index.md";
const CC_RETIRED = `${AZURE_SIZES}/retirement/dcccv5-series-retirement.md`;
const AWS_SNP = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/sev-snp.html";
const NO_DISK = "no local disk; disks by NVMe only, so the image definition needs DiskControllerTypes";

const azure = (
  letters: "DC" | "EC",
  suffix: string,
  shapes: readonly Shape[],
  rest: Partial<InstanceFamily> & Pick<InstanceFamily, "hardware" | "reason">,
): InstanceFamily => ({
  family: `${letters}${suffix}`,
  cloud: "azure",
  pattern: new RegExp(`^Standard_${letters}\\d+i?${suffix}$`),
  sizes: shapes.map(([vcpus, memoryGiB]) => ({ name: `Standard_${letters}${vcpus}${suffix}`, vcpus, memoryGiB })),
  state: "supported",
  nvmeOnly: suffix.endsWith("_v6"),
  gpu: "none",
  instead: "",
  source: `${AZURE_SIZES}; ${AZURE_MATRIX}`,
  ...rest,
});

const retired = (letters: "DC" | "EC", suffix: string, instead: string): InstanceFamily =>
  azure(letters, suffix, [], {
    hardware: "SEV-SNP",
    state: "refused",
    reason: "closed to new subscriptions on 2026-06-30 and retired on 2026-08-01, with AKS confidential containers",
    instead,
    source: CC_RETIRED,
  });

const tdxV5 = (letters: "DC" | "EC", suffix: string, instead: string): InstanceFamily =>
  azure(letters, suffix, [], {
    hardware: "TDX",
    state: "refused",
    reason: "never left preview, in few regions",
    instead,
    source: "agentrust-io/cmcp#409",
  });

const EC2_NAMES: readonly (readonly [string, number])[] = [
  ["large", 2],
  ["xlarge", 4],
  ["2xlarge", 8],
  ["4xlarge", 16],
  ["8xlarge", 32],
  ["12xlarge", 48],
  ["16xlarge", 64],
];

const ec2 = (family: string, gib: number, upTo: string): InstanceFamily => {
  const last = EC2_NAMES.findIndex(([name]) => name === upTo);
  return {
    family,
    cloud: "aws",
    hardware: "SEV-SNP",
    pattern: new RegExp(`^${family}\\.\\d*x?large$`),
    sizes: EC2_NAMES.slice(0, last + 1).map(
      ([name, vcpus]): InstanceSize => ({ name: `${family}.${name}`, vcpus, memoryGiB: vcpus * gib }),
    ),
    state: "experimental",
    nvmeOnly: false,
    gpu: "none",
    reason: "SNP at launch only (CpuOptions.AmdSevSnp), with a UEFI image",
    instead: "",
    source: AWS_SNP,
  };
};

export const FAMILIES: readonly InstanceFamily[] = [
  azure("DC", "as_v5", GENERAL, { hardware: "SEV-SNP", reason: "general purpose" }),
  azure("DC", "ads_v5", GENERAL, { hardware: "SEV-SNP", reason: "general purpose, with a local disk" }),
  azure("EC", "as_v5", MEMORY_V5, { hardware: "SEV-SNP", reason: "memory optimized" }),
  azure("EC", "ads_v5", MEMORY_V5, { hardware: "SEV-SNP", reason: "memory optimized, with a local disk" }),
  azure("DC", "as_v6", GENERAL, { hardware: "SEV-SNP", reason: `general purpose; ${NO_DISK}; not in all regions yet` }),
  azure("DC", "ads_v6", GENERAL, { hardware: "SEV-SNP", reason: "general purpose, with a local disk; NVMe only" }),
  azure("EC", "as_v6", MEMORY_V6, {
    hardware: "SEV-SNP",
    reason: `memory optimized; ${NO_DISK}; not in all regions yet`,
  }),
  azure("EC", "ads_v6", MEMORY_V6, { hardware: "SEV-SNP", reason: "memory optimized, with a local disk; NVMe only" }),
  azure("DC", "es_v6", TDX_GENERAL, { hardware: "TDX", reason: `general purpose; ${NO_DISK}` }),
  azure("DC", "eds_v6", TDX_GENERAL, { hardware: "TDX", reason: "general purpose, with a local disk; NVMe only" }),
  azure("EC", "es_v6", TDX_MEMORY, { hardware: "TDX", reason: `memory optimized; ${NO_DISK}` }),
  azure("EC", "eds_v6", TDX_MEMORY, { hardware: "TDX", reason: "memory optimized, with a local disk; NVMe only" }),
  {
    family: "NCC40ads_H100_v5",
    cloud: "azure",
    hardware: "SEV-SNP",
    pattern: /^Standard_NCC40ads_H100_v5$/,
    sizes: [{ name: "Standard_NCC40ads_H100_v5", vcpus: 40, memoryGiB: 320 }],
    state: "experimental",
    nvmeOnly: false,
    gpu: "nvidia",
    reason: "one H100 of 94 GB; the guest image must bring the NVIDIA driver",
    instead: "",
    source: `${AZURE_SIZES}; ${AZURE_MATRIX}`,
  },
  retired("DC", "as_cc_v5", "DCas_v5 with peer pods"),
  retired("DC", "ads_cc_v5", "DCads_v5 with peer pods"),
  retired("EC", "as_cc_v5", "ECas_v5 with peer pods"),
  retired("EC", "ads_cc_v5", "ECads_v5 with peer pods"),
  tdxV5("DC", "es_v5", "DCes_v6"),
  tdxV5("DC", "eds_v5", "DCeds_v6"),
  tdxV5("EC", "es_v5", "ECes_v6"),
  tdxV5("EC", "eds_v5", "ECeds_v6"),
  ...(["s_v2", "s_v3", "ds_v3"] as const).map((suffix) =>
    azure("DC", suffix, [], {
      hardware: null,
      state: "refused",
      reason: "SGX enclaves for single programs, not a confidential VM",
      instead: "DCas_v5 or DCes_v6",
      source: `${AZURE_SIZES}/general-purpose/dc-family.md`,
    }),
  ),
  ec2("m6a", 4, "8xlarge"),
  ec2("c6a", 2, "16xlarge"),
  ec2("r6a", 8, "4xlarge"),
];

/** @returns the family of a size, listed or not; undefined: of none that is known. */
export const familyOf = (size: string): InstanceFamily | undefined =>
  FAMILIES.find(({ pattern }) => pattern.test(size));

/** @returns the size's numbers when it is listed. */
export const sizeOf = (size: string): InstanceSize | undefined =>
  familyOf(size)?.sizes.find(({ name }) => name === size);
