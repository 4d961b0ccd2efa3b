import { type Attempt, readLog, verifiedAttempts } from "../../owner/fetch";
import { logObject } from "../../owner/release";
import { LOG_RELEASE } from "../../protocol/messages";
import type { Context } from "../context";
import { CliError } from "../errors";
import { EXIT } from "../exit-codes";
import { withLedger } from "../support/ledger";
import { type Choice, choosePipeline, needReleaseKey } from "../support/pipelines";
import { findRun, shortRun } from "../support/runs";

export interface LogsOptions extends Choice {
  readonly run?: string;
  readonly shard?: number;
  readonly attempt?: number;
}

/** `sealflow logs [step]`: what the programs printed, opened with the owner's release key. */
export async function logs(context: Context, step: string | undefined, options: LogsOptions): Promise<number> {
  const deployed = choosePipeline(context.home, options);
  return withLedger(context, deployed, async (session) => {
    const run = await findRun(session, deployed, options.run);
    const exported = await session.ledger.runLog(run, await session.read());
    const { descriptor, attempts } = await verifiedAttempts(exported, deployed.connection.ownerPublicKey);
    const key = needReleaseKey(context.home, deployed.connection, descriptor);
    if (step !== undefined && !Object.hasOwn(descriptor.steps, step)) {
      throw new CliError(
        "NO_LOG",
        `no step is called "${step}" (there are ${Object.keys(descriptor.steps).join(", ")})`,
      );
    }
    const chosen = attempts.filter((a) => wanted(a, step, options));
    if (chosen.length === 0) {
      const there = attempts.filter((a) => wanted(a, step, {}));
      const wrong = there.length === 0 ? "" : `; there are ${there.map(({ commit }) => placeOf(commit)).join(", ")}`;
      throw new CliError(
        "NO_LOG",
        `run ${shortRun(run)}: no finished attempt ${asked(step, options)}has a log${wrong || " yet"}`,
      );
    }
    const found: { step: string; shard: number; attempt: number; outcome: string; log: string }[] = [];
    for (const attempt of chosen) {
      const { step: name, shard, attempt: number, outcome } = attempt.commit;
      const object = await logObject(attempt, key);
      const log = await readLog(exported, object, (url) => session.ledger.object(url, undefined, context.io.signal));
      found.push({ step: name, shard, attempt: number, outcome, log });
    }
    context.result({ run, logs: found }, found.map(shown).join("\n"));
    return EXIT.ok;
  });
}

const placeOf = ({ step, shard, attempt }: { step: string; shard: number; attempt: number }): string =>
  `${step} --shard ${shard} --attempt ${attempt}`;

const asked = (step: string | undefined, { shard, attempt }: LogsOptions): string =>
  [
    ...(attempt === undefined ? [] : [`${attempt} `]),
    ...(step === undefined ? [] : [`of ${step} `]),
    ...(shard === undefined ? [] : [`shard ${shard} `]),
  ].join("");

const wanted = ({ commit: c }: Attempt, step: string | undefined, { shard, attempt }: LogsOptions): boolean =>
  (step === undefined || c.step === step) &&
  (shard === undefined || c.shard === shard) &&
  (attempt === undefined || c.attempt === attempt) &&
  c.releases[LOG_RELEASE] !== undefined;

function shown({
  step,
  shard,
  attempt,
  outcome,
  log,
}: {
  step: string;
  shard: number;
  attempt: number;
  outcome: string;
  log: string;
}): string {
  const title = `== ${step}${shard > 0 ? ` shard ${shard}` : ""}, attempt ${attempt}${outcome === "ok" ? "" : " (failed)"}`;
  return `${title}\n${log.trimEnd()}`;
}
