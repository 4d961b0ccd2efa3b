/** A test cluster with Argo, a project's relying party outside of it, and a simulated confidential node. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
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

const NODE = path.resolve(__dirname, "../../dist/untrusted/node/kubernetes/main.js");

/** The node as a process of its own, so that it can be killed. @throws Error when it ends at once. */
export async function startNodeProcess(options: KubernetesNodeOptions): Promise<ChildProcess> {
  const node = spawn(process.execPath, [NODE], { stdio: ["pipe", "pipe", "inherit"] });
  node.stdin?.end(JSON.stringify(options));
  await new Promise<void>((resolve, reject) => {
    node.stdout?.once("data", () => resolve());
    node.once("exit", () => reject(new Error("the node ended")));
  });
  return node;
}

/** Also of one that has ended already. */
export async function endProcess(child: ChildProcess | undefined, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill(signal);
  await ended;
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

/** What etcd holds at this moment, keys and values as they are stored. @param below keys that begin so. Default: all. */
export async function etcdDump(etcd: string, below = ""): Promise<{ keys: string[]; bytes: Buffer; largest: number }> {
  const zero = Buffer.alloc(1).toString("base64");
  const first = below === "" ? zero : Buffer.from(below).toString("base64");
  // The first key that does not begin so: their last byte is a slash, and a zero comes behind it.
  const end = below === "" ? zero : Buffer.from(`${below.slice(0, -1)}0`).toString("base64");
  const keys: string[] = [];
  const values: Buffer[] = [];
  for (let from = first, more = true; more; ) {
    const body = JSON.stringify({ key: from, range_end: end, limit: 500 });
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
  return { keys, bytes: Buffer.concat(values), largest: Math.max(0, ...values.map(({ length }) => length)) };
}

/** Watches objects while they grow. @returns ends it: the largest value that was seen below that key, in bytes. */
export function watchLargest(etcd: string, below: string): () => Promise<number> {
  const ended = new AbortController();
  let most = 0;
  const watching = (async () => {
    while (!ended.signal.aborted) {
      most = Math.max(most, (await etcdDump(etcd, below)).largest);
      await sleep(1000, undefined, { signal: ended.signal }).catch(() => undefined);
    }
  })();
  return async () => {
    ended.abort();
    await watching;
    return most;
  };
}
