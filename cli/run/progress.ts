/** Live progress of a run: a table that is drawn again on a terminal, lines elsewhere. */

import { terminalSafe } from "../../provider/server/text";
import type { Output } from "../io";
import type { StepProgress } from "./backend";
import { StepClock, type StepState } from "./clock";

export interface Progress {
  update(progress: StepProgress): void;
  note(line: string): void;
  /** Draws the last state. */
  end(): void;
  states(): StepState[];
}

/** How often times are drawn anew on a terminal, milliseconds. */
const REDRAW_MS = 250;

/** @param now milliseconds. */
export function progressOn(out: Output, steps: ReadonlyMap<string, number>, now: () => number = Date.now): Progress {
  return out.isTTY ? new LiveProgress(out, steps, now) : new PlainProgress(out, steps, now);
}

class PlainProgress implements Progress {
  private readonly clock: StepClock;
  private readonly start: number;
  private readonly last = new Map<string, string>();

  constructor(
    private readonly out: Output,
    steps: ReadonlyMap<string, number>,
    private readonly now: () => number,
  ) {
    this.clock = new StepClock(steps, now);
    this.start = now();
  }

  update(progress: StepProgress): void {
    this.clock.update(progress);
    const { step, shard, attempt, phase, detail } = progress;
    const shards = this.clock.states().find((s) => s.name === step)?.shards ?? 1;
    const name = shards > 1 ? `${step}[${shard}]` : step;
    const line = `${name}: ${phase}${attempt > 1 ? ` (attempt ${attempt})` : ""}${detail === undefined ? "" : `: ${detail}`}`;
    if (this.last.get(name) === line) return;
    this.last.set(name, line);
    this.note(line);
  }

  note(line: string): void {
    const seconds = ((this.now() - this.start) / 1000).toFixed(1).padStart(6);
    this.out.write(`[${seconds} s] ${terminalSafe(line)}\n`);
  }

  end(): void {}

  states = (): StepState[] => this.clock.states();
}

class LiveProgress implements Progress {
  private readonly clock: StepClock;
  private readonly timer: NodeJS.Timeout;
  private drawn = 0;

  constructor(
    private readonly out: Output,
    steps: ReadonlyMap<string, number>,
    now: () => number,
  ) {
    this.clock = new StepClock(steps, now);
    this.timer = setInterval(() => this.draw(), REDRAW_MS);
    this.timer.unref();
  }

  update(progress: StepProgress): void {
    this.clock.update(progress);
    this.draw();
  }

  /** Above the table. */
  note(line: string): void {
    this.erase();
    this.out.write(`${terminalSafe(line)}\n`);
    this.draw();
  }

  end(): void {
    clearInterval(this.timer);
    this.draw();
    this.drawn = 0;
  }

  states = (): StepState[] => this.clock.states();

  private erase(): void {
    // One line up and cleared, for each line of the table.
    this.out.write("\x1b[1A\x1b[2K".repeat(this.drawn));
    this.drawn = 0;
  }

  private draw(): void {
    const lines = tableLines(this.clock.states(), this.out.columns ?? 80);
    this.erase();
    this.out.write(lines.map((line) => `${line}\n`).join(""));
    this.drawn = lines.length;
  }
}

/** @param columns lines are cut to it: a wrapped line could not be erased. */
export function tableLines(states: readonly StepState[], columns: number): string[] {
  const width = Math.max(0, ...states.map(({ name }) => name.length));
  return states.map((s) => {
    const parts = [
      s.shards > 1 ? `${s.shardsEnded}/${s.shards} shards` : "",
      s.attempt > 1 ? `attempt ${s.attempt}` : "",
      s.detail ?? "",
    ].filter((part) => part !== "");
    const time = s.phase === "waiting" ? "" : `${s.seconds.toFixed(1)} s`;
    return `  ${s.name.padEnd(width)}  ${s.phase.padEnd(10)} ${time.padStart(8)}  ${parts.join(", ")}`
      .trimEnd()
      .slice(0, columns - 1);
  });
}
