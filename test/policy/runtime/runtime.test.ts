import { PolicyError } from "../../../policy/errors";
import { peerPodsChart } from "../../../policy/peer-pods";
import { answerRuntime, type KataChartArgs, kataChart, operatorObjects } from "../../../policy/runtime";
import { PEER_PODS_KEYS, UMBRELLA_KEYS, unknownKeys } from "./chart-keys";

const KATA: KataChartArgs = {
  shims: ["qemu-snp"],
  nodeSelector: { "node.kubernetes.io/worker": "" },
  nodeFeatureDiscovery: "install",
};
const settings = (args: Partial<KataChartArgs> = {}) =>
  // biome-ignore lint/suspicious/noExplicitAny: a chart's values have no type
  (kataChart({ ...KATA, ...args }).values as any)["kata-as-coco-runtime"];

describe("values of the charts", () => {
  it.each<[string, Partial<KataChartArgs>]>([
    ["SNP", {}],
    ["TDX on k3s in jobs", { shims: ["qemu-tdx"], distribution: "k3s", mode: "job", nodeFeatureDiscovery: "present" }],
    ["GPU", { shims: ["qemu-nvidia-gpu-snp"], nodeFeatureDiscovery: "none" }],
  ])("%s has no key that the umbrella chart would skip in silence", (_title, args) => {
    expect(unknownKeys(kataChart({ ...KATA, ...args }).values, UMBRELLA_KEYS)).toEqual([]);
  });

  it("peer pods have no key that their chart would skip in silence", () => {
    const chart = peerPodsChart({
      cloud: "aws",
      imageId: "ami-0123456789abcdef0",
      region: "us-east-2",
      subnetId: "subnet-1",
      defaultInstance: "m6a.large",
      instances: ["m6a.large"],
      tags: { a: "b" },
      securityGroupIds: ["sg-1"],
      adaptorRoleArn: "arn:a",
      controllerRoleArn: "arn:c",
    });
    expect(unknownKeys(chart.values, PEER_PODS_KEYS)).toEqual([]);
  });

  it("the check finds a key of the flat format that charts no longer read", () => {
    expect(unknownKeys({ "kata-as-coco-runtime": { env: { shims: "qemu-snp" } } }, UMBRELLA_KEYS)).toEqual([
      "kata-as-coco-runtime.env.shims",
    ]);
  });

  it("no class without a TEE comes into being, and nothing is left to `auto`", () => {
    const { shims, runtimeClasses, nodeFeatureRules, debug } = settings();
    expect(shims).toEqual({ disableAll: true, "qemu-snp": expect.objectContaining({ enabled: true }) });
    expect(runtimeClasses.createDefault).toBe(false);
    expect(nodeFeatureRules.create).toBe("true");
    expect(settings({ nodeFeatureDiscovery: "none" }).nodeFeatureRules.create).toBe("false");
    expect(debug).toBe(false);
    expect(shims["qemu-snp"].runtimeClass.nodeSelector).toEqual({ "amd.feature.node.kubernetes.io/snp": "true" });
  });

  it("a change of configuration rolls the DaemonSet, and nothing else does", () => {
    const label = (args: Partial<KataChartArgs>) => settings(args).podLabels["sealflow.config"];
    expect(label({})).toBe(label({}));
    expect(label({ nodeSelector: { other: "" } })).not.toBe(label({}));
  });

  it.each<[string, Partial<KataChartArgs>, RegExp]>([
    ["a shim without a TEE", { shims: ["qemu"] }, /shim "qemu" has no TEE/],
    ["no shim", { shims: [] }, /no runtime class would be made/],
    ["an unknown distribution", { distribution: "eks" as never }, /stops the install/],
    [
      "a selector that only kata-deploy sets",
      { nodeSelector: { "katacontainers.io/kata-runtime": "true" } },
      /no node would have it before/,
    ],
  ])("%s is refused", (_title, args, message) => {
    expect(() => kataChart({ ...KATA, ...args })).toThrow(message);
  });
});

describe("the operator's objects", () => {
  const IMAGE = `quay.io/confidential-containers/reqs-payload:${"a".repeat(40)}`;

  it.each(["quay.io/confidential-containers/reqs-payload:latest", "", `x@sha256:${"a".repeat(63)}`])(
    "an installer image that may change (%s) is refused: it runs as root on every node",
    (requirementsImage) => {
      const make = () => operatorObjects({ runtimeClasses: ["kata-qemu-snp"], requirementsImage });
      expect(make).toThrow(PolicyError);
    },
  );

  it("a class without a TEE is refused", () => {
    expect(() => operatorObjects({ runtimeClasses: ["kata-qemu"], requirementsImage: IMAGE })).toThrow(
      /no confidential class "kata-qemu"/,
    );
  });
});

describe("a cluster asked for a node that can take guests", () => {
  const CLASS = {
    handler: "kata-qemu-snp",
    overhead: { podFixed: { memory: "2048Mi", "sev-snp.amd.com/esids": "1" } },
    scheduling: { nodeSelector: { "katacontainers.io/kata-runtime": "true" } },
  };
  const node = (more: { labels?: object; status?: object; spec?: object } = {}) => ({
    metadata: { name: "n1", labels: { "katacontainers.io/kata-runtime": "true", tee: "snp", ...more.labels } },
    spec: { ...more.spec },
    status: {
      conditions: [{ type: "Ready", status: "True" }],
      allocatable: { "sev-snp.amd.com/esids": "99" },
      ...more.status,
    },
  });
  const question = { runtimeClass: "kata-qemu-snp", nodeLabels: { tee: "snp" } };

  it("names the node", () => {
    expect(answerRuntime(question, CLASS, [node()])).toEqual({ node: "n1", handler: "kata-qemu-snp", problems: [] });
  });

  it.each<[string, object | undefined, object[], RegExp]>([
    ["no class", undefined, [node()], /runtime class kata-qemu-snp: the cluster has none/],
    ["no node", CLASS, [], /the cluster has none/],
    [
      "a node whose kata-deploy is at work",
      CLASS,
      [node({ labels: { "katacontainers.io/kata-runtime": "false" } })],
      /has "false".*kata-deploy/,
    ],
    ["a node without the hardware's label", CLASS, [node({ labels: { tee: "tdx" } })], /needs the label tee="snp"/],
    [
      "a node that counts no guests",
      CLASS,
      [node({ status: { allocatable: {} } })],
      /offers no sev-snp\.amd\.com\/esids/,
    ],
    ["a node that is not Ready", CLASS, [node({ status: { conditions: [] } })], /is not Ready/],
    ["a cordoned node", CLASS, [node({ spec: { unschedulable: true } })], /cordoned/],
    [
      "a containerd without the handler",
      CLASS,
      [node({ status: { runtimeHandlers: [{ name: "runc" }] } })],
      /no handler "kata-qemu-snp"/,
    ],
  ])("%s: says so, with what to do", (_title, runtimeClass, nodes, message) => {
    const answer = answerRuntime(question, runtimeClass, nodes);
    expect(answer.node).toBeUndefined();
    expect(answer.problems.join("\n")).toMatch(message);
  });

  it("peer pods need a worker whose adaptor has said how many guests it takes", () => {
    const asked = { ...question, resources: ["kata.peerpods.io/vm"] };
    expect(answerRuntime(asked, CLASS, [node()]).problems[0]).toMatch(/offers no kata\.peerpods\.io\/vm.*adaptor/);
  });
});
