/** What the components send, taken by a real API server that skips no unknown field and enforces Pod Security. */
import { readFileSync } from "node:fs";
import { operatorObjects } from "../../policy/runtime";
import { ledgerService, type PartOfService, trusteeService, urlAccess } from "../../policy/services";
import { runtimeReadiness } from "../../provider/resources/runtime-readiness";
import type { Context } from "../../provider/server/context";
import { type Cluster, clusterMissing, startCluster } from "../../tools/cluster";
import { clusterOf, KubernetesClient } from "../../untrusted/kubernetes";

jest.setTimeout(300_000);
const missing = clusterMissing();
const suite = missing ? describe.skip : describe;
if (missing) console.log(`skipped: objects on a real API server: ${missing}`);

const DIGEST = `@sha256:${"a".repeat(64)}`;
const STRICT = "fieldValidation=Strict&fieldManager=test";
const PATHS: Record<PartOfService, string> = {
  account: "/api/v1/namespaces/NS/serviceaccounts",
  deployment: "/apis/apps/v1/namespaces/NS/deployments",
  service: "/api/v1/namespaces/NS/services",
  budget: "/apis/policy/v1/namespaces/NS/poddisruptionbudgets",
  network: "/apis/networking.k8s.io/v1/namespaces/NS/networkpolicies",
};
const trustee = (namespace: string, production = true) =>
  trusteeService({
    name: "trustee",
    namespace,
    image: `kbs${DIGEST}`,
    replicas: production ? 2 : 1,
    production,
    secrets: { files: "files", ...(production ? { database: urlAccess("database") } : {}) },
    ...(production ? { databaseImage: `postgres${DIGEST}` } : {}),
  }).objects;
const ledger = (namespace: string) =>
  ledgerService({
    name: "ledger",
    namespace,
    image: `ledger${DIGEST}`,
    replicas: 2,
    production: true,
    secret: "secrets",
    publicUrl: "https://ledger.example:8443",
    objectsClaim: "objects",
  });

suite("a real API server", () => {
  let cluster: Cluster;
  let api: KubernetesClient;
  const create = (path: string, object: object) => api.create(`${path}?${STRICT}`, object);
  const namespace = (name: string) =>
    create("/api/v1/namespaces", {
      metadata: { name, labels: { "pod-security.kubernetes.io/enforce": "restricted" } },
    });

  beforeAll(async () => {
    cluster = await startCluster();
    api = new KubernetesClient(clusterOf(readFileSync(cluster.kubeconfig, "utf8"), cluster.kubeconfig));
  });
  afterAll(async () => {
    api?.close();
    await cluster?.stop();
  });

  it.each<[string, (namespace: string) => Readonly<Record<PartOfService, object>>]>([
    ["trustee", trustee],
    ["trustee-development", (name) => trustee(name, false)],
    ["ledger", ledger],
  ])("%s: every object is valid, and its pod passes restricted Pod Security", async (name, objects) => {
    await namespace(name);
    const parts = objects(name);
    for (const part of Object.keys(PATHS) as PartOfService[]) {
      await create(PATHS[part].replace("NS", name), parts[part]);
    }
    // Deployments are only warned about; a pod of the same template is held to the level.
    // biome-ignore lint/suspicious/noExplicitAny: plain objects
    const { metadata, spec } = (parts.deployment as any).spec.template;
    await create(`/api/v1/namespaces/${name}/pods`, { metadata: { ...metadata, name: "one" }, spec });
    // biome-ignore lint/suspicious/noExplicitAny: plain objects
    const open = structuredClone(spec) as any;
    delete open.containers[0].securityContext.allowPrivilegeEscalation;
    await expect(
      create(`/api/v1/namespaces/${name}/pods`, { metadata: { ...metadata, name: "two" }, spec: open }),
    ).rejects.toThrow(/violates PodSecurity "restricted/);
  });

  it("the operator's objects are valid, and CcRuntime has the shape that its definition knows", async () => {
    const image = `reqs${DIGEST}`;
    const { crd, operator, runtime } = operatorObjects({ runtimeClasses: ["kata-qemu-snp"], requirementsImage: image });
    await create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd);
    const rbac = "/apis/rbac.authorization.k8s.io/v1";
    for (const object of operator) {
      const inside = object.metadata.namespace === undefined ? "" : `/namespaces/${object.metadata.namespace}`;
      const path = {
        Namespace: "/api/v1/namespaces",
        ServiceAccount: `/api/v1${inside}/serviceaccounts`,
        Deployment: `/apis/apps/v1${inside}/deployments`,
        Role: `${rbac}${inside}/roles`,
        RoleBinding: `${rbac}${inside}/rolebindings`,
        ClusterRole: `${rbac}/clusterroles`,
        ClusterRoleBinding: `${rbac}/clusterrolebindings`,
      }[object.kind];
      if (path === undefined) throw new Error(`no path for ${object.kind}`);
      await create(path, object);
    }
    const path = "/apis/confidentialcontainers.org/v1beta1/ccruntimes";
    const made = await retry(() => create(path, runtime));
    expect(made.spec).toMatchObject({
      runtimeName: "kata",
      config: { runtimeClasses: [{ name: "kata-qemu-snp", snapshotter: "nydus", pulltype: "guest-pull" }] },
    });
    // biome-ignore lint/suspicious/noExplicitAny: plain objects
    const wrong = structuredClone(runtime) as any;
    wrong.metadata.name = "wrong";
    wrong.spec.config.snapshotter = "nydus";
    await expect(create(path, wrong)).rejects.toThrow(/unknown field "spec.config.snapshotter"/);
  });

  it("a runtime counts as ready only when its class is there and a node can take it", async () => {
    const context: Context = {
      root: "/",
      home: "/",
      env: {},
      log: { status() {}, info() {}, warn() {} },
      signal: new AbortController().signal,
      now: () => new Date(),
    };
    const inputs = {
      kubeconfig: readFileSync(cluster.kubeconfig, "utf8"),
      runtimeClass: "kata-qemu-snp",
      nodeLabels: { tee: "snp" },
      timeoutSeconds: 0,
    };
    const ready = () => runtimeReadiness.create(context, inputs);
    await expect(ready()).rejects.toThrow(/runtime class kata-qemu-snp: the cluster has none/);
    await create("/apis/node.k8s.io/v1/runtimeclasses", {
      metadata: { name: "kata-qemu-snp" },
      handler: "kata-qemu-snp",
      scheduling: { nodeSelector: { "katacontainers.io/kata-runtime": "true" } },
    });
    await expect(ready()).rejects.toThrow(/nodes: the cluster has none/);
    await create("/api/v1/nodes", { metadata: { name: "n1", labels: { tee: "snp" } } });
    await expect(ready()).rejects.toThrow(/needs the label katacontainers.io\/kata-runtime="true".*kata-deploy/);
    await api.patch("/api/v1/nodes/n1", {
      metadata: { labels: { "katacontainers.io/kata-runtime": "true" } },
      spec: { taints: null },
    });
    await api.patch("/api/v1/nodes/n1/status", {
      status: {
        conditions: [{ type: "Ready", status: "True", lastHeartbeatTime: new Date().toISOString() }],
      },
    });
    expect((await ready()).outputs).toEqual({ handler: "kata-qemu-snp" });
  });
});

/** A definition takes a moment to be served. */
async function retry<T>(work: () => Promise<T>): Promise<T> {
  for (let n = 0; ; n++) {
    try {
      return await work();
    } catch (error) {
      if (n === 50) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
