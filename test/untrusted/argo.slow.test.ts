/** What a pipeline is on a real API server, and what Argo's real controller makes of it. No node: nothing is run. */
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { partName, pipelineLabels, templateName } from "../../components/backend/argo/render/names";
import { partsOf } from "../../components/backend/argo/render/parts";
import { EXECUTOR_RULES } from "../../components/backend/argo/render/rights";
import { type StepOfWorkflow, workflowOfParts, workflowOfSteps } from "../../components/backend/argo/render/workflow";
import { renderJob, stepGuest } from "../../policy";
import { type Cluster, clusterMissing, startCluster } from "../../tools/cluster";
import { followWorkflow, stopRun, submitRun } from "../../untrusted/backend-argo";
import { clusterOf, KubernetesClient, type KubernetesObject } from "../../untrusted/kubernetes";

jest.setTimeout(240_000);

const missing = clusterMissing({ argo: true });
if (missing) console.log(`skipped: Argo on a test cluster: ${missing}`);
const suite = missing ? describe.skip : describe;

const NAMESPACE = "pipelines";
const ACCOUNT = "sealflow-engine";
const RUN = "f".repeat(64);
const CA = `-----BEGIN CERTIFICATE-----\n${`${"A".repeat(64)}\n`.repeat(10)}-----END CERTIFICATE-----\n`;
const imageReference = `ns.sealflow.local/image@sha256:${"a".repeat(64)}`;
const settings = { pipeline: "fan", serviceAccount: ACCOUNT, keptSeconds: 3600 };

function step(name: string, after: string[] = [], shards = 1): StepOfWorkflow {
  const resource = `sf-0123456789abcdef/step/${"0".repeat(64)}`;
  const guest = stepGuest({ tee: "sample", kbsUrl: "https://kbs.example:8080", caPem: CA, imageReference, resource });
  const given = { pipeline: "fan", step: name, imageReference, resource, annotation: guest.annotation, shards };
  const job = renderJob({ ...given, runtimeClass: "kata-qemu-coco-dev", timeoutSeconds: 60, cpu: "1", memory: "1Gi" });
  return { name, after, shards, job, retryLimit: 1, backoff: { seconds: 1, factor: 2, maxSeconds: 4 } };
}

suite("a pipeline on Argo", () => {
  let cluster: Cluster;
  let client: KubernetesClient;
  const workflows = `/apis/argoproj.io/v1alpha1/namespaces/${NAMESPACE}/workflows`;
  const at = { kind: "argo", namespace: NAMESPACE, template: templateName("dev", "fan") } as const;
  const small = [step("source"), step("many", ["source"], 3), step("sink", ["many"])];
  const shardsOf = (steps: StepOfWorkflow[]) => new Map(steps.map(({ name, shards }) => [name, shards]));

  const kubectl = (input: string | undefined, ...args: string[]) =>
    spawnSync(cluster.kubectl, ["--kubeconfig", cluster.kubeconfig, ...args], { encoding: "utf8", input });
  const create = (...objects: object[]): void => {
    const list = JSON.stringify({ apiVersion: "v1", kind: "List", items: objects });
    const { status, stderr } = kubectl(list, "create", "--validate=strict", "-f", "-");
    if (status !== 0) throw new Error(stderr);
  };
  const template = (name: string, spec: object) => ({
    apiVersion: "argoproj.io/v1alpha1",
    kind: "WorkflowTemplate",
    metadata: { name, namespace: NAMESPACE, labels: pipelineLabels("fan") },
    spec,
  });
  const named = (name: string) => ({ name, namespace: NAMESPACE, labels: pipelineLabels("fan") });
  async function eventually<T>(what: string, look: () => Promise<T | undefined>, seconds = 60): Promise<T> {
    for (const until = Date.now() + seconds * 1000; ; await sleep(200)) {
      const found = await look().catch(() => undefined);
      if (found !== undefined) return found;
      if (Date.now() > until) throw new Error(`${what}: not after ${seconds} s`);
    }
  }
  const podsOf = async (workflow: string): Promise<KubernetesObject[]> =>
    (await client.list(`/api/v1/namespaces/${NAMESPACE}/pods?labelSelector=workflows.argoproj.io/workflow=${workflow}`))
      .items;
  const firstPod = (workflow: string) => eventually("executor's pod", async () => (await podsOf(workflow))[0]);

  beforeAll(async () => {
    cluster = await startCluster({ argo: true });
    client = new KubernetesClient(clusterOf(readFileSync(cluster.kubeconfig, "utf8"), cluster.kubeconfig));
    const subject = { kind: "ServiceAccount", name: ACCOUNT, namespace: NAMESPACE };
    const role = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: ACCOUNT };
    const rbac = "rbac.authorization.k8s.io/v1";
    create(
      { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } },
      { apiVersion: "v1", kind: "ServiceAccount", metadata: named(ACCOUNT) },
      { apiVersion: rbac, kind: "Role", metadata: named(ACCOUNT), rules: EXECUTOR_RULES },
      { apiVersion: rbac, kind: "RoleBinding", metadata: named(ACCOUNT), roleRef: role, subjects: [subject] },
      { apiVersion: "node.k8s.io/v1", kind: "RuntimeClass", metadata: { name: "kata-qemu-coco-dev" }, handler: "kata" },
      template(at.template, workflowOfSteps(small, settings, false)),
    );
  });
  afterAll(async () => {
    client?.close();
    await cluster?.stop();
  });

  it("has Jobs that the API server takes as they are, with every field known", () => {
    for (const name of ["source", "many"]) {
      const spec = workflowOfSteps(small, settings, false) as {
        templates: { name: string; resource?: { manifest: string } }[];
      };
      const manifest = spec.templates.find((t) => t.name === name)?.resource?.manifest ?? "";
      const filled = manifest
        .replaceAll("{{workflow.parameters.run}}", RUN)
        .replaceAll("{{workflow.name}}", "dev-fan-x")
        .replaceAll("{{workflow.uid}}", "0b6b9e2e-8d0e-4b7e-9a0e-3f1a2b3c4d5e")
        .replaceAll("{{workflow.parameters.pods-many}}", "3");
      const made = kubectl(
        filled,
        "create",
        "-n",
        NAMESPACE,
        "--dry-run=server",
        "--validate=strict",
        "-o",
        "json",
        "-f",
        "-",
      );
      expect(made.stderr).toBe("");
      const pod = JSON.parse(made.stdout).spec.template.spec;
      expect(pod.containers[0].env).toContainEqual({ name: "SEALFLOW_RUN", value: RUN });
      expect(pod.automountServiceAccountToken).toBe(false);
    }
    const wrong = JSON.stringify({ ...JSON.parse(JSON.stringify(small[0]?.job)), spce: {} });
    expect(
      kubectl(wrong, "create", "-n", NAMESPACE, "--dry-run=server", "--validate=strict", "-f", "-").stderr,
    ).toMatch(/spce/);
  });

  it("gives the engine the right to make and delete Jobs there, and none to read secrets or reach other namespaces", () => {
    const may = (verb: string, what: string, namespace = NAMESPACE) =>
      kubectl(
        undefined,
        "auth",
        "can-i",
        verb,
        what,
        "-n",
        namespace,
        "--as",
        `system:serviceaccount:${NAMESPACE}:${ACCOUNT}`,
      ).stdout.trim();
    expect(["create", "get", "list", "delete"].map((verb) => may(verb, "jobs.batch"))).toEqual([
      "yes",
      "yes",
      "yes",
      "yes",
    ]);
    for (const [verb, what, namespace] of [
      ["get", "secrets"],
      ["create", "pods"],
      ["create", "pods/exec"],
      ["update", "workflowtemplates.argoproj.io"],
      ["create", "rolebindings.rbac.authorization.k8s.io"],
      ["create", "jobs.batch", "default"],
    ] as const) {
      expect([verb, what, may(verb, what, namespace)]).toEqual([verb, what, "no"]);
    }
  });

  it("is taken by the controller once for a run, and its executors pass `restricted` Pod Security", async () => {
    const options = { client, at, run: RUN, done: new Map(), steps: shardsOf(small) };
    const first = await submitRun(options);
    expect(first.isNew).toBe(true);
    const pod = await firstPod(first.name);
    expect(await submitRun(options)).toMatchObject({ name: first.name, isNew: false });
    kubectl(undefined, "create", "namespace", "strict");
    kubectl(undefined, "label", "namespace", "strict", "pod-security.kubernetes.io/enforce=restricted");
    const spec = JSON.parse(JSON.stringify(pod.spec));
    delete spec.serviceAccountName;
    delete spec.serviceAccount;
    const token = (name: string) => name.startsWith("kube-api-access");
    spec.volumes = spec.volumes.filter((v: { name: string }) => !token(v.name));
    for (const c of [...spec.containers, ...spec.initContainers]) {
      c.volumeMounts = (c.volumeMounts ?? []).filter((m: { name: string }) => !token(m.name));
    }
    const check = (object: object) =>
      kubectl(
        JSON.stringify({ apiVersion: "v1", kind: "Pod", metadata: { name: "x" }, ...object }),
        "create",
        "-n",
        "strict",
        "--dry-run=server",
        "-f",
        "-",
      );
    expect(check({ spec }).stderr).toBe("");
    // The exception, and why: steps have capabilities inside their guest (docs/argo.md).
    expect(check({ spec: small[0]?.job.spec.template.spec }).stderr).toMatch(
      /violates PodSecurity "restricted.*unrestricted capabilities/,
    );
  });

  it("is followed while the API server and the controller are killed, and stopped in the end", async () => {
    const [active] = (await client.list(workflows)).items;
    const name = active?.metadata.name ?? "";
    const notes: string[] = [];
    const stop = new AbortController();
    const following = followWorkflow({ client, at, name, signal: stop.signal, onNote: (line) => notes.push(line) });
    await cluster.kill("workflow-controller");
    await cluster.kill("kube-apiserver");
    await sleep(1000);
    await cluster.start("kube-apiserver");
    await cluster.start("workflow-controller");
    // It lists again only when its caches are warm.
    const stopped = await eventually("stopped", () => stopRun(client, at, RUN));
    expect(stopped).toEqual([name]);
    // Its executor never ran, so it failed; the clean-up that then begins has no node to run on, either.
    await eventually("clean-up", async () =>
      (await podsOf(name)).find((pod) => pod.metadata.name.includes("clean-up")),
    );
    expect(notes.join("\n")).toMatch(/the run goes on, and so does this when the server is back/);
    stop.abort();
    await expect(following).rejects.toMatchObject({ name: "AbortError" });
  });

  it("goes away with its template: Workflow, pods and all", async () => {
    expect((await client.list(workflows)).items.length).toBeGreaterThan(0);
    execFileSync(cluster.kubectl, [
      "--kubeconfig",
      cluster.kubeconfig,
      "delete",
      "workflowtemplate",
      at.template,
      "-n",
      NAMESPACE,
    ]);
    await eventually("empty", async () => ((await client.list(workflows)).items.length === 0 ? true : undefined));
    const labelled = () =>
      kubectl(
        undefined,
        "get",
        "workflows,jobs,pods",
        "-n",
        NAMESPACE,
        "-l",
        "app.kubernetes.io/part-of=fan",
        "-o",
        "name",
      ).stdout;
    await eventually("no pods", async () => (labelled() === "" ? true : undefined));
  });

  it("of 302 steps: every object is below 1 MB, and the controller starts with the first part", async () => {
    const leaves = Array.from({ length: 300 }, (_, i) => step(`leaf-${i}`, ["source"]));
    const fan = [
      step("source"),
      ...leaves,
      step(
        "sink",
        leaves.map(({ name }) => name),
      ),
    ];
    const parts = partsOf(fan);
    const byName = new Map(fan.map((s) => [s.name, s]));
    const nameOf = (part: number) => partName("dev", "fan", part);
    create(
      template(at.template, workflowOfParts(parts, nameOf, settings)),
      ...parts.map(({ steps }, i) =>
        template(
          nameOf(i),
          workflowOfSteps(
            steps.map((name) => byName.get(name) as StepOfWorkflow),
            settings,
            true,
          ),
        ),
      ),
    );
    const { name } = await submitRun({ client, at, run: RUN, done: new Map(), steps: shardsOf(fan) });
    await firstPod(name);
    const all = ["workflowtemplates", "workflows"].map((kind) => client.list(workflows.replace("workflows", kind)));
    const sizes = (await Promise.all(all)).flatMap(({ items }) => items.map((item) => JSON.stringify(item).length));
    expect(sizes.length).toBe(parts.length + 2);
    expect(Math.max(...sizes)).toBeLessThan(1_000_000);
  });
});
