/** Schedules on this machine: the local backend has no engine that keeps time, so commands that stay do. */
import { existsSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { writePrivateFile } from "../../owner/keys";
import { jwsDigest, peekJws } from "../../protocol/jws";
import { schedule } from "../../protocol/messages";
import { runIdOf, slotToken } from "../../protocol/opening";
import { slotAfter, slotBefore } from "../../protocol/slots";
import type { Context } from "../context";
import { type LedgerSession, withLedger } from "../support/ledger";
import { type Deployed, listPipelines } from "../support/pipelines";
import type { Backend } from "./backend";
import { executeRun } from "./execute";
import type { RunSummary } from "./summary";

export interface ScheduleStatus {
  readonly name: string;
  /** Five fields, UTC. */
  readonly cron: string;
  readonly lateSeconds: number;
  /** Signed, public: whoever has it opens slots. */
  readonly token: string;
  /** Seconds since 1970; null when there is none. */
  readonly next: number | null;
  /** The newest slot that may still be opened, and its run. */
  readonly due: { readonly slot: number; readonly opening: string; readonly run: string } | null;
}

/** @param now seconds since 1970. */
export function schedulesOf({ connection }: Deployed, now: number): ScheduleStatus[] {
  return Object.entries(connection.schedules ?? {}).map(([name, token]) => {
    const { cron, lateSeconds } = peekJws("sealflow-schedule+jwt", token, schedule);
    const slot = slotBefore(cron, now);
    const opening = slot !== undefined && now <= slot + lateSeconds ? slotToken(token, slot) : undefined;
    return {
      name,
      cron,
      lateSeconds,
      token,
      next: slotAfter(cron, now) ?? null,
      due: slot === undefined || opening === undefined ? null : { slot, opening, run: runIdOf(opening) },
    };
  });
}

/** Whether the ledger has opened the run of a slot. */
export async function isOpened({ ledger, read }: LedgerSession, run: string): Promise<boolean> {
  try {
    await ledger.run(run, await read());
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === "RUN_UNKNOWN") return false;
    throw error;
  }
}

/** `.sealflow/schedules.json`: digest of a schedule → when this machine first saw it, in seconds. */
const seenFile = (home: string): string => path.join(home, "schedules.json");

/** A slot that passed before the schedule was here is nobody's to catch up with. */
function seenSince(home: string, token: string, now: number): number {
  const file = seenFile(home);
  const seen: Record<string, number> = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
  const digest = jwsDigest(token);
  const known = seen[digest];
  if (known !== undefined) return known;
  writePrivateFile(file, `${JSON.stringify({ ...seen, [digest]: now })}\n`);
  return now;
}

/** Opens and carries out what is due and was not opened yet, pipeline by pipeline. @returns the runs. */
export async function fireDue(context: Context, backend: Backend): Promise<RunSummary[]> {
  const runs: RunSummary[] = [];
  for (const deployed of listPipelines(context.home)) {
    const { schedules, backend: elsewhere } = deployed.connection;
    if (!schedules || elsewhere) continue; // that engine keeps the time
    const now = Math.floor(context.io.now().getTime() / 1000);
    const due = schedulesOf(deployed, now).flatMap(({ token, due: found }) =>
      found && found.slot > seenSince(context.home, token, now) ? [found] : [],
    );
    if (due.length === 0) continue;
    await withLedger(context, deployed, async (session) => {
      for (const { run, opening } of due) {
        if (await isOpened(session, run)) continue;
        runs.push(await executeRun(context, deployed, session, backend, { opening }));
      }
    });
  }
  return runs;
}

const LOOK_MS = 5000;

/** Fires due slots until the signal; one that fails is told, and does not end the others. */
export async function keepSchedules(context: Context, backend: Backend): Promise<void> {
  const { signal } = context.io;
  while (!signal.aborted) {
    try {
      for (const { pipeline, run, state } of await fireDue(context, backend)) {
        context.say(`schedule of ${pipeline}: run ${run} ${state}`);
      }
    } catch (error) {
      if (signal.aborted) return;
      context.say(`schedule: ${error instanceof Error ? error.message : String(error)}`);
    }
    await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
}
