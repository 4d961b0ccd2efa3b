/** The whole chain on Kubernetes: real engine, API server, Argo; relying party outside; a simulated confidential node. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, clusterMissing, startCluster } from "../../tools/cluster";
import { kubernetesProviderEnvironment } from "../../tools/kubernetes-provider";
import type { KubernetesNode } from "../../untrusted/node/kubernetes";
import { createClusterChain, PLANTED, type RunSummary, removeChain, startServices } from "../support/chain";
import { ok } from "../support/cli";
import type { Project } from "../support/project";
import { kubectl, runtimeClassOf, sealflowObjects, startNode } from "../support/test-cluster";

jest.setTimeout(900_000);

const missing = clusterMissing({ argo: true });
if (missing) console.log(`skipped: pipelines on a test cluster: ${missing}`);
const suite = missing ? describe.skip : describe;

suite("a pipeline on a cluster", () => {
  let cluster: Cluster;
  let project: Project;
  let node: KubernetesNode;
  let env: NodeJS.ProcessEnv;
  let summary: RunSummary;
  beforeAll(async () => {
    project = createClusterChain();
    cluster = await startCluster({ argo: true });
    env = { ...kubernetesProviderEnvironment(), KUBECONFIG: cluster.kubeconfig };
    kubectl(cluster, ["create", "-f", "-"], JSON.stringify(runtimeClassOf("kata-qemu-coco-dev")));
    await startServices(project);
    node = await startNode(cluster, project);
  });
  afterAll(async () => {
    await node?.stop();
    await cluster?.stop();
    if (project) await removeChain(project);
  });

  it("deploys, runs through Argo to the end, and verifies", async () => {
    await ok(project, ["up", "--stack", "kubernetes"], env);
    summary = JSON.parse((await ok(project, ["run", "--json", "--params", "params.json"], env)).stdout);
    expect(summary.state).toBe("succeeded");
    const { stdout } = await ok(project, ["fetch", summary.run, "--all"], env);
    expect(stdout).toMatch(/receipts verified: 4\/4/);
  });

  it("has told the cluster nothing: no planted string in any object", () => {
    const kinds = "workflowtemplates,workflows,jobs,pods,configmaps,secrets,events,workflowtaskresults";
    const all = kubectl(cluster, ["get", kinds, "-A", "-o", "json"]);
    for (const planted of Object.values(PLANTED)) expect(all).not.toContain(planted);
    expect(all).toContain(summary.run);
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
      left = sealflowObjects(cluster);
    }
    expect(left).toBe("");
  });
});
