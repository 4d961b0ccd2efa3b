/** Bounded retries for the network: what does not come back within them is for the platform to retry (exit 10). */
import { setTimeout as sleep } from "node:timers/promises";
import { type RunnerCode, RunnerError } from "../errors";

/** Pauses between tries, milliseconds; about 30 s in all. */
const PAUSES = [200, 500, 1000, 2000, 4000, 8000, 15_000];

/** @param attempt counts from 0. A RunnerError is final; everything else is tried again. @throws RunnerError `code`. */
export async function retrying<T>(code: RunnerCode, what: string, attempt: (n: number) => Promise<T>): Promise<T> {
  for (let n = 0; ; n++) {
    try {
      return await attempt(n);
    } catch (error) {
      if (error instanceof RunnerError) throw error;
      const pause = PAUSES[n];
      if (pause === undefined) {
        throw new RunnerError(code, `${what}: ${(error as Error).message}; given up after ${n + 1} tries`, {
          cause: error,
        });
      }
      await sleep(pause);
    }
  }
}
