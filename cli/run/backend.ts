/** What the command line needs of a backend that carries out an open run. */
import type { LedgerSession } from "../support/ledger";
import type { Deployed } from "../support/pipelines";

/** In the order in which they happen; every attempt ends in one of the last five. */
export const PHASES = [
  "waiting",
  "attesting",
  "pulling",
  "running",
  "committing",
  "committed",
  "superseded",
  "skipped",
  "retrying",
  "failed",
] as const;
export type Phase = (typeof PHASES)[number];

export interface StepProgress {
  readonly step: string;
  readonly shard: number;
  readonly attempt: number;
  readonly phase: Phase;
  /** Why, for people: an exit class, never the program's output. */
  readonly detail?: string;
}

/** A step that would be refused again, however often it is started. */
export interface Refused {
  readonly step: string;
  /** Exit code and the runner's fixed word. */
  readonly reason: string;
}

export interface BackendRun {
  readonly home: string;
  readonly deployed: Deployed;
  readonly run: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly session: LedgerSession;
  /** Step → number of its shards. */
  readonly steps: ReadonlyMap<string, number>;
  /** Step → number of its shards that were committed in an earlier try. */
  readonly done: ReadonlyMap<string, number>;
  readonly onProgress: (progress: StepProgress) => void;
  /** One line worth telling once, such as that guests are simulated. */
  readonly onNote: (line: string) => void;
  /** A step ended in a way that going on with the run could not change. */
  readonly onRefused?: (refused: Refused) => void;
  readonly signal: AbortSignal;
}

/**
 * Ends when nothing more can be done; whether the run succeeded is the ledger's word. `detached`: the user interrupted,
 * and the run goes on elsewhere.
 */
export type Backend = (options: BackendRun) => Promise<void> | Promise<"ended" | "detached">;
