import * as pulumi from "@pulumi/pulumi";
import { RuntimeKind, type RuntimeNeeds } from "../../../components/platform/cluster";
import { ExistingCluster } from "../../../components/platform/existing-cluster";
import { LocalPlatform } from "../../../components/platform/local-platform";
import { ClusterPart, type CocoRuntimeArgs, RuntimeInstall } from "../../../components/runtime/args";
import { CocoRuntime } from "../../../components/runtime/coco-runtime";
import type { PeerPodsChart } from "../../../policy/peer-pods";

interface Registered {
  readonly type: string;
  readonly name: string;
  readonly inputs: Record<string, unknown>;
}
const registered: Registered[] = [];

beforeAll(() => {
  pulumi.runtime.setMocks({
    newResource: ({ type, name, inputs }) => {
      registered.push({ type, name, inputs });
      return { id: `${name}-id`, state: inputs };
    },
    call: () => ({}),
  });
});
beforeEach(() => {
  registered.length = 0;
});

/** An existing cluster with other needs: what a platform that installs says. */
const platform = (name: string, runtime?: RuntimeNeeds) => {
  const cluster = new ExistingCluster(name, { platform: "baremetal-snp", guestImage: { defaultPolicy: "deny" } });
  return runtime ? Object.assign(cluster, { runtime }) : cluster;
};
const KATA: RuntimeNeeds = { kind: RuntimeKind.Kata, shims: ["qemu-snp"], nodeLabels: { worker: "yes" } };
const PEER_PODS: RuntimeNeeds = {
  kind: RuntimeKind.PeerPods,
  nodeLabels: {},
  chart: pulumi.output<PeerPodsChart>(
    Promise.resolve({ chart: "oci://c", version: "1", namespace: "n", values: { provider: "azure" }, secret: null }),
  ) as never,
};
const settle = (runtime: CocoRuntime) => new Promise((resolve) => runtime.ready.apply(resolve));

describe("CocoRuntime", () => {
  it("installs Kata by one release after its privileged namespace, and waits for a node", async () => {
    await settle(new CocoRuntime("coco", { platform: platform("a", KATA), nodeFeatureDiscovery: ClusterPart.Install }));
    const types = registered.map(({ type }) => type);
    expect(types).toEqual(
      expect.arrayContaining([
        "kubernetes:core/v1:Namespace",
        "kubernetes:helm.sh/v3:Release",
        "sealflow:index:RuntimeReadiness",
      ]),
    );
    const ready = registered.find(({ type }) => type.endsWith("RuntimeReadiness"));
    expect(ready?.inputs).toMatchObject({ runtimeClass: "kata-qemu-snp", nodeLabels: { worker: "yes" } });
  });

  it("installs nothing where the runtime is present, and still looks for it", async () => {
    await settle(new CocoRuntime("coco", { platform: platform("b") }));
    const types = registered.map(({ type }) => type).filter((type) => !type.endsWith("ExistingCluster"));
    expect(types.sort()).toEqual(["sealflow:index:CocoRuntime", "sealflow:index:RuntimeReadiness"]);
  });

  it("keeps the adaptor's login in a Secret whose content is secret in the state", async () => {
    await settle(new CocoRuntime("coco", { platform: platform("c", PEER_PODS), certManager: ClusterPart.Install }));
    expect(registered.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["coco-cert-manager", "coco-peer-pods", "coco-adaptor-secret"]),
    );
  });

  it("two installations on one cluster are refused: they overwrite containerd's configuration", () => {
    const shared = platform("d");
    new CocoRuntime("first", { platform: shared });
    expect(() => new CocoRuntime("second", { platform: shared })).toThrow(/"first" installs there already/);
  });

  it.each<[string, Omit<CocoRuntimeArgs, "platform">, RuntimeNeeds | undefined, RegExp]>([
    ["peer pods without a word on cert-manager", {}, PEER_PODS, /certManager: has to be said/],
    ["peer pods without cert-manager", { certManager: "none" }, PEER_PODS, /no pod of the cluster is created/],
    ["Kata without a word on feature discovery", {}, KATA, /nodeFeatureDiscovery: has to be said/],
    ["peer pods by the operator", { install: "operator" }, PEER_PODS, /obsolete upstream/],
    ["the operator without its image", { install: "operator" }, KATA, /requirementsImage: has to be said/],
    ["an installation of what is present", { install: "charts" }, undefined, /install: the cluster has the runtime/],
    ["a scaling adaptor", { certManager: "present", scaling: true }, PEER_PODS, /scaling/],
    [
      "two words that there are not",
      { certManager: "yes" as never, install: "yes" as never },
      KATA,
      /"yes" is neither[\s\S]*"yes" is not one of/,
    ],
  ])("%s is refused at preview, with what to do", (title, args, runtime, message) => {
    expect(() => new CocoRuntime("coco", { platform: platform(title, runtime), ...args })).toThrow(message);
  });

  it("a platform on this machine is refused", () => {
    const local = new LocalPlatform("local") as never;
    expect(() => new CocoRuntime("coco", { platform: local })).toThrow(/on no Kubernetes cluster/);
  });

  it("by the operator, the CcRuntime comes last", async () => {
    const image = `quay.io/confidential-containers/reqs-payload@sha256:${"a".repeat(64)}`;
    await settle(
      new CocoRuntime("coco", {
        platform: platform("e", KATA),
        install: RuntimeInstall.Operator,
        requirementsImage: image,
      }),
    );
    const kinds = registered.map(({ inputs }) => inputs.kind).filter(Boolean);
    expect(kinds.at(-1)).toBe("CcRuntime");
    expect(kinds).toContain("CustomResourceDefinition");
  });
});
