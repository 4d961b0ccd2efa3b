/** Credentials and tokens that end: asked for again in time, once for all who wait. */

export interface Held<T> {
  readonly value: T;
  /** Milliseconds since 1970; undefined: it does not end by itself. */
  readonly expiresAt?: number;
  /** Milliseconds after which it is asked for again though it has not ended; default: only before the end. */
  readonly rereadAfter?: number;
}

/** Not asked again sooner after a failure, milliseconds. */
const PAUSE_MS = 30_000;

/**
 * A value that still holds for a while: asked for again `marginMs` before its end, or at half of its time when it is
 * short. While nobody gives another, one that has not ended is given on: an outage shorter than the margin is not felt.
 * @throws what `ask` throws, when there is none that holds.
 */
export function renewed<T>(
  ask: () => Promise<Held<T>>,
  marginMs: number,
  now: () => number = Date.now,
): () => Promise<T> {
  let held: Held<T> | undefined;
  let renewAt = 0;
  let asked: Promise<T> | undefined;

  const renew = async (): Promise<T> => {
    try {
      held = await ask();
      const left = (held.expiresAt ?? Number.POSITIVE_INFINITY) - now();
      renewAt = now() + Math.min(Math.max(left - marginMs, left / 2), held.rereadAfter ?? Number.POSITIVE_INFINITY);
      return held.value;
    } catch (error) {
      if (!held || (held.expiresAt ?? Number.POSITIVE_INFINITY) <= now()) throw error;
      renewAt = now() + PAUSE_MS;
      return held.value;
    } finally {
      asked = undefined;
    }
  };
  return async () => {
    if (held && now() < renewAt) return held.value;
    asked ??= renew();
    return asked;
  };
}
