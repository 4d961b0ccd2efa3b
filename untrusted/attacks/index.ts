/** Mounts attacks on a copy of a deployed local pipeline, and tells how each ended. */
import { ATTACKS, MISSING } from "./list";
import { scanString } from "./support/scan";
import { makeWorld } from "./support/world";
import type { Attack, Ground, Missing, Try } from "./types";

export { ATTACKS, MISSING } from "./list";
export type { Attack, Ground, HonestOwner, Missing, Neighbour, Service, Try } from "./types";

/** held: every try ended as it should. BROKEN: one got further. NOT_MOUNTED: it could not be tried, which shows nothing. */
export type Verdict = "held" | "BROKEN" | "LEAKED" | "NOT_MOUNTED" | "not here";

export interface AttackResult {
  readonly number: number;
  readonly title: string;
  readonly power: string;
  readonly verdict: Verdict;
  readonly tries: readonly (Try & { readonly held: boolean })[];
  /** Where a secret was seen; empty is good. */
  readonly leaks: readonly string[];
  /** Why it was not mounted. */
  readonly reason?: string;
  readonly seconds: number;
}

export interface AttackOptions {
  /** Numbers; default: all. */
  readonly only?: readonly number[];
  readonly onResult?: (result: AttackResult) => void;
  readonly signal?: AbortSignal;
}

/** Whether nothing got further than it should. */
export const allHeld = (results: readonly AttackResult[]): boolean =>
  results.some(({ verdict }) => verdict === "held") &&
  results.every(({ verdict }) => verdict === "held" || verdict === "not here");

/** One after the other, each from the deployed state. @throws Error when there is nothing to attack, or the signal. */
export async function runAttacks(ground: Ground, options: AttackOptions = {}): Promise<AttackResult[]> {
  const { only, onResult, signal } = options;
  const wanted = ({ number }: { number: number }) => only === undefined || only.includes(number);
  const { world, takeSeen } = await makeWorld(ground);
  const secrets = await ground.secrets();
  const results: AttackResult[] = [];
  const add = (result: AttackResult): void => {
    results.push(result);
    onResult?.(result);
  };
  for (const attack of ATTACKS.filter(wanted)) {
    signal?.throwIfAborted();
    const started = performance.now();
    takeSeen();
    const { tries, reason } = await mounted(attack, () => attack.mount(world));
    ground.kbs.hostile = undefined;
    ground.ledger.hostile = undefined;
    const leaks = leaksIn(takeSeen(), secrets);
    const verdict: Verdict =
      leaks.length > 0 ? "LEAKED" : reason ? "NOT_MOUNTED" : tries.every((t) => t.held) ? "held" : "BROKEN";
    const seconds = (performance.now() - started) / 1000;
    add({ ...named(attack), verdict, tries, leaks, seconds, ...(reason === undefined ? {} : { reason }) });
  }
  for (const missing of MISSING.filter(wanted)) add(notHere(missing));
  return results;
}

const named = ({ number, title, power }: Attack | Missing) => ({ number, title, power });

const notHere = (missing: Missing): AttackResult => ({
  ...named(missing),
  verdict: "not here",
  tries: [],
  leaks: [],
  reason: `needs ${missing.needs}`,
  seconds: 0,
});

async function mounted({ expected }: Attack, mount: () => Promise<Try[]>) {
  try {
    const tries = (await mount()).map((t) => ({ ...t, held: expected.includes(t.ended) }));
    return tries.length === 0 ? { tries, reason: "nothing was tried" } : { tries };
  } catch (error) {
    return { tries: [], reason: error instanceof Error ? error.message : String(error) };
  }
}

function leaksIn(seen: readonly (string | Uint8Array)[], secrets: readonly string[]): string[] {
  const text = seen.map((s) => (typeof s === "string" ? s : Buffer.from(s).toString("latin1"))).join("\n");
  return scanString(text, "what the attacker saw", secrets).map(
    ({ marker, encoding }) => `${marker.slice(0, 4)}… (${encoding})`,
  );
}
