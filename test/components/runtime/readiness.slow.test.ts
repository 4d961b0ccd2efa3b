/** When a runtime counts as ready, on a real API server. */
import { readFileSync } from "node:fs";
import { runtimeReadiness } from "../../../provider/resources/runtime-readiness";
import type { Context } from "../../../provider/server/context";
import { type Cluster, clusterMissing, startCluster } from "../../../tools/cluster";
import { clusterOf, KubernetesClient } from "../../../untrusted/kubernetes";

jest.setTimeout(120_000);
const missing = clusterMissing();
if (missing) console.log(`skipped: readiness on a real API server: ${missing}`);

(missing ? describe.skip : describe)("a real API server", () => {
  let cluster: Cluster;
  let api: KubernetesClient;
  const create = (path: string, object: object) =>
    api.create(`${path}?fieldValidation=Strict&fieldManager=test`, object);

  beforeAll(async () => {
    cluster = await startCluster();
    api = new KubernetesClient(clusterOf(readFileSync(cluster.kubeconfig, "utf8"), cluster.kubeconfig));
  });
  afterAll(async () => {
    api?.close();
    await cluster?.stop();
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
