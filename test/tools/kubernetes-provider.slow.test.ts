import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Cluster, clusterMissing, startCluster } from "../../tools/cluster";
import { kubernetesProviderEnvironment } from "../../tools/kubernetes-provider";
import { createProject, type Project } from "../support/project";

const missing = clusterMissing();
const suite = missing ? describe.skip : describe;
if (missing) console.log(`skipped: Kubernetes provider for tests: ${missing}`);

const PROGRAM = `
const pulumi = require("@pulumi/pulumi");
const k8s = require("@pulumi/kubernetes");
const config = new pulumi.Config();
const text = config.get("text") ?? "one";
const ns = new k8s.core.v1.Namespace("space");
const namespace = ns.metadata.name;
new k8s.core.v1.ConfigMap("settings", { metadata: { namespace }, data: { text, secret: config.requireSecret("planted") } });
const later = ns.status.phase;
new k8s.core.v1.Secret("hidden", { metadata: { namespace }, stringData: { later } });
new k8s.rbac.v1.Role("reads", { metadata: { namespace }, rules: [{ apiGroups: [""], resources: ["secrets"], verbs: ["get"],
  resourceNames: ["fixed", pulumi.secret(later)] }] });
const crd = new k8s.apiextensions.v1.CustomResourceDefinition("things", {
  metadata: { name: "things.test.sealflow" },
  spec: { group: "test.sealflow", scope: "Namespaced", names: { plural: "things", singular: "thing", kind: "Thing" },
    versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object", properties: {
      spec: { type: "object", properties: { size: { type: "integer" } } } } } } }] } });
new k8s.apiextensions.CustomResource("thing", { apiVersion: "test.sealflow/v1", kind: "Thing", metadata: { namespace },
  spec: { size: 3 } }, { dependsOn: crd });
new k8s.batch.v1.Job("work", { metadata: { namespace, annotations: { "pulumi.com/skipAwait": "true" } }, spec: { template: { spec: {
  restartPolicy: "Never", containers: [{ name: "main", image: "none", command: ["echo", text] }] } } } });
new k8s.helm.v3.Release("coco", { chart: "kata-deploy", version: "1.2.3", namespace: "default", name: "coco",
  repositoryOpts: { repo: "https://charts.example" }, values: { shims: { qemu: { enabled: true } } } });
if (config.get("wrong")) new k8s.core.v1.ConfigMap("wrong", { metadata: { lables: { a: "b" } } });
exports.job = ns.metadata.name;
`;

suite("programs with @pulumi/kubernetes on a real API server", () => {
  let cluster: Cluster;
  let project: Project;
  let env: NodeJS.ProcessEnv;
  const kubectl = (...args: string[]) =>
    execFileSync(cluster.kubectl, ["--kubeconfig", cluster.kubeconfig, ...args], { encoding: "utf8" });

  beforeAll(async () => {
    project = createProject(PROGRAM);
    const helm = join(project.dir, "helm");
    mkdirSync(helm);
    const runtimeClass = {
      apiVersion: "node.k8s.io/v1",
      kind: "RuntimeClass",
      metadata: { name: "kata-qemu-snp" },
      handler: "kata-qemu-snp",
    };
    writeFileSync(join(helm, "markers.json"), JSON.stringify({ "kata-deploy": [runtimeClass] }));
    env = { ...kubernetesProviderEnvironment(), SEALFLOW_TEST_HELM: helm, KUBECONFIG: join(project.dir, "kubeconfig") };
    await project.ok(["stack", "init", "dev"], env);
    await project.ok(["config", "set", "--secret", "planted", "planted-secret-7351", "-s", "dev"], env);
  }, 120_000);
  afterAll(async () => {
    await cluster?.stop();
    project?.remove();
  }, 60_000);

  it("are previewed without any cluster, and with values that are not known yet", async () => {
    const said = await project.ok(["preview", "-s", "dev"], env);
    for (const made of [/Job.*create/, /Secret.*hidden.*create/, /Role.*reads.*create/]) expect(said).toMatch(made);
  }, 120_000);

  it("make what they say, wait for kinds that are new, and change nothing the second time", async () => {
    cluster = await startCluster();
    writeFileSync(String(env.KUBECONFIG), readFileSync(cluster.kubeconfig), { mode: 0o600 });
    const started = Date.now();
    await project.ok(["up", "--yes", "--skip-preview", "-s", "dev"], env);
    const up = Date.now() - started;
    const again = await project.ok(["up", "--yes", "--expect-no-changes", "-s", "dev"], env);
    expect(again).toMatch(/unchanged/);
    console.log(`up ${up} ms, up without changes ${Date.now() - started - up} ms`);
    expect(kubectl("get", "things.test.sealflow", "-A", "-o", "jsonpath={.items[0].spec.size}")).toBe("3");
    expect(kubectl("get", "runtimeclass", "kata-qemu-snp", "-o", "jsonpath={.handler}")).toBe("kata-qemu-snp");
    const releases = JSON.parse(project.read("helm/releases.json"));
    expect(releases["default/coco"]).toMatchObject({ chart: "kata-deploy", version: "1.2.3", values: { shims: {} } });
    expect(kubectl("get", "configmaps", "-A", "-o", "yaml")).toContain("planted-secret-7351");
    expect(JSON.stringify(await project.state())).not.toContain("planted-secret-7351");
  }, 240_000);

  it("change in place what can be, and replace a Job whose template differs", async () => {
    await project.ok(["config", "set", "text", "two", "-s", "dev"], env);
    const before = kubectl("get", "jobs", "-A", "-o", "jsonpath={.items[0].metadata.uid}");
    const said = await project.ok(["up", "--yes", "-s", "dev"], env);
    // As the real provider has it: who mounts it sees another object.
    expect(said).toMatch(/settings.*replaced/);
    expect(said).toMatch(/work.*(replaced|deleted)/);
    expect(kubectl("get", "jobs", "-A", "-o", "jsonpath={.items[*].spec.template.spec.containers[0].command}")).toBe(
      '["echo","two"]',
    );
    expect(kubectl("get", "jobs", "-A", "-o", "jsonpath={.items[0].metadata.uid}")).not.toBe(before);
  }, 180_000);

  it("with a field that Kubernetes does not know fail, already in the preview", async () => {
    await project.ok(["config", "set", "wrong", "yes", "-s", "dev"], env);
    const { code, stdout, stderr } = await project.pulumi(["preview", "-s", "dev"], env);
    expect(code).not.toBe(0);
    expect(stdout + stderr).toMatch(/unknown field \\*"metadata.lables/);
    await project.ok(["config", "rm", "wrong", "-s", "dev"], env);
  }, 120_000);

  it("leave nothing behind", async () => {
    await project.ok(["destroy", "--yes", "-s", "dev"], env);
    expect(kubectl("get", "runtimeclass,crd,jobs,configmaps", "-A", "-o", "name")).not.toMatch(
      /settings|work|things|kata/,
    );
    expect(JSON.parse(project.read("helm/releases.json"))).toEqual({});
  }, 180_000);
});
