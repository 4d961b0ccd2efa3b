/** A simulated node: takes Job manifests as Kubernetes would and runs each in a simulated guest. */
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { INITDATA_ANNOTATION, type KubernetesJob, podRequests } from "../../policy";
import type { Connection } from "../../protocol/connection";
import type { NodeStage } from "./guest/messages";
import { createGuests, type JobEnd } from "./guests";
import { localImages } from "./images";
import { checkJob } from "./manifest";

export { type NodeCode, NodeError } from "./errors";
export { GuestError } from "./guest/errors";
export type { NodeStage } from "./guest/messages";
export type { JobEnd } from "./guests";

/** auto: namespaces where they can be made, else process. */
export type NodeMode = "auto" | "namespaces" | "process";

export interface NodeOptions {
  /** `.sealflow` folder: images are in it, guests get folders in it. */
  readonly home: string;
  /** The only addresses that guests reach. */
  readonly connection: Pick<Connection, "kbsUrl" | "ledgerUrl">;
  /** Origin of an object store that is not the ledger itself. */
  readonly storeUrl?: string;
  /** Default auto. */
  readonly mode?: NodeMode;
  /**
   * Where connections to a port of the relying party really go: the network belongs to nobody who is trusted. Ports of
   * this machine; default: where the guest wants to. Only with namespaces.
   */
  readonly route?: (port: number) => number;
}

export interface NodeEvent {
  readonly stage: NodeStage;
  /** Milliseconds since 1970. */
  readonly at: number;
}

export interface RunJobOptions {
  /** Index of this pod of an indexed Job; the ledger assigns the shard, whatever the index. Default 0. */
  readonly shard?: number;
  /** Run id for SEALFLOW_RUN. */
  readonly runHint?: string;
  readonly onEvent?: (event: NodeEvent) => void;
  readonly signal?: AbortSignal;
}

export interface SimulatedNode {
  /** @throws NodeError MANIFEST, IMAGE_MISSING, NAMESPACES, UNSUPPORTED. */
  runJob(job: unknown, options?: RunJobOptions): Promise<JobEnd>;
}

export function createNode(options: NodeOptions): SimulatedNode {
  const guests = createGuests(options);
  const images = localImages(options.home);
  return {
    async runJob(manifest, { shard = 0, runHint, onEvent = () => undefined, signal } = {}) {
      const job = checkJob(manifest);
      const { metadata, spec } = job.spec.template;
      const reference = spec.containers[0].image;
      const layout = await images.find(reference);
      const pod = podOf(job, shard, runHint);
      const { step, ...requests } = podRequests(job, pod);
      const annotation = metadata.annotations[INITDATA_ANNOTATION];
      return guests.run({
        ...(annotation === undefined ? {} : { annotation }),
        requests: { ...requests, containers: [step] },
        layouts: { [reference]: layout },
        deadlineSeconds: job.spec.activeDeadlineSeconds,
        onStage: (stage) => onEvent({ stage, at: Date.now() }),
        ...(signal ? { signal } : {}),
      });
    },
  };
}

/** What a scheduler and a kubelet would make up. */
function podOf(job: KubernetesJob, shard: number, runHint: string | undefined) {
  const suffix = randomBytes(3).toString("hex").slice(0, 5);
  const id = () => createHash("sha256").update(randomBytes(32)).digest("hex");
  return {
    podName: `${job.metadata.name}-${suffix}`,
    namespace: "default",
    sandboxId: id(),
    containerId: id(),
    podUid: randomUUID(),
    ...(job.spec.completionMode ? { completionIndex: shard } : {}),
    ...(runHint === undefined ? {} : { extraEnv: { SEALFLOW_RUN: runHint } }),
  };
}
