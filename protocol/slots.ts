/** Slots of a cron expression: whole minutes in UTC, as seconds since 1970. Pure: the time is an argument. */
import { Cron } from "croner";
import { ProtocolError } from "./errors";
import { CRON } from "./messages/schedule";

/** Largest slot: what a time of a message may be. */
const MAX_SLOT = 8_640_000_000;

/** @throws ProtocolError SHAPE when it is no cron expression, or has no slot at all (30 February). */
function parse(cron: string): Cron {
  if (!CRON.test(cron)) {
    throw new ProtocolError(
      "SHAPE",
      `cron "${cron.slice(0, 60)}": expected five fields: minute hour day month weekday`,
    );
  }
  try {
    return new Cron(cron, { timezone: "UTC", paused: true, mode: "5-part" });
  } catch (cause) {
    throw new ProtocolError("SHAPE", `cron "${cron}": ${(cause as Error).message}`, { cause });
  }
}

/** @throws ProtocolError SHAPE. */
export function checkCron(cron: string): void {
  // Any year will do: leap days come at least every eight years.
  if (parse(cron).nextRun(new Date(Date.UTC(2025, 0, 1))) === null) {
    throw new ProtocolError("SHAPE", `cron "${cron}": there is no such day`);
  }
}

/** Whether the expression has exactly this second as one of its slots. */
export const isSlot = (cron: string, slot: number): boolean =>
  Number.isInteger(slot) && slot >= 0 && slot <= MAX_SLOT && parse(cron).match(new Date(slot * 1000));

/** The newest slot that is not after `now` (seconds); undefined when there is none. */
export function slotBefore(cron: string, now: number): number | undefined {
  const [found] = parse(cron).previousRuns(1, new Date((now + 1) * 1000));
  return found && Math.floor(found.getTime() / 1000);
}

/** The first slot after `now` (seconds); undefined when there is none. */
export function slotAfter(cron: string, now: number): number | undefined {
  const found = parse(cron).nextRun(new Date(now * 1000));
  return found ? Math.floor(found.getTime() / 1000) : undefined;
}
