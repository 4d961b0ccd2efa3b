import * as pulumi from "@pulumi/pulumi";
import { ExistingCluster, type ExistingClusterArgs } from "../../components/platform/existing-cluster";
import { platformProblems } from "../../components/platform/platform";

const warnings: string[] = [];

beforeAll(() => {
  pulumi.runtime.setMocks({ newResource: ({ name, inputs }) => ({ id: name, state: inputs }), call: () => ({}) });
  jest.spyOn(pulumi.log, "warn").mockImplementation(async (text) => void warnings.push(text));
});

const REASON = "measured image of our own is not built yet";

describe("a cluster that has Confidential Containers already", () => {
  it("keeps its kubeconfig as a secret and takes evidence and runtime class from its row", async () => {
    const cluster = new ExistingCluster("mine", {
      platform: "baremetal-snp",
      kubeconfig: "apiVersion: v1",
      guestImage: { defaultPolicy: "deny" },
    });
    expect(await pulumi.isSecret(cluster.kubeconfig as pulumi.Output<string>)).toBe(true);
    expect({ ...cluster.runtime }).toEqual({
      kind: "present",
      nodeLabels: { "katacontainers.io/kata-runtime": "true" },
    });
    expect([cluster.tee, cluster.runtimeClass, cluster.confidential]).toEqual(["snp", "kata-qemu-snp", true]);
    expect(platformProblems(cluster)).toEqual([]);
  });

  it("repeats an acknowledged stock image in every preview", () => {
    warnings.length = 0;
    new ExistingCluster("stock", {
      platform: "azure-peer-pods-tdx",
      guestImage: { defaultPolicy: "stock", acknowledgeStockGuestImage: REASON },
    });
    expect(warnings.join("\n")).toContain(REASON);
  });

  it("with simulated guests is never called confidential, under any runtime class", () => {
    const cluster = new ExistingCluster("sim", { platform: "local", runtimeClass: "kata-qemu-snp" });
    expect([cluster.tee, cluster.confidential, cluster.runtimeClass]).toEqual(["sample", false, "kata-qemu-snp"]);
    expect(platformProblems(cluster)).toEqual([]);
  });

  it.each<[string, ExistingClusterArgs, RegExp]>([
    ["an unknown row", { platform: "baremetal-sn" }, /there is no platform "baremetal-sn".*baremetal-snp/],
    ["a refused row", { platform: "aks-kata-cc" }, /platform/],
    [
      "a runtime class without a TEE",
      { platform: "baremetal-snp", runtimeClass: "kata-qemu", guestImage: { defaultPolicy: "deny" } },
      /runtimeClass: kata-qemu is not of this platform/,
    ],
    ["a silent guest image", { platform: "baremetal-tdx" }, /image.defaultPolicy: required/],
    [
      "a stock image without a reason",
      { platform: "baremetal-tdx", guestImage: { defaultPolicy: "stock" } },
      /marked "stock"/,
    ],
    [
      "unbound initdata that nobody acknowledged",
      { platform: "aws-peer-pods-snp", guestImage: { defaultPolicy: "deny" } },
      /acknowledgeUnboundInitdata/,
    ],
    ["nodes that are the boundary", { platform: "aks-confidential-nodes" }, /runs no steps/],
  ])("%s is refused with what to do", (_title, args, message) => {
    expect(() => new ExistingCluster("mine", args)).toThrow(message);
  });
});
