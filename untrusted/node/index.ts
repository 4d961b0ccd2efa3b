/** A simulated node: takes Job manifests as Kubernetes would and runs each in a simulated guest. */
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { KubernetesJob } from "../../policy";
import type { Connection } from "../../protocol/connection";
import { NodeError } from "./errors";
import { asGuestError } from "./guest/errors";
import type { GuestLine, NodeStage } from "./guest/messages";
import { unpackedRunnerLayer } from "./layers";
import { checkJob } from "./manifest";
import { sweepGuests } from "./places";
import type { Target } from "./relay";
import { canMakeNamespaces, runVm } from "./vm";

export { type NodeCode, NodeError } from "./errors";
export { GuestError } from "./guest/errors";
export type { NodeStage } from "./guest/messages";

/** auto: namespaces where they can be made, else process. */
export type NodeMode = "auto" | "namespaces" | "process";

export interface NodeOptions {
  /** `.sealflow` folder: images are in it, guests get folders in it. */
  readonly home: string;
  /** The only addresses that guests reach. */
  readonly connection: Pick<Connection, "kbsUrl" | "ledgerUrl">;
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

export interface JobEnd {
  /** The runner's, or of the guest when it did not get that far; 137 when it was stopped. */
  readonly exitCode: number;
  /** Wall-clock time. */
  readonly seconds: number;
  /** Fixed word for an exit code other than 0. */
  readonly code?: string;
  /** For people; never user data. */
  readonly reason?: string;
  /** How it ended when it ended well: `committed` or `superseded`; `recorded` for a failure that was reported. */
  readonly end?: string;
  /** Whether the guest had namespaces of its own. */
  readonly mode: "namespaces" | "process";
}

export interface SimulatedNode {
  /** @throws NodeError MANIFEST, IMAGE_MISSING, NAMESPACES, UNSUPPORTED. */
  runJob(job: unknown, options?: RunJobOptions): Promise<JobEnd>;
}

export function createNode(options: NodeOptions): SimulatedNode {
  const home = resolve(options.home);
  const guests = join(home, "guests");
  const targets = targetsOf(options.connection, options.route);
  const swept = sweepGuests(guests);
  const modes = new Map<string, "namespaces" | "process">();

  const modeOf = (runner: string): "namespaces" | "process" => {
    const known = modes.get(runner);
    if (known) return known;
    const wanted = options.mode ?? "auto";
    const possible = wanted !== "process" && canMakeNamespaces(runner);
    if (wanted === "namespaces" && !possible) {
      throw new NodeError(
        "NAMESPACES",
        "this machine does not let this user make namespaces (a container without privileges?); use mode process",
      );
    }
    const mode = possible ? "namespaces" : "process";
    modes.set(runner, mode);
    return mode;
  };

  return {
    async runJob(manifest, { shard = 0, runHint, onEvent = () => undefined, signal } = {}) {
      await swept;
      const started = performance.now();
      const job = checkJob(manifest);
      const reference = job.spec.template.spec.containers[0].image;
      const layout = layoutOf(home, reference);
      const tell = (stage: NodeStage) => onEvent({ stage, at: Date.now() });
      const seconds = () => (performance.now() - started) / 1000;
      tell("waiting");
      const layer = await unpackedRunnerLayer(layout, reference, join(home, "cache", "layers")).catch(asJobEnd);
      if (layer && "exitCode" in layer) return { ...layer, seconds: seconds(), mode: "process" };
      if (!layer) {
        return { exitCode: 20, code: "IMAGE", reason: "image: no runner layer", seconds: seconds(), mode: "process" };
      }
      const runner = join(layer.folder, "sealflow");
      const mode = modeOf(runner);
      let end: string | undefined;
      const onLine = (line: GuestLine) => {
        if ("stage" in line) tell(line.stage);
        else if ("end" in line) end = line.end;
      };
      const last = await runVm({
        config: { job, pod: podOf(job, shard, runHint), layout, layers: { [layer.digest]: layer.folder } },
        mode,
        guests,
        runner,
        targets,
        onLine,
        deadlineSeconds: job.spec.activeDeadlineSeconds,
        ...(signal ? { signal } : {}),
      });
      const { exit, code, reason } = last;
      return {
        exitCode: exit,
        seconds: seconds(),
        mode,
        ...(code === undefined ? {} : { code }),
        ...(reason === undefined ? {} : { reason }),
        ...(end === undefined ? {} : { end }),
      };
    },
  };
}

function asJobEnd(error: unknown): { exitCode: number; code: string; reason: string } {
  const known = asGuestError(error);
  return { exitCode: known.exit, code: known.code, reason: known.message };
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

/** `<ns>.sealflow.local/<name>@sha256:<digest>` → `<home>/images/<name>`. */
function layoutOf(home: string, reference: string): string {
  const name = /\/([a-z0-9][a-z0-9._-]*)@sha256:[0-9a-f]{64}$/.exec(reference)?.[1];
  const layout = name && join(home, "images", name);
  if (!layout || !existsSync(layout)) {
    throw new NodeError(
      "IMAGE_MISSING",
      `image ${reference}: no OCI layout in ${join(home, "images")}; run "up" first`,
    );
  }
  return layout;
}

function targetsOf(
  { kbsUrl, ledgerUrl }: NodeOptions["connection"],
  route: NonNullable<NodeOptions["route"]> = (port) => port,
): Target[] {
  const targets = new Map<number, Target>();
  for (const text of [kbsUrl, ledgerUrl]) {
    const url = new URL(text);
    if (!["127.0.0.1", "localhost"].includes(url.hostname)) {
      throw new NodeError("UNSUPPORTED", `${url.origin}: simulated guests reach a relying party on 127.0.0.1 only`);
    }
    const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
    targets.set(port, { host: "127.0.0.1", port: route(port), seenAs: port });
  }
  return [...targets.values()];
}
