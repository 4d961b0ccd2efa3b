/** A pipeline for Argo through the real engine and a real API server; relying party outside of the cluster. */
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, clusterMissing, startCluster } from "../../tools/cluster";
import { kubernetesProviderEnvironment } from "../../tools/kubernetes-provider";
import { createClusterChain, PLANTED, removeChain, startServices } from "../support/chain";
import { ok } from "../support/cli";
import type { Project } from "../support/project";

jest.setTimeout(900_000);

const missing = clusterMissing({ argo: true });
if (missing) console.log(`skipped: pipelines on a test cluster: ${missing}`);
const suite = missing ? describe.skip : describe;

suite("a pipeline on a cluster", () => {
  let cluster: Cluster;
  let project: Project;
  let env: NodeJS.ProcessEnv;
  const kubectl = (...args: string[]) =>
    execFileSync(cluster.kubectl, ["--kubeconfig", cluster.kubeconfig, ...args], {
      encoding: "utf8",
      maxBuffer: 1 << 28,
    });

  beforeAll(async () => {
    project = createClusterChain();
    cluster = await startCluster({ argo: true });
    env = { ...kubernetesProviderEnvironment(), KUBECONFIG: cluster.kubeconfig };
    const runtimeClass = {
      apiVersion: "node.k8s.io/v1",
      kind: "RuntimeClass",
      metadata: { name: "kata-qemu-coco-dev" },
      handler: "kata-qemu-coco-dev",
    };
    execFileSync(cluster.kubectl, ["--kubeconfig", cluster.kubeconfig, "create", "-f", "-"], {
      input: JSON.stringify(runtimeClass),
    });
    await startServices(project);
  });
  afterAll(async () => {
    await cluster?.stop();
    if (project) await removeChain(project);
  });

  it("deploys, and tells the cluster nothing: no planted string in any object", async () => {
    await ok(project, ["up", "--stack", "kubernetes"], env);
    const all = kubectl("get", "workflowtemplates,configmaps,secrets,events", "-A", "-o", "json");
    expect(all).toContain("kubernetes-chain");
    for (const planted of Object.values(PLANTED)) expect(all).not.toContain(planted);
  });

  it("has nothing to do in a second preview, and leaves nothing behind", async () => {
    await ok(
      project,
      ["pulumi", "--", "preview", "--stack", "kubernetes", "--expect-no-changes", "--non-interactive"],
      env,
    );
    await ok(
      project,
      ["pulumi", "--", "destroy", "--stack", "kubernetes", "--yes", "--skip-preview", "--non-interactive"],
      env,
    );
    let left = "unknown";
    for (let n = 0; n < 60 && left !== ""; n++, await sleep(500)) {
      left = kubectl(
        "get",
        "workflowtemplates,workflows,jobs,pods,roles,rolebindings,serviceaccounts,networkpolicies,namespaces",
        "-A",
        "-l",
        "app.kubernetes.io/managed-by=sealflow",
        "-o",
        "name",
      );
    }
    expect(left).toBe("");
  });
});
