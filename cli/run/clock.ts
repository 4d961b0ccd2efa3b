/** How long each step took: from when its inputs were there to its end. */
import type { Phase, StepProgress } from "./backend";

const ENDED: ReadonlySet<Phase> = new Set(["committed", "superseded", "skipped", "failed"]);

export interface StepState {
  readonly name: string;
  readonly phase: Phase;
  readonly attempt: number;
  readonly detail: string | undefined;
  /** Seconds so far, or until the end; 0 while it waits. */
  readonly seconds: number;
  readonly ended: boolean;
  readonly shards: number;
  readonly shardsEnded: number;
}

interface Shard {
  phase: Phase;
  attempt: number;
  detail: string | undefined;
}

/** Folds events of shards into one state per step. */
export class StepClock {
  private readonly steps = new Map<string, { shards: Map<number, Shard>; count: number; from?: number; to?: number }>();

  /** @param steps name → number of shards. @param now milliseconds. */
  constructor(
    steps: ReadonlyMap<string, number>,
    private readonly now: () => number,
  ) {
    for (const [name, count] of steps) this.steps.set(name, { shards: new Map(), count });
  }

  update({ step, shard, attempt, phase, detail }: StepProgress): void {
    const known = this.steps.get(step);
    if (!known) return;
    known.shards.set(shard, { phase, attempt, detail });
    if (phase !== "waiting") known.from ??= this.now();
    const done = [...known.shards.values()].filter((s) => ENDED.has(s.phase)).length;
    if (done === known.count) known.to = this.now();
    else delete known.to;
  }

  states(): StepState[] {
    return [...this.steps].map(([name, { shards, count, from, to }]) => {
      const all = [...shards.values()];
      const least = leading(all);
      return {
        name,
        phase: least?.phase ?? "waiting",
        attempt: least?.attempt ?? 1,
        detail: least?.detail,
        seconds: from === undefined ? 0 : ((to ?? this.now()) - from) / 1000,
        ended: to !== undefined,
        shards: count,
        shardsEnded: all.filter((s) => ENDED.has(s.phase)).length,
      };
    });
  }
}

/** The shard that says most about the step: a failed one, else one at work, else any. */
const leading = (shards: readonly Shard[]): Shard | undefined =>
  shards.find((s) => s.phase === "failed") ?? shards.find((s) => !ENDED.has(s.phase)) ?? shards[0];
