import type { Context } from "../context";
import { CliError } from "../errors";
import { EXIT } from "../exit-codes";
import type { Backend } from "../run/backend";
import { executeRun } from "../run/execute";
import { isOpened, type ScheduleStatus, schedulesOf } from "../run/schedules";
import { withLedger } from "../support/ledger";
import { type Choice, choiceOf, choosePipeline } from "../support/pipelines";
import { shortRun } from "../support/runs";
import { runLines } from "./run";

export interface SchedulesOptions extends Choice {
  readonly run?: boolean;
}

/** `sealflow schedules [name]`: when runs may be opened without a key; `--run` opens the newest slot and carries it out. */
export async function schedules(
  context: Context,
  name: string | undefined,
  options: SchedulesOptions,
  backend: Backend,
): Promise<number> {
  const deployed = choosePipeline(context.home, options);
  const now = Math.floor(context.io.now().getTime() / 1000);
  const all = schedulesOf(deployed, now);
  const chosen = name === undefined ? all : all.filter((s) => s.name === name);
  if (name !== undefined && chosen.length === 0) {
    const known = all.map((s) => s.name).join(", ") || "none";
    throw new CliError("NO_SCHEDULE", `no schedule is called "${name}" (there are: ${known})`);
  }
  return withLedger(context, deployed, async (session) => {
    if (!options.run) {
      const shown = [];
      for (const s of chosen) {
        const opened = s.due !== null && (await isOpened(session, s.due.run));
        shown.push({ ...s, due: s.due && { ...s.due, opened } });
      }
      context.result({ schedules: shown }, shown.length > 0 ? shown.map(line) : ["this pipeline has no schedule"]);
      return EXIT.ok;
    }
    const [only, second] = chosen;
    if (!only || second) throw new CliError("USAGE", "schedules --run: name one schedule");
    if (!only.due)
      throw new CliError("NO_SCHEDULE", `schedule "${only.name}": no slot is due; the next is ${at(only.next)}`);
    if (await isOpened(session, only.due.run)) {
      throw new CliError(
        "NO_SCHEDULE",
        `schedule "${only.name}": slot ${at(only.due.slot)} is run ${shortRun(only.due.run)} already; a slot opens one run`,
      );
    }
    const summary = await executeRun(context, deployed, session, backend, { opening: only.due.opening });
    context.result(summary, runLines(summary, choiceOf(context.home, deployed.connection)));
    return summary.state === "succeeded" ? EXIT.ok : EXIT.run;
  });
}

const at = (seconds: number | null): string =>
  seconds === null ? "never" : new Date(seconds * 1000).toISOString().replace(":00.000Z", "Z");

function line({ name, cron, next, due }: ScheduleStatus & { due: { opened: boolean } | null }): string {
  const now = due ? `; slot ${at(due.slot)} ${due.opened ? `is run ${shortRun(due.run)}` : "is due"}` : "";
  return `${name}  ${cron} (UTC)  next ${at(next)}${now}`;
}
