/** Which run is meant: by id, by its first digits, or the newest. */

import { HEX32 } from "../../protocol/names";
import type { RunStatus } from "../../relying-party/ledger-client";
import { CliError } from "../errors";
import type { LedgerSession } from "./ledger";
import type { Deployed } from "./pipelines";

/** Enough digits for people; the ledger's answers always have all. */
export const SHORT = 12;
export const shortRun = (run: string): string => run.slice(0, SHORT);

/** @param wanted full id, at least six first digits, or nothing for the newest. @throws CliError NO_RUN. */
export async function findRun(
  { ledger, read }: LedgerSession,
  { connection: c }: Deployed,
  wanted?: string,
): Promise<string> {
  if (wanted !== undefined && HEX32.test(wanted)) return wanted;
  if (wanted !== undefined && !/^[0-9a-f]{6,64}$/.test(wanted)) {
    throw new CliError("NO_RUN", `"${wanted}" is no run: give its id, or at least its first six digits`);
  }
  const runs = await ledger.runs(c.pipelineUid, await read());
  if (wanted === undefined) {
    const [newest] = runs;
    if (newest) return newest.run;
    throw new CliError("NO_RUN", `pipeline "${c.name}" has no run yet. Start one with: sealflow run`);
  }
  const [found, other] = runs.filter(({ run }) => run.startsWith(wanted));
  if (found && !other) return found.run;
  throw new CliError(
    "NO_RUN",
    found ? `"${wanted}" begins several runs` : `pipeline "${c.name}" has no run "${wanted}"`,
  );
}

/** One line per step, for people. */
export function statusLines(status: RunStatus): string[] {
  const steps = Object.entries(status.steps);
  const width = Math.max(0, ...steps.map(([name]) => name.length));
  return steps.map(([name, { state, shards }]) => {
    const attempts = shards.reduce((n, shard) => n + shard.attempts, 0);
    const done = shards.filter((shard) => shard.state === "committed").length;
    const failures = shards.flatMap((shard) => shard.failures.map((f) => f.exitClass));
    const parts = [
      state,
      ...(shards.length > 1 ? [`${done}/${shards.length} shards`] : []),
      ...(attempts > shards.length ? [`${attempts} attempts`] : []),
      ...(failures.length > 0 ? [`failed: ${[...new Set(failures)].join(", ")}`] : []),
    ];
    return `  ${name.padEnd(width)}  ${parts.join(", ")}`;
  });
}
