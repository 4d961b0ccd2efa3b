/** Bounded retries with growing pauses; a registry's own Retry-After is honoured. */
import { setTimeout as sleep } from "node:timers/promises";
import { RegistryError } from "./errors";

/** Pauses between tries, milliseconds; about 20 s in all. */
const PAUSES = [250, 500, 1000, 2000, 5000, 10_000];
const MAX_WAIT = 60_000;

/** A failure that another try may cure. */
export class Passing extends Error {
  /** @param waitMs what the registry asked for. */
  constructor(
    message: string,
    readonly waitMs?: number,
  ) {
    super(message);
  }
}

/** Milliseconds of a Retry-After header: seconds or a date. */
export function retryAfter(header: string | undefined, now = Date.now()): number | undefined {
  if (header === undefined) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isFinite(ms) ? Math.min(Math.max(0, ms), MAX_WAIT) : undefined;
}

/**
 * @param attempt throws a RegistryError for what is final, anything else for what may pass.
 * @throws RegistryError UNREACHABLE after the last try; the signal's reason when it aborts.
 */
export async function retrying<T>(
  what: string,
  signal: AbortSignal | undefined,
  attempt: (n: number) => Promise<T>,
): Promise<T> {
  for (let n = 0; ; n++) {
    try {
      signal?.throwIfAborted();
      return await attempt(n);
    } catch (error) {
      if (error instanceof RegistryError || signal?.aborted) throw error;
      const pause = PAUSES[n];
      if (pause === undefined) {
        const said = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
        throw new RegistryError("UNREACHABLE", `${what}: ${said}; given up after ${n + 1} tries`, { cause: error });
      }
      const wait = error instanceof Passing ? error.waitMs : undefined;
      await sleep(wait ?? pause * (0.75 + Math.random() / 2), undefined, signal ? { signal } : {});
    }
  }
}
