/** What the platforms refuse at preview, before anything is registered: one line for each problem, each with its remedy. */
import * as pulumi from "@pulumi/pulumi";
import { EksConfidentialNodeGroup, EksPeerPods, type EksPeerPodsArgs, EncryptedBucket } from "../../../components/aws";
import { AksConfidentialNodePool, AksPeerPods, type AksPeerPodsArgs } from "../../../components/azure";
import { BareMetal, type BareMetalArgs } from "../../../components/kubernetes";

const IMAGE = `/subscriptions/s/resourceGroups/images/providers/Microsoft.Compute/galleries/guests/images/podvm/versions/0.22.0`;
const AMI = "ami-0123456789abcdef0";
const DENY = "deny" as const;
const registered: string[] = [];

beforeAll(async () => {
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs }) => {
        if (!type.startsWith("sealflow:") && !type.startsWith("pulumi:")) registered.push(name);
        return { id: name, state: inputs };
      },
      call: ({ inputs }) => inputs,
    },
    "project",
    "stack",
    true,
  );
});

const azure = (args: object) =>
  new AksPeerPods("cloud", {
    location: "eastus",
    image: { id: IMAGE, defaultPolicy: DENY },
    sizes: { default: "Standard_DC2as_v5" },
    ...args,
  } as AksPeerPodsArgs);
const aws = (args: object) =>
  new EksPeerPods("cloud", {
    region: "us-east-2",
    image: { id: AMI, defaultPolicy: DENY },
    sizes: { default: "m6a.large" },
    acknowledgeUnboundInitdata: true,
    ...args,
  } as EksPeerPodsArgs);
const metal = (args: object) =>
  new BareMetal("cloud", { tee: "snp", guestImagePolicy: DENY, ...args } as BareMetalArgs);

const network = { existing: { nodesSubnetId: "a", guestsSubnetId: "b" } };
const eksNetwork = { existing: { vpcId: "v", nodesSubnetIds: ["a", "b"], guestsSubnetId: "c" } };
const aks = { resourceGroupName: "g", name: "c", oidcIssuer: "https://issuer" };
const eks = { name: "c", oidcIssuer: "https://i", oidcProviderArn: "arn", securityGroupId: "sg", kubeconfig: "{}" };

const CASES: readonly (readonly [string, () => unknown, RegExp])[] = [
  ["Azure: no image", () => azure({ image: { defaultPolicy: DENY } }), /image\.id: required: .*Build one/],
  [
    "Azure: an image that says not what it does",
    () => azure({ image: { id: IMAGE } }),
    /image\.defaultPolicy: required/,
  ],
  [
    "Azure: a stock image without a reason",
    () => azure({ image: { id: IMAGE, defaultPolicy: "stock" } }),
    /acknowledgeStockGuestImage/,
  ],
  [
    "Azure: a nightly image",
    () => azure({ image: { id: "/CommunityGalleries/cocopodvm-x/Images/a/Versions/1", defaultPolicy: DENY } }),
    /nightly.*copy the version/,
  ],
  [
    "Azure: the latest image",
    () => azure({ image: { id: IMAGE.replace("0.22.0", "latest"), defaultPolicy: DENY } }),
    /latest changes under you/,
  ],
  [
    "Azure: an image of another release",
    () => azure({ image: { id: IMAGE, defaultPolicy: DENY, adaptorVersion: "0.17.0" } }),
    /build the image from v0\.22\.0/,
  ],
  ["Azure: a region written for people", () => azure({ location: "East US" }), /Did you mean "eastus"\?/],
  ["Azure: a region of AWS", () => azure({ location: "us-east-2" }), /it is a region of aws/],
  [
    "Azure: a TDX size for SNP",
    () => azure({ sizes: { default: "Standard_DC2es_v6" } }),
    /is TDX, the platform is SEV-SNP/,
  ],
  ["Azure: an SNP size for TDX", () => azure({ tee: "tdx" }), /is SEV-SNP, the platform is TDX/],
  ["Azure: a TEE that there is not", () => azure({ tee: "sgx" }), /there is no platform "sgx"/],
  [
    "Azure: a retired size",
    () => azure({ sizes: { default: "Standard_DC4as_cc_v5" } }),
    /retired on 2026-08-01.*Use DCas_v5/,
  ],
  ["Azure: an ordinary size", () => azure({ sizes: { default: "Standard_D4s_v5" } }), /is no confidential VM/],
  [
    "Azure: a default that is not allowed",
    () => azure({ sizes: { default: "Standard_DC2as_v5", allowed: ["Standard_DC4as_v5"] } }),
    /lacks the default/,
  ],
  [
    "Azure: a v6 size with a v5 image",
    () => azure({ sizes: { default: "Standard_DC2as_v6" }, imageHasNvme: false }),
    /DiskControllerTypes/,
  ],
  ["Azure: an ended Kubernetes", () => azure({ kubernetesVersion: "1.30" }), /AKS ended 1\.30; use/],
  ["Azure: workers that burst", () => azure({ workers: { size: "Standard_B4ms" } }), /burst size/],
  ["Azure: workers on Windows", () => azure({ workers: { os: "Windows2022" } }), /runs no Kata; use Ubuntu/],
  [
    "Azure: the agent's port for the tunnel",
    () => azure({ vxlanPort: 15150 }),
    /15150 is the port of the agent's connection; use 9000/,
  ],
  ["Azure: a disk too small", () => azure({ rootDiskGiB: 1 }), /holds no guest image/],
  [
    "Azure: a network that is none",
    () => azure({ network: { guests: "10.225.0.1/16" } }),
    /network\.guests: .*is no network; write it like/,
  ],
  [
    "Azure: guests outside of the network",
    () => azure({ network: { guests: "192.168.0.0/16" } }),
    /network\.guests: .*not inside.*take a part/,
  ],
  [
    "Azure: guests in the nodes' network",
    () => azure({ network: { guests: "10.224.128.0/17" } }),
    /overlaps network\.nodes.*take another/,
  ],
  [
    "Azure: a plan for an existing network",
    () => azure({ network: { ...network, guests: "10.0.0.0/8" } }),
    /keeps its own plan; remove it/,
  ],
  [
    "Azure: an existing cluster in a new network",
    () => azure({ cluster: aks }),
    /network\.existing: .*give its subnets/,
  ],
  [
    "Azure: a version for an existing cluster",
    () => azure({ cluster: aks, network, kubernetesVersion: "1.36" }),
    /keeps its own; remove it/,
  ],
  ["Azure: existing workers of a new cluster", () => azure({ workers: { existing: true } }), /has no workers yet/],
  [
    "AWS: unbound initdata that nobody acknowledged",
    () => aws({ acknowledgeUnboundInitdata: undefined }),
    /say acknowledgeUnboundInitdata: true/,
  ],
  [
    "AWS: unbound initdata acknowledged with false",
    () => aws({ acknowledgeUnboundInitdata: false }),
    /say acknowledgeUnboundInitdata: true/,
  ],
  ["AWS: no region", () => aws({ region: undefined }), /region: required/],
  ["AWS: an image by name", () => aws({ image: { id: "podvm-latest", defaultPolicy: DENY } }), /is no AMI id/],
  ["AWS: an image that boots by BIOS", () => aws({ imageBootMode: "legacy-bios" }), /SNP needs uefi/],
  ["AWS: a size without SNP", () => aws({ sizes: { default: "m5.large" } }), /is no confidential VM/],
  ["AWS: a metal size", () => aws({ sizes: { default: "m6a.metal" } }), /\.metal instances give no SNP guest/],
  ["AWS: a size of Azure", () => aws({ sizes: { default: "Standard_DC2as_v5" } }), /is a size of azure/],
  ["AWS: one zone", () => aws({ network: { zones: ["us-east-2a"] } }), /two different zones.*give two/],
  ["AWS: a network too small", () => aws({ network: { cidr: "10.64.0.0/20" } }), /give a \/16/],
  ["AWS: an existing cluster in a new network", () => aws({ cluster: eks }), /network\.existing: .*give its subnets/],
  [
    "AWS: one subnet for nodes",
    () => aws({ network: { existing: { ...eksNetwork.existing, nodesSubnetIds: ["a"] } } }),
    /two zones; give two/,
  ],
  ["bare metal: an old kernel", () => metal({ hosts: { kernel: "6.8.0" } }), /needed is 6\.16\.1 or newer; upgrade/],
  ["bare metal: old firmware", () => metal({ hosts: { sevFirmware: "1.49" } }), /SEV firmware is 1\.49/],
  [
    "bare metal: hosts without the label of their TEE",
    () => metal({ hosts: { labels: { "intel.feature.node.kubernetes.io/tdx": "true" } } }),
    /hosts\.labels: .*amd\.feature\.node\.kubernetes\.io\/snp/,
  ],
  [
    "bare metal: GPUs that are not in confidential mode",
    () => metal({ nvidia: true, hosts: { labels: { "amd.feature.node.kubernetes.io/snp": "true" } } }),
    /nvidia\.com\/cc\.ready\.state=true; put all its GPUs into confidential mode/,
  ],
  ["bare metal: no such TEE", () => metal({ tee: "sev" }), /there is no platform "baremetal-sev"/],
  [
    "bare metal: an unpinned image of checks",
    () => metal({ preflight: { image: "busybox", hosts: 1 } }),
    /is not pinned; give it with its digest/,
  ],
  [
    "bare metal: checks of no host",
    () => metal({ preflight: { image: `a@sha256:${"0".repeat(64)}`, hosts: 0 } }),
    /give how many are to pass/,
  ],
  [
    "AKS nodes: TDX",
    () =>
      new AksConfidentialNodePool("cloud", {
        resourceGroupName: "g",
        clusterName: "c",
        location: "eastus",
        size: "Standard_DC4es_v6",
      }),
    /is TDX/,
  ],
  [
    "AKS nodes: a system that has no confidential image",
    () =>
      new AksConfidentialNodePool("cloud", {
        resourceGroupName: "g",
        clusterName: "c",
        location: "eastus",
        size: "Standard_DC4as_v5",
        os: "Ubuntu2204",
      }),
    /use Ubuntu2404 or AzureLinux/,
  ],
  [
    "AKS nodes: a long name",
    () =>
      new AksConfidentialNodePool("cloud", {
        resourceGroupName: "g",
        clusterName: "c",
        location: "eastus",
        size: "Standard_DC4as_v5",
        poolName: "confidential-nodes",
      }),
    /at most twelve; take "cvm"/,
  ],
  [
    "EKS nodes: no image",
    () =>
      new EksConfidentialNodeGroup("cloud", {
        region: "us-east-2",
        cluster: {},
        subnetIds: [],
        size: "m6a.large",
      } as never),
    /required: the id of an AMI/,
  ],
  [
    "S3: no role of the ledger",
    () => new EncryptedBucket("cloud", { region: "us-east-2" } as never),
    /ledgerRoleArn: missing is no role/,
  ],
  [
    "S3: everybody as the ledger",
    () => new EncryptedBucket("cloud", { region: "us-east-2", ledgerRoleArn: "*" }),
    /ledgerRoleArn: "\*" is no role\. Give arn:aws:iam::/,
  ],
  [
    "S3: a session as the ledger",
    () =>
      new EncryptedBucket("cloud", {
        region: "us-east-2",
        ledgerRoleArn: "arn:aws:sts::111122223333:assumed-role/ledger/s",
      }),
    /is no role/,
  ],
];

function refusalOf(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("nothing was refused");
}

test.each(CASES)("%s", (_what, make, remedy) => {
  registered.length = 0;
  const lines = refusalOf(make).split("\n");
  expect(lines).toEqual([expect.stringMatching(remedy)]);
  expect(registered).toEqual([]);
});

test("all problems come at once, one line each", () => {
  const wrong = { location: "East US", sizes: { default: "Standard_D4s_v5" }, network: { guests: "10.224.0.0/16" } };
  const lines = refusalOf(() => azure(wrong)).split("\n");
  expect(lines.length).toBeGreaterThanOrEqual(3);
  expect(lines.every((line) => line.startsWith('Platform "cloud": '))).toBe(true);
});

test("the list is long enough to mean something", () => expect(CASES.length).toBeGreaterThanOrEqual(40));
