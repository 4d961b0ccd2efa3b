/** Starts simulated guests: what a shim asks of one, the images it may pull, and the addresses it reaches. */
import { join, resolve } from "node:path";
import type { ManifestRequests } from "../../policy";
import { NodeError } from "./errors";
import { asGuestError } from "./guest/errors";
import type { GuestLine, NodeStage } from "./guest/messages";
import type { NodeOptions } from "./index";
import { unpackedRunnerLayer } from "./layers";
import { sweepGuests } from "./places";
import type { Target } from "./relay";
import { canMakeNamespaces, runVm } from "./vm";

/** How one container of a guest ended. */
export interface ContainerEnd {
  /** Position in the manifest. */
  readonly container: number;
  readonly exitCode: number;
  readonly code?: string;
  readonly reason?: string;
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

export interface GuestPod {
  /** The pod's initdata annotation. */
  readonly annotation?: string;
  readonly requests: ManifestRequests;
  /** Image reference → OCI layout. The first that has a runner layer also brings what makes namespaces. */
  readonly layouts: Readonly<Record<string, string>>;
  readonly deadlineSeconds: number;
  readonly onStage: (stage: NodeStage) => void;
  /** For pods of several containers. */
  readonly onContainer?: (end: ContainerEnd) => void;
  readonly signal?: AbortSignal;
}

export interface Guests {
  /** Runs one guest to its end. @throws NodeError NAMESPACES. */
  run(pod: GuestPod): Promise<JobEnd>;
}

export function createGuests(options: NodeOptions): Guests {
  const home = resolve(options.home);
  const guests = join(home, "guests");
  const targets = targetsOf(options, options.route);
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
    async run({ annotation, requests, layouts, deadlineSeconds, onStage, onContainer, signal }) {
      await swept;
      const started = performance.now();
      const seconds = () => (performance.now() - started) / 1000;
      onStage("waiting");
      const layer = await runnerLayer(layouts, join(home, "cache", "layers")).catch(asJobEnd);
      if (layer && "exitCode" in layer) return { ...layer, seconds: seconds(), mode: "process" };
      if (!layer) {
        return { exitCode: 20, code: "IMAGE", reason: "image: no runner layer", seconds: seconds(), mode: "process" };
      }
      const runner = join(layer.folder, "sealflow");
      const mode = modeOf(runner);
      let end: string | undefined;
      const onLine = (line: GuestLine) => {
        if ("stage" in line) onStage(line.stage);
        else if ("end" in line) end = line.end;
        else if ("container" in line) {
          const { ended, ...rest } = line;
          onContainer?.({ ...rest, exitCode: ended });
        }
      };
      const last = await runVm({
        config: {
          ...(annotation === undefined ? {} : { annotation }),
          requests,
          layouts,
          layers: { [layer.digest]: layer.folder },
        },
        mode,
        guests,
        runner,
        targets,
        onLine,
        deadlineSeconds,
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

async function runnerLayer(layouts: Readonly<Record<string, string>>, cache: string) {
  for (const [reference, layout] of Object.entries(layouts)) {
    const layer = await unpackedRunnerLayer(layout, reference, cache);
    if (layer) return layer;
  }
  return undefined;
}

function asJobEnd(error: unknown): { exitCode: number; code: string; reason: string } {
  const known = asGuestError(error);
  return { exitCode: known.exit, code: known.code, reason: known.message };
}

function targetsOf(
  { connection: { kbsUrl, ledgerUrl }, storeUrl }: Pick<NodeOptions, "connection" | "storeUrl">,
  route: NonNullable<NodeOptions["route"]> = (port) => port,
): Target[] {
  const targets = new Map<number, Target>();
  for (const text of [kbsUrl, ledgerUrl, ...(storeUrl === undefined ? [] : [storeUrl])]) {
    const url = new URL(text);
    if (!["127.0.0.1", "localhost"].includes(url.hostname)) {
      throw new NodeError("UNSUPPORTED", `${url.origin}: simulated guests reach a relying party on 127.0.0.1 only`);
    }
    const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
    targets.set(port, { host: "127.0.0.1", port: route(port), seenAs: port });
  }
  return [...targets.values()];
}
