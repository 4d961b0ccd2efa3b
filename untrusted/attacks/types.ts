/** What an attack is, and what it is mounted on. */
import type { PipelineConnection } from "../../protocol/connection";
import type { Descriptor, RunImport } from "../../protocol/messages";

/** Who the attacker is. Each has its own powers and the powers of all untrusted parties. */
export type Power =
  | "control plane"
  | "host"
  | "network"
  | "registry"
  | "object store"
  | "ledger operator"
  | "another pipeline"
  | "step program"
  | "leaked bundle"
  | "folder from elsewhere";

/** One thing that was tried, and the fixed word for how it ended. */
export interface Try {
  readonly tried: string;
  /** A code of whoever refused it, or a word that the attack explains in `expected`. */
  readonly ended: string;
}

export interface Attack {
  readonly number: number;
  readonly title: string;
  readonly power: Power;
  /** Words that a try may end in, and nothing else: any other means that the attack got further than it should. */
  readonly expected: readonly string[];
  /** Throws only when it cannot be mounted, which fails the harness: an attack that did not happen shows nothing. */
  readonly mount: (world: World) => Promise<Try[]>;
}

/** An attack that this place has no means for. */
export interface Missing {
  readonly number: number;
  readonly title: string;
  readonly power: Power;
  readonly needs: string;
}

/** A service of the relying party on the attacker's copy of the state. */
export interface Service {
  /** Of this machine, 127.0.0.1. */
  readonly port: number;
  /** The service as its code is. */
  readonly honest: (request: Request) => Promise<Response>;
  /** What stands in its place; undefined: nothing. */
  hostile: ((request: Request) => Promise<Response>) | undefined;
}

/**
 * The ground under the attacks, made by the caller: a copy of a deployed pipeline's state with the services running on
 * it, and the honest parties that attacks are mounted against.
 */
export interface Ground {
  /** State folder, a copy: attackers may do to it what they want. */
  readonly home: string;
  readonly connection: PipelineConnection;
  readonly kbs: Service;
  readonly ledger: Service;
  /** Keeps the state of all services; `restore` brings it back. @returns its name. */
  save(): Promise<string>;
  restore(name: string): Promise<void>;
  /** What leaks in the worst case: the bundle of a step, as its guest gets it. */
  bundle(step: string): Promise<string>;
  /** Overwrites a resource of the key broker. */
  putResource(path: string, bytes: Uint8Array): Promise<void>;
  /** Installs the policies for real hardware, which know no simulated guests. */
  installProductionPolicies(): Promise<void>;
  /** Texts that no untrusted party may ever see. */
  secrets(): Promise<readonly string[]>;
  readonly owner: HonestOwner;
  /** Another owner's pipeline on the same relying party: the attacker's, or a victim whose owner acts as needed. */
  neighbour(): Promise<Neighbour>;
}

export interface HonestOwner {
  /** Opens a run with the run key. @returns its id. */
  openRun(): Promise<string>;
  /** State of a run as the ledger tells it. */
  runState(run: string): Promise<string>;
  /** Asks for the ledger's head as every command does, after `seen`. @returns the head, or throws what a command would. */
  head(seen?: string): Promise<string>;
  /** Fetches the run's folder, with its releases opened. @returns codes of findings; empty: it verifies. */
  fetch(run: string, folder: string): Promise<string[]>;
  /** Verifies a folder with the owner's and the ledger's keys. @param open with the release key too. */
  verify(folder: string, open?: boolean): Promise<string[]>;
  readToken(): Promise<string>;
}

/** Steps: `writer` makes `out`; `reader` reads it and is the attacker's program. */
export interface Neighbour {
  readonly descriptor: Descriptor;
  readonly token: string;
  /** Job manifests by step. */
  readonly jobs: Readonly<Record<string, unknown>>;
  /** Run folder of a succeeded run. */
  readonly folder: string;
  /** What the hostile program wrote about what it reached. */
  readonly report: Readonly<Record<string, unknown>>;
  openRun(): Promise<string>;
  readToken(): Promise<string>;
  bundle(step: string): Promise<string>;
  /** Registers the next version; old content, new number. */
  nextVersion(): Promise<void>;
  /** Registers the next version with keys of the next generation. Old grants stay: what an owner's machine would take back. */
  rotate(): Promise<Pick<Neighbour, "jobs" | "openRun" | "bundle">>;
  revoke(): Promise<void>;
  findings(folder: string): Promise<string[]>;
  /** A third owner's pipeline that reads the release `report`. */
  readonly importer: {
    /** Job manifest of its one step. */
    readonly job: unknown;
    /** Fetches the run of the neighbour. @returns its folder. */
    folderOf(run: string): Promise<string>;
    /** Verifies a folder, as `sealflow run` does before it pins; its object is uploaded. @throws Error with a code. */
    pin(folder: string): Promise<RunImport>;
    openRun(pinned: RunImport): Promise<string>;
  };
}

/** How a simulated guest ended. */
export interface GuestEnd {
  /** `COMMITTED`, `SUPERSEDED`, `RECORDED`, or the code it failed with. */
  readonly code: string;
  readonly exitCode: number;
}

export interface GuestOptions {
  readonly run?: string;
  readonly signal?: AbortSignal;
  readonly onStage?: (stage: string) => void;
  /** Ports of the guest's network → where the host leads them. */
  readonly route?: (port: number) => number;
}

/** The step that inputs are tampered for: the one with the fewest steps before it among those that read an edge. */
export interface Target {
  readonly consumer: string;
  readonly input: string;
  readonly producer: string;
  readonly output: string;
  /** Steps that must be committed before the consumer runs, in order. */
  readonly before: readonly string[];
}

/** What attacks are written with. */
export interface World extends Ground {
  readonly descriptor: Descriptor;
  readonly target: Target;
  /** All steps, each after those it reads from. */
  readonly order: readonly string[];
  /** A fresh copy of a step's Job manifest. */
  // biome-ignore lint/suspicious/noExplicitAny: attacks write what no type allows
  job(step: string): any;
  /** Runs a manifest on the simulated node. */
  guest(job: unknown, options?: GuestOptions): Promise<GuestEnd>;
  /** As it was deployed. */
  fresh(): Promise<void>;
  /** An open run in which everything before the target's consumer is committed. */
  ready(): Promise<string>;
  /** A run that succeeded. */
  done(): Promise<string>;
  /** Folder of that run, fetched; a new copy each time. */
  folder(): Promise<string>;
  /** An empty folder for an attack's own files. */
  scratch(): Promise<string>;
  /** Everything that the attacker holds at the end is looked through for secrets. */
  sees(what: string | Uint8Array): void;
}
