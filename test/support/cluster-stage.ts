/** A test cluster with Argo, a project's relying party outside of it, and a simulated confidential node. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, NODE_NAME, nodeTlsOf, startCluster } from "../../tools/cluster";
import { kubernetesProviderEnvironment } from "../../tools/kubernetes-provider";
import { clusterOf, KubernetesClient } from "../../untrusted/kubernetes";
import type { KubernetesNodeOptions, Program } from "../../untrusted/node/kubernetes";
import { ok } from "./cli";
import type { Project } from "./project";

export const RUNTIME_CLASS = "kata-qemu-coco-dev";
/** Namespace of pipelines, the default of `argoBackend`. */
export const NAMESPACE = "sealflow";

export interface Stage {
  readonly cluster: Cluster;
  /** Of `sealflow` commands that deploy or run. */
  readonly env: NodeJS.ProcessEnv;
  /** As the cluster's administrator. */
  readonly api: KubernetesClient;
  /** What the node is started with. */
  readonly nodeOptions: KubernetesNodeOptions;
  /** Not synchronously, because nodes may run in this process. @param input standard input. */
  kubectl(args: readonly string[], input?: string): Promise<string>;
  stop(): Promise<void>;
}

/** @param programs image → what stands for it, beside Argo's executor. */
export async function startStage(project: Project, programs: Readonly<Record<string, Program>> = {}): Promise<Stage> {
  const cluster = await startCluster({ argo: true });
  try {
    const api = new KubernetesClient(clusterOf(readFileSync(cluster.kubeconfig, "utf8"), cluster.kubeconfig));
    await api.create("/apis/node.k8s.io/v1/runtimeclasses", runtimeClass(RUNTIME_CLASS));
    await ok(project, ["dev", "--detach"]);
    const nodeOptions: KubernetesNodeOptions = {
      kubeconfig: readFileSync(cluster.kubeconfigOf("node"), "utf8"),
      name: NODE_NAME,
      home: project.home,
      connection: JSON.parse(readFileSync(path.join(project.home, "connection.json"), "utf8")),
      programs: { "argoexec:local": { bin: path.dirname(cluster.argoexec as string) }, ...programs },
      tls: nodeTlsOf(cluster),
    };
    return {
      cluster,
      api,
      nodeOptions,
      env: { ...kubernetesProviderEnvironment(), KUBECONFIG: cluster.kubeconfig },
      kubectl: (args, input = "") =>
        new Promise((resolve, reject) => {
          const all = ["--kubeconfig", cluster.kubeconfig, ...args];
          const options = { encoding: "utf8" as const, maxBuffer: 1 << 28 };
          const child = execFile(cluster.kubectl, all, options, (error, stdout, stderr) =>
            error ? reject(new Error(`kubectl ${args.join(" ")}: ${stderr}`)) : resolve(stdout),
          );
          child.stdin?.on("error", () => undefined).end(input);
        }),
      async stop() {
        api.close();
        await cluster.stop();
      },
    };
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

export const runtimeClass = (name: string, handler = name) => ({
  apiVersion: "node.k8s.io/v1",
  kind: "RuntimeClass",
  metadata: { name },
  handler,
});

/** @throws Error with `what` when it does not come true. */
export async function eventually<T>(what: string, look: () => Promise<T | undefined>, seconds = 60): Promise<T> {
  for (const until = Date.now() + seconds * 1000; ; await sleep(150)) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > until) throw new Error(`${what}: not after ${seconds} s`);
  }
}

/** Everything that etcd holds at this moment, keys and values as they are stored. */
export async function etcdDump(etcd: string): Promise<{ keys: string[]; bytes: Buffer; largest: number }> {
  const zero = Buffer.alloc(1).toString("base64");
  const keys: string[] = [];
  const values: Buffer[] = [];
  for (let from = zero, more = true; more; ) {
    const body = JSON.stringify({ key: from, range_end: zero, limit: 500 });
    const answer = await fetch(`${etcd}/v3/kv/range`, { method: "POST", body });
    if (!answer.ok) throw new Error(`etcd: ${answer.status} ${await answer.text()}`);
    const page = (await answer.json()) as { kvs?: { key: string; value?: string }[]; more?: boolean };
    for (const { key, value = "" } of page.kvs ?? []) {
      keys.push(Buffer.from(key, "base64").toString("utf8"));
      values.push(Buffer.from(`\n${keys.at(-1)}\n`), Buffer.from(value, "base64"));
    }
    more = page.more === true;
    // The next key in order is the last one with a zero byte behind it.
    from = Buffer.from(`${keys.at(-1)}\0`).toString("base64");
  }
  return { keys, bytes: Buffer.concat(values), largest: Math.max(...values.map(({ length }) => length)) };
}
