/** The only text that leaves the guest in the clear: fixed words on stderr, one per line. */
import { writeSync } from "node:fs";
import type { RunnerCode } from "./errors";

export const STAGES = ["bundle", "claiming", "waiting", "inputs", "running", "outputs", "committing", "done"] as const;
export type Stage = (typeof STAGES)[number];

/** How `done` ended; `superseded`: another attempt had committed before; `skipped`: the step's condition does not hold. */
export type Ending = "committed" | "superseded" | "skipped" | "recorded";

export interface Reporter {
  stage(stage: Stage): void;
  ended(how: Ending): void;
  /** @param exit the process's exit code. */
  failed(code: RunnerCode, exit: number): void;
}

/** Lines `sealflow-runner stage <word>`, `sealflow-runner end <word>`, `sealflow-runner exit <number> <CODE>`. */
export const stderrReporter: Reporter = {
  stage: (stage) => line(`stage ${stage}`),
  ended: (how) => line(`end ${how}`),
  failed: (code, exit) => line(`exit ${exit} ${code}`),
};

function line(text: string): void {
  try {
    writeSync(2, `sealflow-runner ${text}\n`);
  } catch {
    // Nobody reads: the exit code says enough.
  }
}
