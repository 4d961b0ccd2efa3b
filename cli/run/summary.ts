/** `.sealflow/last-run.json`: what the last run came to, for scripts. */
import { existsSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { writePrivateFile } from "../../owner/keys";
import type { RunState, WorkState } from "../../relying-party/ledger-client";
import type { Refused } from "./backend";

export interface StepSummary {
  readonly name: string;
  readonly state: WorkState;
  /** From the first attempt's start to the end of the last shard; 0 when this command did not run it. */
  readonly seconds: number;
  readonly identity: string;
}

export interface ReleasedFile {
  /** Relative to the project. */
  readonly file: string;
  readonly size: number;
  readonly sha256: string;
  /** The content itself, of small JSON releases. */
  readonly value?: unknown;
}

export interface RunSummary {
  readonly version: 1;
  readonly stack: string;
  readonly pipeline: string;
  readonly pipelineUid: string;
  readonly run: string;
  readonly state: RunState;
  /** Why an open run would not get further if it were resumed. */
  readonly refused?: Refused;
  readonly seconds: number;
  readonly steps: readonly StepSummary[];
  /** Empty until the run has been fetched. */
  readonly released: Readonly<Record<string, ReleasedFile>>;
  /** null until the run has been verified. */
  readonly receiptsVerified: number | null;
  readonly receiptsExpected: number;
  /** Relative to the project; null until the run has been fetched. */
  readonly folder: string | null;
  /** The command was interrupted while a cluster carries the run out. */
  readonly detached?: boolean;
}

const fileOf = (home: string): string => path.join(home, "last-run.json");

export const writeSummary = (home: string, summary: RunSummary): void =>
  writePrivateFile(fileOf(home), `${JSON.stringify(summary, null, 2)}\n`);

/** undefined when there is none, or it is damaged: it only helps. */
export function readSummary(home: string): RunSummary | undefined {
  if (!existsSync(fileOf(home))) return undefined;
  try {
    return JSON.parse(readFileSync(fileOf(home), "utf8")) as RunSummary;
  } catch {
    return undefined;
  }
}
