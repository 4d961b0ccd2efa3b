/** The node: registers itself, renews its lease, and gives each pod that is bound to it a worker. */
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { clusterOf, KubernetesClient, type KubernetesObject } from "../../kubernetes";
import { createGuests } from "../guests";
import { type ImageSource, localImages } from "../images";
import type { NodeOptions } from "../index";
import { CONFIDENTIAL_HANDLERS } from "./confidential";
import { ADDRESS } from "./fields";
import { type KubeletApi, type KubeletTls, serveLogs } from "./logs";
import { PodWorker } from "./pod";
import type { Program } from "./program";
import type { Pod } from "./types";

export type { Program } from "./program";

export interface KubernetesNodeOptions {
  /** Kubeconfig text of the user `system:node:<name>`. */
  readonly kubeconfig: string;
  readonly name: string;
  /** `.sealflow` folder: images are in it, pods and guests get folders in it. */
  readonly home: string;
  /** Relying party that guests may reach. Without it confidential pods fail with NoRelyingParty. */
  readonly connection?: NodeOptions["connection"];
  readonly mode?: NodeOptions["mode"];
  /** Image → what stands for it, for pods without a confidential runtime class. Default: none. */
  readonly programs?: Readonly<Record<string, Program>>;
  /** Default: where sealing puts images below `home`. */
  readonly images?: ImageSource;
  readonly labels?: Readonly<Record<string, string>>;
  /** What pods may ask for in all, such as `{cpu: "4"}`; the scheduler keeps to it. Default: far more than tests need. */
  readonly capacity?: Readonly<Record<string, string>>;
  /** Certificate of the kubelet API (logs) and the CA of its callers, PEM. Default: no logs. */
  readonly tls?: KubeletTls;
  /** What went wrong without ending the node. */
  readonly onError?: (message: string) => void;
}

export interface KubernetesNode {
  readonly name: string;
  /** Ends every pod's processes. The Node object stays, and turns NotReady. */
  stop(): Promise<void>;
}

const LEASE_SECONDS = 40;
const RENEW_MS = 10_000;
const CAPACITY = { cpu: "64", memory: "256Gi", pods: "500", "ephemeral-storage": "100Gi" };

/** As node-feature-discovery and the kata installer label a node that can run confidential pods. */
const LABELS = {
  "kubernetes.io/os": "linux",
  "kubernetes.io/arch": "amd64",
  "node.kubernetes.io/instance-type": "sealflow-simulated",
  "katacontainers.io/kata-runtime": "true",
  "feature.node.kubernetes.io/cpu-security.sev.snp.enabled": "true",
  "feature.node.kubernetes.io/cpu-security.tdx.enabled": "true",
};

/** Registers and runs a node until it is stopped. @throws KubernetesError when it may not register. */
export async function startKubernetesNode(options: KubernetesNodeOptions): Promise<KubernetesNode> {
  const { name, onError = () => undefined } = options;
  const home = resolve(options.home);
  const cluster = clusterOf(options.kubeconfig, "kubeconfig of the node");
  const client = new KubernetesClient(cluster);
  const folder = join(home, "pods");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const workers = new Map<string, PodWorker>();
  const logs: KubeletApi | undefined = options.tls
    ? await serveLogs(options.tls, (namespace, pod, container) => {
        const found = [...pods.values()].find(
          ({ metadata }) => metadata.namespace === namespace && metadata.name === pod,
        );
        return found ? workers.get(found.metadata.uid)?.logOf(container) : undefined;
      })
    : undefined;
  const pods = new Map<string, Pod>();
  const context = {
    client,
    guests: options.connection
      ? createGuests({ home, connection: options.connection, ...(options.mode ? { mode: options.mode } : {}) })
      : undefined,
    images: options.images ?? localImages(home),
    node: name,
    programs: options.programs ?? {},
    api: new URL(cluster.server),
    folder,
    onError,
  };
  const ended = new AbortController();
  const offer = { port: logs?.port, capacity: { ...CAPACITY, ...options.capacity } };
  try {
    await register(client, name, { ...LABELS, "kubernetes.io/hostname": name, ...options.labels }, offer);
  } catch (error) {
    logs?.close();
    client.close();
    throw error;
  }
  const lease = repeat(RENEW_MS, ended.signal, () => sayReady(client, name, offer), onError);

  const take = (pod: Pod, known: boolean): void => {
    const { uid, deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata;
    pods.set(uid, pod);
    let worker = workers.get(uid);
    const over = pod.status.phase === "Succeeded" || pod.status.phase === "Failed";
    if (!worker) {
      worker = new PodWorker(pod, context);
      workers.set(uid, worker);
      if (deletionTimestamp === undefined && !over) {
        if (known && pod.status.phase === "Running") worker.lost();
        else worker.start();
      }
    }
    if (deletionTimestamp !== undefined) {
      worker.delete(deletionGracePeriodSeconds).catch((error: Error) => onError(error.message));
    }
  };
  const forget = (uid: string): void => {
    const worker = workers.get(uid);
    workers.delete(uid);
    pods.delete(uid);
    void worker?.stop(0).catch(() => undefined);
  };
  const path = `/api/v1/pods?fieldSelector=${encodeURIComponent(`spec.nodeName=${name}`)}`;
  const watching = (async () => {
    for (let first = true; !ended.signal.aborted; first = false) {
      try {
        const { items, resourceVersion } = await client.list(path);
        const there = new Set(items.map((item) => item.metadata.uid ?? ""));
        for (const uid of workers.keys()) if (!there.has(uid)) forget(uid);
        for (const item of items) take(asPod(item), first);
        for await (const { type, object } of client.watch(path, resourceVersion, ended.signal)) {
          if (type === "ERROR") break;
          if (type === "DELETED") forget(object.metadata.uid ?? "");
          else if (type !== "BOOKMARK") take(asPod(object), false);
        }
      } catch (error) {
        if (!ended.signal.aborted) onError((error as Error).message);
      }
      await sleep(300, undefined, { signal: ended.signal }).catch(() => undefined);
    }
  })();

  return {
    name,
    async stop() {
      ended.abort();
      await Promise.all([watching, lease, ...[...workers.values()].map((worker) => worker.stop(0))]);
      logs?.close();
      client.close();
    },
  };
}

const asPod = (object: KubernetesObject): Pod => object as unknown as Pod;
const now = (): string => new Date().toISOString();

interface Offer {
  /** Of the kubelet API, when it is served. */
  readonly port: number | undefined;
  readonly capacity: Readonly<Record<string, string>>;
}

async function register(client: KubernetesClient, name: string, labels: object, offer: Offer) {
  const node = { apiVersion: "v1", kind: "Node", metadata: { name, labels } };
  await client.create("/api/v1/nodes", node).catch(async (error: { status?: number }) => {
    if (error.status !== 409) throw error;
    await client.patch(`/api/v1/nodes/${name}`, { metadata: { labels } });
  });
  await sayReady(client, name, offer);
}

/** Each time with its conditions: once the server has called a node unreachable, a lease alone does not bring it back. */
async function sayReady(client: KubernetesClient, name: string, { port, capacity }: Offer): Promise<void> {
  const condition = (type: string, status: string) => ({
    type,
    status,
    reason: "SimulatedNode",
    message: "a simulated node of Sealflow; its guests are not confidential",
    lastHeartbeatTime: now(),
    lastTransitionTime: now(),
  });
  await client.patch(`/api/v1/nodes/${name}/status`, {
    status: {
      capacity,
      allocatable: capacity,
      addresses: [
        { type: "InternalIP", address: ADDRESS },
        { type: "Hostname", address: name },
      ],
      conditions: [
        condition("Ready", "True"),
        ...["MemoryPressure", "DiskPressure", "PIDPressure"].map((type) => condition(type, "False")),
      ],
      nodeInfo: { ...NODE_INFO, kubeletVersion: "v1.36.0-sealflow-simulated" },
      runtimeHandlers: [{ name: "" }, ...CONFIDENTIAL_HANDLERS.map((handler) => ({ name: handler }))],
      ...(port === undefined ? {} : { daemonEndpoints: { kubeletEndpoint: { Port: port } } }),
    },
  });
  await renew(client, name);
}

const NODE_INFO = {
  machineID: "",
  systemUUID: "",
  bootID: "",
  kernelVersion: "simulated",
  osImage: "simulated",
  containerRuntimeVersion: "sealflow://simulated",
  kubeProxyVersion: "",
  operatingSystem: "linux",
  architecture: "amd64",
};

async function renew(client: KubernetesClient, name: string): Promise<void> {
  const leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
  // With six digits, as its type has them.
  const spec = { renewTime: now().replace("Z", "000Z") };
  await client.patch(`${leases}/${name}`, { spec }).catch(async (error: { status?: number }) => {
    if (error.status !== 404) throw error;
    await client.create(leases, {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name, namespace: "kube-node-lease" },
      spec: { ...spec, holderIdentity: name, leaseDurationSeconds: LEASE_SECONDS },
    });
  });
}

async function repeat(ms: number, signal: AbortSignal, work: () => Promise<void>, onError: (message: string) => void) {
  while (!signal.aborted) {
    await sleep(ms, undefined, { signal }).catch(() => undefined);
    if (!signal.aborted) await work().catch((error: Error) => onError(error.message));
  }
}
