/** One object's states, by watch, for as long as it takes: the server may go away and come back. */
import { setTimeout as sleep } from "node:timers/promises";
import type { KubernetesClient, KubernetesObject } from "./client";
import { KubernetesError } from "./errors";

export interface FollowOptions {
  /** Path of the objects' list. */
  readonly collection: string;
  readonly name: string;
  readonly signal: AbortSignal;
  /** Told once for each time that the server is away. */
  readonly onAway?: (reason: string) => void;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;

/** Ends when the object is gone. @throws KubernetesError API_REFUSED when the server does not let the caller look; AbortError. */
export async function* follow(
  client: KubernetesClient,
  { collection, name, signal, onAway }: FollowOptions,
): AsyncGenerator<KubernetesObject> {
  const path = `${collection}?fieldSelector=${encodeURIComponent(`metadata.name=${name}`)}`;
  let pause = FIRST_PAUSE_MS;
  for (;;) {
    signal.throwIfAborted();
    try {
      const { items, resourceVersion } = await client.list(path);
      const [found] = items;
      if (!found) return;
      if (pause !== FIRST_PAUSE_MS) pause = FIRST_PAUSE_MS;
      yield found;
      for await (const { type, object } of client.watch(path, resourceVersion, signal)) {
        if (type === "DELETED") return;
        // An error of the watch itself, such as a version that is too old: begin anew.
        if (type === "ERROR") break;
        if (type !== "BOOKMARK") yield object;
      }
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof KubernetesError) || error.code !== "API_UNREACHABLE") throw error;
      if (pause === FIRST_PAUSE_MS) onAway?.(error.message);
    }
    await sleep(pause, undefined, { signal });
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  }
}
