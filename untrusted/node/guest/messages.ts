/** What the host gives a guest at its start (one JSON text on stdin), and the lines that come back on stdout. */
import type { ManifestRequests } from "../../../policy";

export interface GuestConfig {
  /** The pod's initdata annotation, if it has one. */
  readonly annotation?: string;
  /** What the shim asks of the agent. */
  readonly requests: ManifestRequests;
  /** namespaces: the guest has a network of its own. process: it shares the host's. */
  readonly mode: "namespaces" | "process";
  /** Image reference → OCI layout that has it; the guest's registry. */
  readonly layouts: Readonly<Record<string, string>>;
  /** For the unpacked image and scratch; in the namespaces mode the guest's own memory. */
  readonly memory: string;
  /** Digest (sha256 hex) of public layers that are unpacked already → folder. */
  readonly layers: Readonly<Record<string, string>>;
  /** Loopback ports of the guest that lead out, through unix sockets. */
  readonly ports: readonly { readonly port: number; readonly socket: string }[];
}

export const STAGES = ["waiting", "attesting", "pulling", "running", "committing", "done"] as const;
export type NodeStage = (typeof STAGES)[number];

export type GuestLine =
  | { readonly stage: NodeStage }
  /** Fixed words of the runner: how it ended. */
  | { readonly end: string }
  /** One container of several has ended, or was refused. */
  | { readonly container: number; readonly ended: number; readonly code?: string; readonly reason?: string }
  /** The guest's last line. `code` and `reason` when the exit code is not 0. */
  | { readonly exit: number; readonly code?: string; readonly reason?: string };
