/** Pods of the confidential runtime classes: their manifest, whatever is in it, goes to a simulated guest. */
import { createHash, randomBytes } from "node:crypto";
import { INITDATA_ANNOTATION, manifestRequests, type PodContainer, type PodManifest } from "../../../policy";
import type { KubernetesClient } from "../../kubernetes";
import type { ContainerEnd, Guests, JobEnd } from "../guests";
import type { ImageSource } from "../images";
import { environmentOf } from "./fields";
import type { Pod } from "./types";

/** Handlers of the runtime classes of Confidential Containers, and of the one of the local platform. */
export const CONFIDENTIAL_HANDLERS: readonly string[] = [
  "kata-qemu-coco-dev",
  "kata-qemu-snp",
  "kata-qemu-tdx",
  "kata-remote",
  "sealflow-simulated",
];

/** A limit of the guest itself; what the Job says is enforced by its controller. */
const DEADLINE_SECONDS = 7 * 24 * 3600;

export interface GuestRun {
  readonly client: KubernetesClient;
  readonly guests: Guests;
  readonly images: ImageSource;
  readonly node: string;
  readonly onStage: (stage: string) => void;
  readonly onContainer: (end: ContainerEnd) => void;
  readonly signal: AbortSignal;
}

/** @throws Error when the host itself cannot go on, such as for a missing ConfigMap. */
export async function runInGuest(pod: Pod, run: GuestRun): Promise<JobEnd> {
  const { client, node, images } = run;
  const all = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  const containers: PodContainer[] = [];
  for (const container of all) {
    const env = await environmentOf(client, pod, container, node);
    containers.push({ ...container, env: Object.entries(env).map(([name, value]) => ({ name, value })) });
  }
  const annotations = pod.metadata.annotations ?? {};
  const { shareProcessNamespace, hostname, securityContext } = pod.spec;
  const manifest: PodManifest = {
    annotations,
    containers,
    volumes: pod.spec.volumes ?? [],
    ...(shareProcessNamespace === undefined ? {} : { shareProcessNamespace }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(securityContext === undefined ? {} : { securityContext }),
  };
  const id = () => createHash("sha256").update(randomBytes(32)).digest("hex");
  const identity = {
    podName: pod.metadata.name,
    namespace: pod.metadata.namespace,
    podUid: pod.metadata.uid,
    sandboxId: id(),
  };
  const layouts: Record<string, string> = {};
  for (const { image } of containers) {
    // What the node does not have, the guest will miss when its policy lets it pull at all.
    const layout = await images.find(image).catch(() => undefined);
    if (layout !== undefined) layouts[image] = layout;
  }
  const annotation = annotations[INITDATA_ANNOTATION];
  return run.guests.run({
    ...(annotation === undefined ? {} : { annotation }),
    requests: manifestRequests(manifest, identity, containers.map(id)),
    layouts,
    deadlineSeconds: DEADLINE_SECONDS,
    onStage: run.onStage,
    onContainer: run.onContainer,
    signal: run.signal,
  });
}
