/** A cluster with Argo and a wide pipeline in parts, whose steps do nothing: everything real but the guests. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { partsOf } from "../../components/backend/argo/render/parts";
import { EXECUTOR_RULES } from "../../components/backend/argo/render/rights";
import { type StepOfWorkflow, workflowOfParts, workflowOfSteps } from "../../components/backend/argo/render/workflow";
import { renderJob, stepGuest } from "../../policy";
import { type Cluster, NODE_NAME, startCluster } from "../../tools/cluster";
import { clusterOf, KubernetesClient, type KubernetesObject } from "../../untrusted/kubernetes";
import { startKubernetesNode } from "../../untrusted/node/kubernetes";

const NAMESPACE = "bench";
const ENGINE = "sealflow-engine";
const PLAIN_CLASS = "sealflow-bench";
const IMAGE = `bench.example/step@sha256:${"a".repeat(64)}`;
/** As long as that of a relying party with a certificate of its own. */
const CA = `-----BEGIN CERTIFICATE-----\n${`${"A".repeat(64)}\n`.repeat(12)}-----END CERTIFICATE-----\n`;
const ARGO = `/apis/argoproj.io/v1alpha1/namespaces/${NAMESPACE}`;
const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`;
const RUN = "f".repeat(64);

/** A step whose Job is as large as any, and whose program is `true` in an ordinary pod. */
function nothing(name: string, after: readonly string[]): StepOfWorkflow {
  const resource = `sf-0123456789abcdef/step/${Buffer.from(name).toString("hex").padEnd(64, "0").slice(0, 64)}`;
  const at = { kbsUrl: "https://kbs.example:8080", caPem: CA, imageReference: IMAGE, resource };
  const { annotation } = stepGuest({ tee: "sample", ...at });
  const given = { pipeline: "fan", step: name, imageReference: IMAGE, resource, annotation, runtimeClass: PLAIN_CLASS };
  const job = renderJob({ ...given, shards: 1, timeoutSeconds: 3600, cpu: "1", memory: "1Gi" });
  const { template } = job.spec;
  const [container] = template.spec.containers;
  const spec = { ...template.spec, containers: [{ ...container, command: ["true"] }] as const };
  return {
    name,
    after,
    shards: 1,
    retryLimit: 0,
    backoff: { seconds: 1, factor: 2, maxSeconds: 10 },
    job: { ...job, spec: { ...job.spec, template: { ...template, spec } } },
  };
}

export class World {
  readonly #folder = mkdtempSync(path.join(tmpdir(), "sealflow-bench-"));

  private constructor(
    readonly cluster: Cluster,
    private readonly api: KubernetesClient,
    /** Names of the parts' templates. */
    readonly parts: readonly string[],
  ) {}

  /** @param parallelism of each part. */
  static async create(steps: number, parallelism: number): Promise<World> {
    const cluster = await startCluster({ argo: true });
    const api = new KubernetesClient(clusterOf(readFileSync(cluster.kubeconfig, "utf8"), cluster.kubeconfig));
    const names = Array.from({ length: steps }, (_, i) => `leaf-${i}`);
    const parts = partsOf(names.map((name) => ({ name, after: [], shards: 1 })));
    const nameOf = (part: number): string => `fan-part-${part}`;
    await prepare(api);
    const settings = { pipeline: "fan", serviceAccount: ENGINE, keptSeconds: 3600 };
    const template = (name: string, spec: object) =>
      api.create(`${ARGO}/workflowtemplates`, {
        apiVersion: "argoproj.io/v1alpha1",
        kind: "WorkflowTemplate",
        metadata: { name },
        spec,
      });
    for (const [i, part] of parts.entries()) {
      const rendered = part.steps.map((name) => nothing(name, []));
      await template(nameOf(i), workflowOfSteps(rendered, { ...settings, parallelism }, true));
      await template(`${nameOf(i)}-free`, workflowOfSteps(rendered, settings, true));
    }
    await template("fan", workflowOfParts(parts, nameOf, settings));
    return new World(
      cluster,
      api,
      parts.map((_, i) => nameOf(i)),
    );
  }

  /** @param template of a whole run, or of a part. */
  submit(template: string): Promise<KubernetesObject> {
    const parameters = [{ name: "run", value: RUN }, ...(template === "fan" ? [] : [{ name: "root", value: "bench" }])];
    return this.api.create(`${ARGO}/workflows`, {
      apiVersion: "argoproj.io/v1alpha1",
      kind: "Workflow",
      metadata: { generateName: `${template}-` },
      spec: { workflowTemplateRef: { name: template }, arguments: { parameters } },
    });
  }

  /** Executor pods that the controller has made. */
  async executors(): Promise<number> {
    return (await this.api.list(`${PODS}?labelSelector=workflows.argoproj.io%2Fworkflow&resourceVersion=0`)).items
      .length;
  }

  /** Deletes all Workflows and waits for their pods to go. */
  async clear(): Promise<void> {
    await this.api.call("DELETE", `${ARGO}/workflows`);
    while ((await this.executors()) > 0) await sleep(500);
  }

  /** @returns the Workflow's last state. @throws Error when it does not succeed. */
  async ended(name: string): Promise<void> {
    for (;;) {
      const { status } = (await this.api.get(`${ARGO}/workflows/${name}`)) as {
        status?: { phase?: string; message?: string };
      };
      if (status?.phase === "Succeeded") return;
      if (status?.phase === "Failed" || status?.phase === "Error")
        throw new Error(`Workflow ${name}: ${status.phase} ${status.message ?? ""}`);
      await sleep(250);
    }
  }

  /** @param places pods of steps at the same time. */
  async startNode(places: number): Promise<() => Promise<void>> {
    const node = await startKubernetesNode({
      kubeconfig: readFileSync(this.cluster.kubeconfigOf("node"), "utf8"),
      name: NODE_NAME,
      home: this.#folder,
      capacity: { cpu: String(places) },
      programs: { "argoexec:local": { bin: path.dirname(this.cluster.argoexec as string) }, [IMAGE]: {} },
    });
    return () => node.stop();
  }

  async close(): Promise<void> {
    this.api.close();
    await this.cluster.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Namespace, the executors' account with its rights, and a runtime class of ordinary containers. */
async function prepare(api: KubernetesClient): Promise<void> {
  const metadata = { name: ENGINE, namespace: NAMESPACE };
  const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${NAMESPACE}`;
  const apiGroup = "rbac.authorization.k8s.io";
  await api.create("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } });
  await api.create(`/api/v1/namespaces/${NAMESPACE}/serviceaccounts`, { metadata });
  await api.create(`${rbac}/roles`, { metadata, rules: EXECUTOR_RULES });
  await api.create(`${rbac}/rolebindings`, {
    metadata,
    roleRef: { apiGroup, kind: "Role", name: ENGINE },
    subjects: [{ kind: "ServiceAccount", ...metadata }],
  });
  const runtimeClass = { metadata: { name: PLAIN_CLASS }, handler: "runc" };
  await api.create("/apis/node.k8s.io/v1/runtimeclasses", runtimeClass);
}
