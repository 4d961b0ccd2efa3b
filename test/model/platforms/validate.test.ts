/** Every invalid combination gives exactly one error, in one line, with the remedy. */
import {
  type GuestImageChoice,
  PLATFORMS,
  type PlatformArgs,
  PlatformError,
  type PlatformProblemCode,
  requirePlatform,
  validatePlatform,
} from "../../../model";

const GALLERY =
  "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/galleries/own/images/podvm/versions/1.0.0";
const WORKERS = { size: "Standard_D4s_v5", os: "Ubuntu", labels: { "node.kubernetes.io/worker": "" } };
const image = (changed: GuestImageChoice = {}): GuestImageChoice => ({
  id: GALLERY,
  defaultPolicy: "deny",
  adaptorVersion: "0.22.0",
  nvme: true,
  ...changed,
});

const snp: PlatformArgs = {
  platform: "azure-peer-pods-snp",
  region: "eastus",
  image: image(),
  instances: { default: "Standard_DC2as_v5", allowed: ["Standard_DC2as_v5", "Standard_DC8as_v6"] },
  largestStep: { cpu: 4, memoryGiB: 16 },
  kubernetesVersion: "1.35",
  workers: WORKERS,
  login: "workload-identity",
};
const tdx: PlatformArgs = {
  ...snp,
  platform: "azure-peer-pods-tdx",
  region: "eastus2",
  instances: { default: "Standard_DC4es_v6" },
  largestStep: { cpu: 2, memoryGiB: 8 },
};
const gpu: PlatformArgs = {
  ...snp,
  platform: "azure-peer-pods-gpu",
  region: "eastus2",
  instances: { default: "Standard_NCC40ads_H100_v5" },
};
const aks: PlatformArgs = {
  platform: "aks-confidential-nodes",
  region: "westeurope",
  instances: { default: "Standard_DC4as_v5" },
  kubernetesVersion: "1.35",
  workers: { os: "Ubuntu2404" },
};
const aws: PlatformArgs = {
  platform: "aws-peer-pods-snp",
  region: "us-east-2",
  image: { id: "ami-0123456789abcdef0", defaultPolicy: "deny", bootMode: "uefi" },
  instances: { default: "m6a.large" },
  workers: { ...WORKERS, size: "m6a.xlarge", kind: "self-managed" },
  login: "irsa",
  acknowledgeUnboundInitdata: true,
};
const eks: PlatformArgs = {
  platform: "eks-confidential-nodes",
  region: "eu-west-1",
  image: { id: "ami-0123456789abcdef0", bootMode: "uefi-preferred" },
  instances: { default: "r6a.xlarge" },
  workers: { kind: "self-managed" },
};
const metalSnp: PlatformArgs = {
  platform: "baremetal-snp",
  image: { defaultPolicy: "deny" },
  hosts: {
    kernel: "6.17.0-5-generic",
    sevFirmware: "1.58",
    containerd: "2.3.0",
    arch: "amd64",
    labels: { "amd.feature.node.kubernetes.io/snp": "true" },
    cores: 64,
    memoryGiB: 256,
  },
  runtimeClass: "kata-qemu-snp",
};
const metalTdx: PlatformArgs = {
  platform: "baremetal-tdx",
  image: { defaultPolicy: "deny" },
  hosts: { kernel: "6.17", labels: { "intel.feature.node.kubernetes.io/tdx": "true" } },
};
const nvidia = (tee: "snp" | "tdx", label: string): PlatformArgs => ({
  platform: `baremetal-nvidia-${tee}`,
  image: { defaultPolicy: "deny" },
  hosts: { labels: { [label]: "true", "nvidia.com/cc.ready.state": "true" } },
});
const local: PlatformArgs = { platform: "local" };

const VALID = [
  local,
  snp,
  tdx,
  gpu,
  aks,
  aws,
  eks,
  metalSnp,
  metalTdx,
  nvidia("snp", "amd.feature.node.kubernetes.io/snp"),
  nvidia("tdx", "intel.feature.node.kubernetes.io/tdx"),
];

const errors = (args: PlatformArgs) => validatePlatform(args).filter(({ severity }) => severity === "error");
const warnings = (args: PlatformArgs) => validatePlatform(args).filter(({ severity }) => severity === "warning");

describe("valid arguments", () => {
  it.each(VALID)("of $platform have no errors", (args) => {
    expect(errors(args)).toEqual([]);
    expect(requirePlatform("p", args)).toEqual(warnings(args));
  });

  it("are listed for every platform that may be used", () => {
    const names = PLATFORMS.filter(({ state }) => state !== "refused").map(({ platform }) => platform);
    expect(VALID.map(({ platform }) => platform).sort()).toEqual(names.sort());
  });

  it.each(VALID)("of $platform warn only about what is experimental", (args) => {
    const state = PLATFORMS.find(({ platform }) => platform === args.platform)?.state;
    const experimental = warnings(args).filter(({ code }) => code === "PLATFORM");
    expect(experimental).toHaveLength(state === "experimental" ? 1 : 0);
    const others = warnings(args).filter(({ code }) => code !== "PLATFORM");
    expect(others.map(({ code }) => code)).toEqual(args === aws ? ["INITDATA"] : []);
  });

  it("that preview does not know yet count as given", () => {
    expect(
      errors({ ...snp, region: null, kubernetesVersion: null, image: image({ id: null, adaptorVersion: null }) }),
    ).toEqual([]);
  });
});

type Case = [what: string, args: PlatformArgs, code: PlatformProblemCode, at: string, remedy: RegExp];

const instances = (size: string, ...more: string[]) => ({ default: size, allowed: [size, ...more] });
const small = { largestStep: { cpu: 1, memoryGiB: 1 } };

const INVALID: Case[] = [
  // platform
  [
    "a platform that does not exist",
    { platform: "azure-peer-pods-sev" },
    "PLATFORM",
    "platform",
    /Did you mean "azure-peer-pods-snp"\?$/,
  ],
  ["AKS confidential containers", { platform: "aks-kata-cc" }, "PLATFORM", "platform", /Use peer pods on AKS/],
  ["TDX on EC2", { platform: "aws-peer-pods-tdx" }, "PLATFORM", "platform", /Use azure-peer-pods-tdx/],
  ["Google's peer pods", { platform: "gcp-peer-pods" }, "PLATFORM", "platform", /Use peer pods on AKS/],
  ["TDX in AKS node pools", { platform: "aks-tdx-nodes" }, "PLATFORM", "platform", /Use azure-peer-pods-tdx/],
  ["a region of the local platform", { ...local, region: "eastus" }, "UNUSED", "region", /remove it/],
  ["hosts of a cloud", { ...snp, hosts: {} }, "UNUSED", "hosts", /remove it/],
  ["a network of a node pool", { ...aks, network: {} }, "UNUSED", "network", /remove it/],
  ["sizes of bare metal", { ...metalSnp, instances: instances("m6a.large") }, "UNUSED", "instances", /remove it/],
  // size and TEE
  ["no size", { ...snp, instances: {} }, "INSTANCE", "instances.default", /such as Standard_DC2as_v5/],
  [
    "an SNP size for TDX",
    { ...tdx, instances: instances("Standard_DC4as_v5") },
    "INSTANCE",
    "instances.default",
    /take Standard_DC2es_v6/,
  ],
  [
    "a TDX size for SNP",
    { ...snp, ...small, instances: instances("Standard_DC2es_v6") },
    "INSTANCE",
    "instances.default",
    /take Standard_DC2as_v5/,
  ],
  [
    "a TDX size among the allowed",
    { ...snp, ...small, instances: instances("Standard_DC2as_v5", "Standard_EC2es_v6") },
    "INSTANCE",
    "instances.allowed[1]",
    /take Standard_DC2as_v5/,
  ],
  [
    "a size retired with AKS Kata CC",
    { ...snp, instances: instances("Standard_DC4as_cc_v5") },
    "INSTANCE",
    "instances.default",
    /retired on 2026-08-01.*Use DCas_v5 with peer pods/,
  ],
  [
    "another retired size",
    { ...snp, instances: instances("Standard_EC8ads_cc_v5") },
    "INSTANCE",
    "instances.default",
    /Use ECads_v5 with peer pods/,
  ],
  [
    "a TDX size of the fifth version",
    { ...tdx, instances: instances("Standard_DC4es_v5") },
    "INSTANCE",
    "instances.default",
    /Use DCes_v6/,
  ],
  [
    "a size with SGX",
    { ...snp, instances: instances("Standard_DC4s_v3") },
    "INSTANCE",
    "instances.default",
    /SGX.*Use DCas_v5/,
  ],
  [
    "a size without a TEE",
    { ...snp, instances: instances("Standard_D4s_v5") },
    "INSTANCE",
    "instances.default",
    /no confidential VM.*Take Standard_DC2as_v5/,
  ],
  [
    "a size in small letters",
    { ...snp, instances: instances("standard_dc2as_v5") },
    "INSTANCE",
    "instances.default",
    /must be written Standard_DC2as_v5/,
  ],
  [
    "an EC2 type on Azure",
    { ...snp, ...small, instances: instances("m6a.large") },
    "INSTANCE",
    "instances.default",
    /size of aws.*take Standard_DC2as_v5/,
  ],
  [
    "an Azure size on AWS",
    { ...aws, instances: instances("Standard_DC2as_v5") },
    "INSTANCE",
    "instances.default",
    /size of azure.*take m6a.large/,
  ],
  [
    "an Intel type for SNP",
    { ...aws, instances: instances("m7i.large") },
    "INSTANCE",
    "instances.default",
    /Take m6a.large/,
  ],
  [
    "a newer AMD type without SNP",
    { ...aws, instances: instances("m7a.large") },
    "INSTANCE",
    "instances.default",
    /Take m6a.large/,
  ],
  [
    "a metal instance",
    { ...aws, instances: instances("m6a.metal") },
    "INSTANCE",
    "instances.default",
    /take m6a.large/,
  ],
  [
    "a GPU size without the GPU platform",
    { ...snp, instances: instances("Standard_NCC40ads_H100_v5") },
    "INSTANCE",
    "instances.default",
    /not for this platform.*take Standard_DC2as_v5/,
  ],
  [
    "a CPU size for the GPU platform",
    { ...gpu, ...small, instances: instances("Standard_DC2as_v5") },
    "INSTANCE",
    "instances.default",
    /take Standard_NCC40ads_H100_v5/,
  ],
  [
    "a default that is not allowed",
    { ...snp, instances: { default: "Standard_DC2as_v5", allowed: ["Standard_DC8as_v5"] } },
    "INSTANCE",
    "instances.allowed",
    /add it$/,
  ],
  [
    "an empty list of sizes",
    { ...snp, instances: { default: "Standard_DC2as_v5", allowed: [] } },
    "INSTANCE",
    "instances.allowed",
    /add it$/,
  ],
  [
    "a size listed twice",
    { ...snp, ...small, instances: instances("Standard_DC2as_v5", "Standard_DC2as_v5") },
    "INSTANCE",
    "instances.allowed[1]",
    /remove one/,
  ],
  [
    "a step larger than all sizes",
    { ...snp, largestStep: { cpu: 16, memoryGiB: 16 } },
    "INSTANCE",
    "instances.allowed",
    /allow a larger size/,
  ],
  [
    "a step that leaves no memory to the guest",
    { ...snp, largestStep: { cpu: 2, memoryGiB: 32 } },
    "INSTANCE",
    "instances.allowed",
    /allow a larger size/,
  ],
  // region
  ["no region", { ...snp, region: undefined } as unknown as PlatformArgs, "REGION", "region", /such as eastus/],
  ["a region's display name", { ...snp, region: "East US" }, "REGION", "region", /Did you mean "eastus"\?/],
  ["an AWS region on Azure", { ...snp, region: "us-east-2" }, "REGION", "region", /region of aws.*such as eastus/],
  ["an Azure region on AWS", { ...aws, region: "eastus" }, "REGION", "region", /region of azure.*such as us-east-2/],
  ["an availability zone as region", { ...aws, region: "us-east-2a" }, "REGION", "region", /such as us-east-2/],
  // guest image
  ["no image", { ...snp, image: { defaultPolicy: "deny" } }, "IMAGE", "image.id", /Build one/],
  ["no AMI", { ...aws, image: { defaultPolicy: "deny" } }, "IMAGE", "image.id", /Build one/],
  ["no AMI of a node group", { ...eks, image: {} }, "IMAGE", "image.id", /AMI for EKS nodes/],
  [
    "an AMI on Azure",
    { ...snp, image: image({ id: "ami-0123456789abcdef0" }) },
    "IMAGE",
    "image.id",
    /give \/subscriptions/,
  ],
  [
    "an AMI by name",
    { ...aws, image: { id: "podvm-ubuntu-amd64-0-22-0", defaultPolicy: "deny" } },
    "IMAGE",
    "image.id",
    /never a name or a search/,
  ],
  [
    "the latest version of an image",
    { ...snp, image: image({ id: GALLERY.replace("1.0.0", "latest") }) },
    "IMAGE",
    "image.id",
    /give the version's number/,
  ],
  [
    "a nightly image",
    { ...snp, image: image({ id: "/CommunityGalleries/cocopodvm-d0e4/Images/podvm_image0/Versions/2026.08.01" }) },
    "IMAGE",
    "image.id",
    /copy the version into your own gallery/,
  ],
  [
    "an image of another release than the adaptor",
    { ...snp, image: image({ adaptorVersion: "v0.17.0" }) },
    "IMAGE",
    "image.adaptorVersion",
    /build the image from v0.22.0/,
  ],
  [
    "a v6 size with an image without NVMe",
    { ...tdx, image: image({ nvme: false }) },
    "IMAGE",
    "image.nvme",
    /add the feature DiskControllerTypes/,
  ],
  [
    "an AMI that boots without UEFI",
    { ...eks, image: { id: "ami-0123456789abcdef0", bootMode: "legacy-bios" } },
    "IMAGE",
    "image.bootMode",
    /register the AMI again/,
  ],
  // Kubernetes and operating system
  [
    "a Kubernetes version that AKS ended",
    { ...snp, kubernetesVersion: "1.31" },
    "KUBERNETES",
    "kubernetesVersion",
    /use 1.35 or 1.36/,
  ],
  [
    "a Kubernetes version in words",
    { ...snp, kubernetesVersion: "stable" },
    "KUBERNETES",
    "kubernetesVersion",
    /such as 1.35/,
  ],
  [
    "Ubuntu 22.04 in a confidential pool",
    { ...aks, workers: { os: "Ubuntu2204" } },
    "OS",
    "workers.os",
    /use Ubuntu2404/,
  ],
  [
    "Azure Linux 3 with a Kubernetes it is not for",
    { ...aks, kubernetesVersion: "1.37", workers: { os: "AzureLinux" } },
    "OS",
    "workers.os",
    /use Ubuntu2404/,
  ],
  ["FIPS in a confidential pool", { ...aks, workers: { fips: true } }, "OS", "workers.fips", /set fips: false/],
  [
    "Trusted Launch in a confidential pool",
    { ...aks, workers: { trustedLaunch: true } },
    "OS",
    "workers.trustedLaunch",
    /remove it/,
  ],
  [
    "a TDX size in a confidential pool",
    { ...aks, instances: instances("Standard_DC4es_v6") },
    "INSTANCE",
    "instances.default",
    /take Standard_DC2as_v5/,
  ],
  ["Windows workers", { ...snp, workers: { ...WORKERS, os: "Windows2022" } }, "OS", "workers.os", /use Ubuntu/],
  ["Arm workers", { ...snp, workers: { ...WORKERS, arch: "arm64" } }, "OS", "workers.arch", /use amd64/],
  [
    "KataCcIsolation on the workers",
    { ...snp, workers: { ...WORKERS, workloadRuntime: "KataCcIsolation" } },
    "OS",
    "workers.workloadRuntime",
    /leave it out/,
  ],
  [
    "pod sandboxing on the workers",
    { ...snp, workers: { ...WORKERS, workloadRuntime: "KataVmIsolation" } },
    "OS",
    "workers.workloadRuntime",
    /no TEE; leave it out/,
  ],
  ["Bottlerocket", { ...aws, workers: { ...aws.workers, os: "Bottlerocket" } }, "OS", "workers.os", /use Ubuntu/],
  [
    "Amazon Linux that discards layers",
    { ...aws, workers: { ...aws.workers, os: "AL2023" } },
    "OS",
    "workers.keepsLayers",
    /discard_unpacked_layers = false/,
  ],
  ["Fargate", { ...aws, workers: { ...aws.workers, kind: "fargate" } }, "OS", "workers.kind", /node group/],
  ["EKS Auto Mode", { ...aws, workers: { ...aws.workers, kind: "auto-mode" } }, "OS", "workers.kind", /node group/],
  ["a managed group for SNP nodes", { ...eks, workers: { kind: "managed" } }, "OS", "workers.kind", /use self-managed/],
  // labels and workers
  [
    "workers without the label",
    { ...snp, workers: { ...WORKERS, labels: {} } },
    "LABEL",
    "workers.labels",
    /must be \{"node.kubernetes.io\/worker": ""\}/,
  ],
  [
    "a worker label with a value",
    { ...snp, workers: { ...WORKERS, labels: { "node.kubernetes.io/worker": "true" } } },
    "LABEL",
    "workers.labels",
    /must be/,
  ],
  [
    "an empty label through a managed group",
    { ...aws, workers: { ...aws.workers, kind: "managed" } },
    "LABEL",
    "workers.labelsByKubelet",
    /--node-labels/,
  ],
  [
    "tainted workers",
    { ...snp, workers: { ...WORKERS, taints: ["confidential=true:NoSchedule"] } },
    "LABEL",
    "workers.taints",
    /remove it/,
  ],
  [
    "retired sizes for workers",
    { ...snp, workers: { ...WORKERS, size: "Standard_DC4as_cc_v5" } },
    "INSTANCE",
    "workers.size",
    /use Standard_D4s_v5/,
  ],
  [
    "burst sizes for workers",
    { ...snp, workers: { ...WORKERS, size: "Standard_B4ms" } },
    "INSTANCE",
    "workers.size",
    /use Standard_D4s_v5/,
  ],
  [
    "burst types for workers",
    { ...aws, workers: { ...aws.workers, size: "t3.xlarge" } },
    "INSTANCE",
    "workers.size",
    /use m6a.xlarge/,
  ],
  // disk, network, login
  [
    "a disk type that the adaptor does not make",
    { ...snp, disk: { type: "UltraSSD_LRS" } },
    "DISK",
    "disk.type",
    /remove it/,
  ],
  ["a disk type on AWS", { ...aws, disk: { type: "io2" } }, "DISK", "disk.type", /remove it/],
  ["a disk larger than there are", { ...snp, disk: { rootGiB: 5000 } }, "DISK", "disk.rootGiB", /up to 4095/],
  ["half a GiB", { ...aws, disk: { rootGiB: 30.5 } }, "DISK", "disk.rootGiB", /whole GiB/],
  ["a disk too small for any image", { ...snp, disk: { rootGiB: 1 } }, "DISK", "disk.rootGiB", /leave it out/],
  [
    "volumes of the cluster",
    { ...metalSnp, disk: { persistentVolumes: true } },
    "DISK",
    "disk.persistentVolumes",
    /use inputs and outputs/,
  ],
  [
    "the port of the network plugin's tunnels",
    { ...snp, network: { plugin: "Calico", vxlanPort: 4789 } },
    "NETWORK",
    "network.vxlanPort",
    /use 9000/,
  ],
  ["the agent's port", { ...snp, network: { vxlanPort: 15150 } }, "NETWORK", "network.vxlanPort", /use 9000/],
  ["no port", { ...snp, network: { vxlanPort: 70_000 } }, "NETWORK", "network.vxlanPort", /use 9000/],
  ["guests with public addresses", { ...aws, network: { publicIp: true } }, "NETWORK", "network.publicIp", /remove it/],
  [
    "guests that reach nothing",
    { ...snp, network: { podSubnetOutbound: false } },
    "NETWORK",
    "network.podSubnetOutbound",
    /NAT gateway/,
  ],
  ["no controller for leaked VMs", { ...snp, leakController: false }, "LEAK", "leakController", /leave it on/],
  ["EKS Pod Identity", { ...aws, login: "pod-identity" }, "LOGIN", "login", /use irsa/],
  ["the node's role", { ...aws, login: "node-role" }, "LOGIN", "login", /use irsa/],
  ["Azure's login on AWS", { ...aws, login: "workload-identity" }, "LOGIN", "login", /use irsa/],
  ["AWS's login on Azure", { ...snp, login: "irsa" }, "LOGIN", "login", /use workload-identity/],
  // trust
  [
    "unbound initdata",
    { ...aws, acknowledgeUnboundInitdata: false },
    "INITDATA",
    "acknowledgeUnboundInitdata",
    /use azure-peer-pods-snp, or say/,
  ],
  [
    "an acknowledgement of what is bound",
    { ...snp, acknowledgeUnboundInitdata: true },
    "INITDATA",
    "acknowledgeUnboundInitdata",
    /remove it/,
  ],
  [
    "initdata too large for EC2",
    { ...aws, initdataCharacters: 12_289 },
    "INITDATA",
    "initdataCharacters",
    /shorten the CA bundle/,
  ],
  [
    "initdata too large for Azure",
    { ...snp, initdataCharacters: 45_057 },
    "INITDATA",
    "initdataCharacters",
    /shorten the CA bundle/,
  ],
  [
    "an image of unknown behaviour",
    { ...snp, image: { id: GALLERY } },
    "GUEST_IMAGE",
    "image.defaultPolicy",
    /"deny" when/,
  ],
  [
    "a stock image",
    { ...metalSnp, image: { defaultPolicy: "stock" } },
    "GUEST_IMAGE",
    "image.defaultPolicy",
    /or say acknowledgeStockGuestImage/,
  ],
  [
    "a stock image for no reason",
    { ...snp, image: image({ defaultPolicy: "stock" }), acknowledgeStockGuestImage: "ok" },
    "GUEST_IMAGE",
    "image.defaultPolicy",
    /or say acknowledgeStockGuestImage/,
  ],
  [
    "an acknowledgement without a stock image",
    { ...snp, acknowledgeStockGuestImage: "we build it next week" },
    "GUEST_IMAGE",
    "image.defaultPolicy",
    /remove it/,
  ],
  ["a debug policy", { ...snp, debugPolicy: true }, "DEBUG", "debugPolicy", /use it on local/],
  ["plain VMs", { ...snp, plainVms: true }, "DEBUG", "plainVms", /remove it/],
  // runtime class and hosts
  [
    "a runtime class without a TEE",
    { ...metalSnp, runtimeClass: "kata-qemu-coco-dev" },
    "RUNTIME_CLASS",
    "runtimeClass",
    /without a TEE.*use kata-qemu-snp/,
  ],
  [
    "the runtime class of the other TEE",
    { ...metalTdx, runtimeClass: "kata-qemu-snp" },
    "RUNTIME_CLASS",
    "runtimeClass",
    /use kata-qemu-tdx/,
  ],
  [
    "a debug runtime class",
    { ...metalSnp, runtimeClass: "kata-qemu-snp-debug" },
    "RUNTIME_CLASS",
    "runtimeClass",
    /console.*use kata-qemu-snp/,
  ],
  ["no runtime class", { ...snp, runtimeClass: "" }, "RUNTIME_CLASS", "runtimeClass", /use kata-remote/],
  [
    "a runtime class of whole nodes",
    { ...aks, runtimeClass: "kata-remote" },
    "RUNTIME_CLASS",
    "runtimeClass",
    /remove it/,
  ],
  [
    "a host kernel too old for SNP",
    { ...metalSnp, hosts: { kernel: "6.8.0-45-generic" } },
    "HOST",
    "hosts.kernel",
    /upgrade the host's kernel/,
  ],
  [
    "a host kernel too old for TDX",
    { ...metalTdx, hosts: { kernel: "6.16.9" } },
    "HOST",
    "hosts.kernel",
    /upgrade the host's kernel/,
  ],
  ["SEV firmware too old", { ...metalSnp, hosts: { sevFirmware: "1.54" } }, "HOST", "hosts.sevFirmware", /update it/],
  ["containerd too old", { ...metalSnp, hosts: { containerd: "1.6.33" } }, "HOST", "hosts.containerd", /upgrade it/],
  ["a kernel that is no version", { ...metalSnp, hosts: { kernel: "new" } }, "HOST", "hosts.kernel", /such as 6.16.1/],
  ["Arm hosts", { ...metalSnp, hosts: { arch: "arm64" } }, "HOST", "hosts.arch", /use amd64/],
  ["hosts with two cores", { ...metalSnp, hosts: { cores: 2 } }, "HOST", "hosts.cores", /needs 4/],
  ["hosts without memory", { ...metalSnp, hosts: { memoryGiB: 4 } }, "HOST", "hosts.memoryGiB", /needs 8/],
  [
    "hosts without the TEE's label",
    { ...metalSnp, hosts: { labels: {} } },
    "LABEL",
    "hosts.labels",
    /install Node Feature Discovery/,
  ],
  [
    "GPUs that are not in confidential mode",
    {
      ...nvidia("tdx", "intel.feature.node.kubernetes.io/tdx"),
      hosts: { labels: { "intel.feature.node.kubernetes.io/tdx": "true" } },
    },
    "LABEL",
    "hosts.labels",
    /nvidia.com\/cc.mode=on/,
  ],
];

describe("an invalid combination", () => {
  it("is listed at least forty times, in every platform that has rules, with every code", () => {
    expect(INVALID.length).toBeGreaterThanOrEqual(40);
    expect(new Set(INVALID.map(([what]) => what)).size).toBe(INVALID.length);
    expect(new Set(INVALID.map(([, , code]) => code)).size).toBe(17);
  });

  it.each(INVALID)("%s: one line with the remedy", (_what, args, code, at, remedy) => {
    const found = errors(args);
    expect(found).toEqual([{ code, severity: "error", at, message: expect.stringMatching(remedy) }]);
    expect(found[0]?.message).not.toContain("\n");
    expect(() => requirePlatform("cloud", args)).toThrow(`Platform "cloud": ${at}: ${found[0]?.message}`);
  });

  it("does not hide another: all are told at once", () => {
    const all = errors({ ...snp, region: "East US", image: {}, kubernetesVersion: "1.20", plainVms: true });
    expect(all.map(({ at }) => at)).toEqual([
      "region",
      "image.id",
      "kubernetesVersion",
      "plainVms",
      "image.defaultPolicy",
    ]);
    try {
      requirePlatform("cloud", { ...snp, region: "East US", plainVms: true });
      throw new Error("not refused");
    } catch (error) {
      expect(error).toBeInstanceOf(PlatformError);
      expect((error as PlatformError).code).toBe("PLATFORM");
      expect((error as Error).message.split("\n")).toHaveLength(2);
    }
  });
});

describe("a warning", () => {
  it.each<[string, PlatformArgs, PlatformProblemCode, RegExp]>([
    ["a region that is not in the list", { ...snp, region: "northeurope" }, "REGION", /known: eastus.*list grows/],
    ["another AWS region", { ...aws, region: "eu-west-2" }, "REGION", /Did you mean "eu-west-1"\?/],
    [
      "a size that is not in its family's list",
      { ...snp, largestStep: { cpu: 1, memoryGiB: 1 }, instances: instances("Standard_DC24as_v5") },
      "INSTANCE",
      /Check that the region offers it/,
    ],
    [
      "an EC2 size beyond those known to have SNP",
      { ...aws, instances: instances("m6a.48xlarge") },
      "INSTANCE",
      /Check that the region offers it/,
    ],
    [
      "an image of a community gallery",
      { ...snp, image: image({ id: "/CommunityGalleries/cococommunity-42/Images/podvm/Versions/0.22.0" }) },
      "IMAGE",
      /own gallery/,
    ],
    ["a Kubernetes about to end", { ...snp, kubernetesVersion: "1.34.2" }, "KUBERNETES", /use 1.35 or 1.36/],
    ["a Kubernetes of the future", { ...snp, kubernetesVersion: "1.39" }, "KUBERNETES", /1.35 and 1.36 are/],
    ["an older Kubernetes elsewhere", { ...metalSnp, kubernetesVersion: "1.32" }, "KUBERNETES", /upgrade the cluster/],
    ["Azure Linux workers", { ...snp, workers: { ...WORKERS, os: "AzureLinux" } }, "OS", /Ubuntu is tested/],
    ["workers that retire", { ...snp, workers: { ...WORKERS, size: "Standard_F4s_v2" } }, "INSTANCE", /2028-11-15/],
    ["a client secret", { ...snp, login: "client-secret" }, "LOGIN", /use workload-identity/],
    ["static keys", { ...aws, login: "static-keys" }, "LOGIN", /use irsa/],
    ["containerd with known trouble", { ...metalSnp, hosts: { containerd: "2.1.4" } }, "HOST", /upgrade to 2.3/],
    [
      "an acknowledged stock image",
      {
        ...snp,
        image: image({ defaultPolicy: "stock" }),
        acknowledgeStockGuestImage: "trial until the image is built",
      },
      "GUEST_IMAGE",
      /Accepted because: trial until/,
    ],
    ["acknowledged unbound initdata", aws, "INITDATA", /operator is trusted/],
  ])("%s is printed and refuses nothing", (_what, args, code, message) => {
    expect(errors(args)).toEqual([]);
    expect(warnings(args)).toContainEqual({
      code,
      severity: "warning",
      at: expect.any(String),
      message: expect.stringMatching(message),
    });
  });
});
