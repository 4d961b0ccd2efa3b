/** Platforms that a program may name. */
import { FAMILIES } from "./families";
import type { InitdataRule } from "./initdata";
import type { PlatformRow } from "./types";

const OVERVIEW = "confidential-containers/confidentialcontainers.org: content/en/docs/overview/_index.md";
const HARDWARE =
  "confidential-containers/confidentialcontainers.org: content/en/docs/getting-started/prerequisites/hardware";
const AZURE_PROVIDER = "confidential-containers/cloud-api-adaptor: src/cloud-providers/azure/provider.go";
const AWS_PROVIDER = "confidential-containers/cloud-api-adaptor: src/cloud-providers/aws/provider.go";
const AKS_CVM = "MicrosoftDocs/azure-aks-docs: articles/aks/use-cvm.md";
const AWS_SNP = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/sev-snp.html";
const KATA_CLASSES =
  "kata-containers/kata-containers: tools/packaging/kata-deploy/helm-chart/kata-deploy/templates/runtimeclasses.yaml";

/** Set by the peer-pods chart. */
export const PEER_PODS_RUNTIME_CLASS = "kata-remote";

const families = (cloud: string, hardware: string, gpu = "none"): string[] =>
  FAMILIES.filter((f) => f.cloud === cloud && f.hardware === hardware && f.gpu === gpu && f.state !== "refused").map(
    ({ family }) => family,
  );

const PCR8: InitdataRule = { algorithm: "sha256", field: "PCR 8", bound: "vtpm", carrier: "azure" };
const HOSTDATA: InitdataRule = { algorithm: "sha256", field: "HOSTDATA", bound: "launch", carrier: "kubernetes" };
const MRCONFIGID: InitdataRule = { algorithm: "sha384", field: "MRCONFIGID", bound: "launch", carrier: "kubernetes" };

const azurePeerPods = {
  cloud: "azure",
  model: "peer-pods",
  boundary: "pod",
  confidential: true,
  state: "supported",
  runtimeClasses: [PEER_PODS_RUNTIME_CLASS],
  initdata: PCR8,
  gpu: "none",
  instead: "",
} as const;

const bareMetal = {
  cloud: "baremetal",
  model: "bare-metal",
  boundary: "pod",
  confidential: true,
  state: "supported",
  families: [],
  regions: [],
  gpu: "none",
  instead: "",
} as const;

const GPU_LATER = "the GPU's evidence is no part of a key's release yet, so keys go to the CPU's guest alone";

export const USABLE: readonly PlatformRow[] = [
  {
    platform: "local",
    cloud: "local",
    model: "simulated",
    hardware: null,
    tee: "sample",
    boundary: "pod",
    confidential: false,
    state: "supported",
    runtimeClasses: ["sealflow-simulated"],
    initdata: { algorithm: "sha256", field: "sample claim", bound: "none", carrier: "kubernetes" },
    families: [],
    regions: [],
    gpu: "none",
    reason:
      "simulated guests on this machine: the same images, policies and key releases, no protection from the machine",
    instead: "",
    source: "docs/design: simulated guests",
  },
  {
    ...azurePeerPods,
    platform: "azure-peer-pods-snp",
    hardware: "SEV-SNP",
    tee: "az-snp-vtpm",
    families: families("azure", "SEV-SNP"),
    regions: ["eastus"],
    reason: "one confidential VM for each pod on AKS; upstream tests it daily with attestation",
    source: `${OVERVIEW}; ${AZURE_PROVIDER}`,
  },
  {
    ...azurePeerPods,
    platform: "azure-peer-pods-tdx",
    hardware: "TDX",
    tee: "az-tdx-vtpm",
    families: families("azure", "TDX"),
    regions: ["eastus", "eastus2"],
    reason: "one confidential VM for each pod on AKS; the size alone picks the TEE, the image is the same as for SNP",
    source: `${OVERVIEW}; ${AZURE_PROVIDER}`,
  },
  {
    ...azurePeerPods,
    platform: "azure-peer-pods-gpu",
    hardware: "SEV-SNP",
    tee: "az-snp-vtpm",
    state: "experimental",
    families: families("azure", "SEV-SNP", "nvidia"),
    regions: ["eastus2"],
    gpu: "nvidia",
    reason: `needs an image of your own with the NVIDIA driver; ${GPU_LATER}`,
    source: `${OVERVIEW}; ${AZURE_PROVIDER}`,
  },
  {
    platform: "aks-confidential-nodes",
    cloud: "azure",
    model: "node-pool",
    hardware: "SEV-SNP",
    tee: null,
    boundary: "node",
    confidential: false,
    state: "experimental",
    runtimeClasses: [],
    initdata: null,
    families: families("azure", "SEV-SNP").filter((family) => family.endsWith("_v5")),
    regions: [],
    gpu: "none",
    reason:
      "the whole node is one confidential VM: memory is encrypted, but all pods share it, the control plane reaches into them, and no evidence of a pod exists, so steps get no keys there",
    instead: "",
    source: AKS_CVM,
  },
  {
    platform: "aws-peer-pods-snp",
    cloud: "aws",
    model: "peer-pods",
    hardware: "SEV-SNP",
    tee: "snp",
    boundary: "pod",
    confidential: true,
    state: "experimental",
    runtimeClasses: [PEER_PODS_RUNTIME_CLASS],
    // EC2 has no input for HOSTDATA; the measurement covers the firmware alone.
    initdata: { algorithm: "sha256", field: "none", bound: "none", carrier: "ec2" },
    families: families("aws", "SEV-SNP"),
    regions: ["us-east-2", "eu-west-1"],
    gpu: "none",
    reason:
      "initdata, kernel and root file system are not bound to the hardware's evidence, and upstream does not test it with SNP",
    instead: "",
    source: `${AWS_SNP}; ${AWS_PROVIDER}; confidential-containers/cloud-api-adaptor#957`,
  },
  {
    platform: "eks-confidential-nodes",
    cloud: "aws",
    model: "node-pool",
    hardware: "SEV-SNP",
    tee: null,
    boundary: "node",
    confidential: false,
    state: "experimental",
    runtimeClasses: [],
    initdata: null,
    families: families("aws", "SEV-SNP"),
    regions: ["us-east-2", "eu-west-1"],
    gpu: "none",
    reason:
      "the whole node is one SNP instance: memory is encrypted, but all pods share it, the control plane reaches into them, and no evidence of a pod exists, so steps get no keys there",
    instead: "",
    source: `${AWS_SNP}; aws/containers-roadmap#2225`,
  },
  {
    ...bareMetal,
    platform: "baremetal-snp",
    hardware: "SEV-SNP",
    tee: "snp",
    runtimeClasses: ["kata-qemu-snp", "kata-qemu-snp-runtime-rs"],
    initdata: HOSTDATA,
    reason:
      "your own hosts with AMD EPYC Milan or later: kernel, initrd, command line and initdata are in the evidence",
    source: `${HARDWARE}/snp.md; ${KATA_CLASSES}`,
  },
  {
    ...bareMetal,
    platform: "baremetal-tdx",
    hardware: "TDX",
    tee: "tdx",
    runtimeClasses: ["kata-qemu-tdx", "kata-qemu-tdx-runtime-rs"],
    initdata: MRCONFIGID,
    reason:
      "your own hosts with Intel Emerald Rapids or later: kernel, initrd, command line and initdata are in the evidence",
    source: `${HARDWARE}/tdx.md; ${KATA_CLASSES}`,
  },
  {
    ...bareMetal,
    platform: "baremetal-nvidia-snp",
    hardware: "SEV-SNP",
    tee: "snp",
    state: "experimental",
    runtimeClasses: ["kata-qemu-nvidia-gpu-snp", "kata-qemu-nvidia-gpu-snp-runtime-rs"],
    initdata: HOSTDATA,
    gpu: "nvidia",
    reason: `Hopper or Blackwell passed through; ${GPU_LATER}`,
    source: `${OVERVIEW}; ${KATA_CLASSES}`,
  },
  {
    ...bareMetal,
    platform: "baremetal-nvidia-tdx",
    hardware: "TDX",
    tee: "tdx",
    state: "experimental",
    runtimeClasses: ["kata-qemu-nvidia-gpu-tdx", "kata-qemu-nvidia-gpu-tdx-runtime-rs"],
    initdata: MRCONFIGID,
    gpu: "nvidia",
    reason: `Hopper or Blackwell passed through; ${GPU_LATER}`,
    source: `${OVERVIEW}; ${KATA_CLASSES}`,
  },
];
