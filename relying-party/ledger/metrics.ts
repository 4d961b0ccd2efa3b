/** `/metrics` in Prometheus' text format: answers by route and status, time spent, and the state of the ledger. */
import type { Context } from "./context";
import { logSize } from "./state/log";

export class Metrics {
  readonly #answers = new Map<string, { count: number; seconds: number }>();

  /** @param route its pattern, never a path: paths have identifiers in them. */
  observe(method: string, route: string, status: number, seconds: number): void {
    const key = `method="${method}",route="${route}",status="${status}"`;
    const entry = this.#answers.get(key) ?? { count: 0, seconds: 0 };
    entry.count++;
    entry.seconds += seconds;
    this.#answers.set(key, entry);
  }

  async text(ctx: Context): Promise<string> {
    const { size, runs } = await ctx.db.read(async (tx) => ({
      size: await logSize(tx),
      runs: await tx
        .selectFrom("runs")
        .select((e) => ["state", e.fn.countAll<number>().as("n")])
        .groupBy("state")
        .execute(),
    }));
    const answers = [...this.#answers];
    return [
      ...family("sealflow_ledger_requests_total", "counter", "Answers by route and status.", answers, (a) => a.count),
      ...family(
        "sealflow_ledger_request_seconds_total",
        "counter",
        "Time spent on answers.",
        answers,
        (a) => a.seconds,
      ),
      ...family("sealflow_ledger_log_entries", "gauge", "Entries of the log.", [["", size]], (n) => n),
      ...family(
        "sealflow_ledger_runs",
        "gauge",
        "Runs by state.",
        runs.map((r) => [`state="${r.state}"`, r.n] as const),
        (n) => n,
      ),
      "",
    ].join("\n");
  }
}

function family<T>(
  name: string,
  type: "counter" | "gauge",
  help: string,
  rows: readonly (readonly [labels: string, value: T])[],
  value: (row: T) => number,
): string[] {
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...rows.map(([labels, row]) => `${name}${labels && `{${labels}}`} ${value(row)}`),
  ];
}
