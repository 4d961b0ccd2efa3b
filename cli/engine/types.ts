import { SealflowError } from "../../protocol/errors";

/** Where an engine came from. */
export type EngineSource = "path" | "cache" | "official" | "built";

export interface Engine {
  /** Folder whose `bin/` holds the engine: the `root` of the Automation API's PulumiCommand. */
  root: string;
  /** Absolute path of the executable. */
  pulumi: string;
  /** Folder with our own language host, for an engine that has none beside it; goes behind the engine on PATH. */
  hosts: string | undefined;
  /** For example "3.259.0". */
  version: string;
  source: EngineSource;
}

/** What ensureEngine is doing; one event per line worth showing. */
export interface EngineProgress {
  phase: "search" | "official" | "download" | "compile" | "install" | "wait";
  message: string;
  /** Seconds since the search began. */
  elapsed: number;
}

export type OnProgress = (event: EngineProgress) => void;

/** One line for a terminal or a log, for example "[ 42 s] engine: compiling: 300 of about 1700 packages". */
export function formatProgress({ elapsed, message }: EngineProgress, what = "engine"): string {
  return `[${elapsed.toFixed(0).padStart(3)} s] ${what}: ${message}`;
}

/**
 * Append only. ENGINE_UNAVAILABLE: no source worked; install one of those the message lists, then retry. CACHE_SHARED:
 * others can put programs where the engine is kept. PASSPHRASE_MODE: others can read the passphrase of the state.
 */
export type EngineCode = "ENGINE_UNAVAILABLE" | "CACHE_SHARED" | "PASSPHRASE_MODE";
export class EngineError extends SealflowError<EngineCode> {}
