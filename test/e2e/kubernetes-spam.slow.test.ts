/** stacks/kubernetes.ts as it is: the spam filter through real Argo on a simulated confidential node, receipts verified. */
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, clusterMissing, startCluster } from "../../tools/cluster";
import type { KubernetesNode } from "../../untrusted/node/kubernetes";
import { ok, sealflow } from "../support/cli";
import { createStackProject, type StackProject } from "../support/stack-project";
import { scanState } from "../support/state-secrets";
import { kubectl, runtimeClassOf, startNode } from "../support/test-cluster";

jest.setTimeout(900_000);

const missing = clusterMissing({ argo: true });
if (missing) console.log(`skipped: the spam filter on a test cluster: ${missing}`);
const suite = missing ? describe.skip : describe;

suite("the spam filter on a cluster", () => {
  let cluster: Cluster;
  let node: KubernetesNode;
  let project: StackProject;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    project = createStackProject();
    cluster = await startCluster({ argo: true });
    env = project.env;
    env.KUBECONFIG = cluster.kubeconfig;
    const name = "kata-qemu-coco-dev";
    kubectl(cluster, ["create", "-f", "-"], JSON.stringify(runtimeClassOf(name)));
    await ok(project, ["dev", "--detach"]);
    await ok(project, ["pulumi", "--", "stack", "init", "kubernetes"], env);
    await ok(project, ["pulumi", "--", "config", "set", "runtimeClass", name, "-s", "kubernetes"], env);
    node = await startNode(cluster, project);
  });
  afterAll(async () => {
    await node?.stop();
    await cluster?.stop();
    if (!project) return;
    await sealflow(project, ["dev", "--stop"]);
    project.remove();
  });

  it("runs seven steps to the same figures as without Sealflow, though the controller is killed in the middle", async () => {
    await ok(project, ["up", "--stack", "kubernetes"], env);
    const running = ok(project, ["run", "--json"], env);
    await sleep(8_000);
    await cluster.kill("workflow-controller");
    await sleep(1_000);
    await cluster.start("workflow-controller");
    const summary = JSON.parse((await running).stdout);
    expect(summary).toMatchObject({ state: "succeeded", receiptsExpected: 7 });
    const { stdout } = await ok(project, ["fetch", summary.run, "--out", "fetched"], env);
    expect(stdout).toMatch(/receipts verified: 7\/7/);
    const metrics = JSON.parse(readFileSync(path.join(project.dir, "fetched/released/metrics"), "utf8"));
    expect(metrics.models.logistic.f1).toBe(0.9620853080568721);
    expect(metrics.models.bayes.f1).toBe(0.9317073170731708);
  });

  it("no secret of the state is in it in clear, nor the first mail", async () => {
    const [mail = ""] = readFileSync(path.join(project.dir, "examples/spam-filter/data/mails.jsonl"), "utf8").split(
      "\n",
    );
    const { secrets, hits } = await scanState(project, "kubernetes", [mail.slice(20, 80)]);
    expect(secrets).toBeGreaterThan(0); // the root
    expect(hits).toEqual([]);
  });
});
