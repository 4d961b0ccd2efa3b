/** stacks/kubernetes.ts as it is: the spam filter through real Argo on a simulated confidential node, receipts verified. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, clusterMissing, NODE_NAME, nodeTlsOf, startCluster } from "../../tools/cluster";
import { kubernetesProviderEnvironment } from "../../tools/kubernetes-provider";
import { type KubernetesNode, startKubernetesNode } from "../../untrusted/node/kubernetes";
import { ok, sealflow } from "../support/cli";
import type { Project } from "../support/project";

jest.setTimeout(900_000);

const CHECKOUT = path.resolve(__dirname, "../..");
const missing = clusterMissing({ argo: true });
if (missing) console.log(`skipped: the spam filter on a test cluster: ${missing}`);
const suite = missing ? describe.skip : describe;

suite("the spam filter on a cluster", () => {
  let cluster: Cluster;
  let node: KubernetesNode;
  let project: Project;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    const dir = mkdtempSync(path.join(tmpdir(), "sealflow-spam-"));
    project = { dir, home: path.join(dir, ".sealflow") } as Project;
    for (const folder of ["stacks", "examples/spam-filter"]) {
      cpSync(path.join(CHECKOUT, folder), path.join(dir, folder), { recursive: true });
    }
    mkdirSync(path.join(dir, "node_modules"));
    for (const name of readdirSync(path.join(CHECKOUT, "node_modules"))) {
      symlinkSync(path.join(CHECKOUT, "node_modules", name), path.join(dir, "node_modules", name));
    }
    symlinkSync(CHECKOUT, path.join(dir, "node_modules/sealflow"));
    const yaml = readFileSync(path.join(CHECKOUT, "Pulumi.yaml"), "utf8");
    writeFileSync(
      path.join(dir, "Pulumi.yaml"),
      yaml.replace("path: plugin", `path: ${path.join(CHECKOUT, "plugin")}`),
    );
    writeFileSync(path.join(dir, "package.json"), '{"name": "project", "private": true}\n');
    cluster = await startCluster({ argo: true });
    env = { ...kubernetesProviderEnvironment(), KUBECONFIG: cluster.kubeconfig };
    const name = "kata-qemu-coco-dev";
    execFileSync(cluster.kubectl, ["--kubeconfig", cluster.kubeconfig, "create", "-f", "-"], {
      input: JSON.stringify({ apiVersion: "node.k8s.io/v1", kind: "RuntimeClass", metadata: { name }, handler: name }),
    });
    await ok(project, ["dev", "--detach"]);
    await ok(project, ["pulumi", "--", "stack", "init", "kubernetes"], env);
    await ok(project, ["pulumi", "--", "config", "set", "runtimeClass", name, "-s", "kubernetes"], env);
    node = await startKubernetesNode({
      kubeconfig: readFileSync(cluster.kubeconfigOf("node"), "utf8"),
      name: NODE_NAME,
      home: project.home,
      connection: JSON.parse(readFileSync(path.join(project.home, "connection.json"), "utf8")),
      programs: { "argoexec:local": { bin: path.dirname(cluster.argoexec as string) } },
      tls: nodeTlsOf(cluster),
    });
  });
  afterAll(async () => {
    await node?.stop();
    await cluster?.stop();
    if (!project) return;
    await sealflow(project, ["dev", "--stop"]);
    rmSync(project.dir, { recursive: true, force: true });
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
});
