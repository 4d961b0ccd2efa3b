/**
 * The ledger with 64 clients over HTTP, on SQLite and on PostgreSQL, beside the very same database statements made
 * directly: no HTTP, no signatures, no JSON. SEALFLOW_BENCH_STEPS changes the number of steps (default 10000: V8 compiles
 * for about the first 1000, and a ledger runs for months).
 */

import { existsSync } from "node:fs";
import { type BenchOptions, type Figure, figure } from "./figure";
import type { Grown } from "./ledger/growth";
import { program } from "./support/child";

const STEPS = Number(process.env.SEALFLOW_BENCH_STEPS ?? 10_000);
/** Steps that the database holds already. SEALFLOW_BENCH_SIZES changes them. */
const SIZES = process.env.SEALFLOW_BENCH_SIZES ?? "10,1000,10000,100000";
/** How much more a step may cost at the last size than at the first. */
const FLAT = 1.25;

interface Loaded {
  readonly perSecond: number;
  readonly direct: number;
  readonly p50: number;
  readonly p99: number;
  readonly first: number;
  readonly last: number;
}

export async function run({ say }: BenchOptions): Promise<Figure[]> {
  const load = program("bench/ledger/load.ts", ["pg-native"]);
  const server = program("bench/ledger/server.ts", ["pg-native"]);
  const growth = program("bench/ledger/growth.ts", ["pg-native"]);
  try {
    const figures: Figure[] = [];
    for (const [engine, name] of [
      ["sqlite", "SQLite"],
      ["postgres", "PostgreSQL"],
    ] as const) {
      if (engine === "postgres" && !existsSync("/usr/lib/postgresql")) {
        say("PostgreSQL is not measured: not installed; apt-get install postgresql");
        continue;
      }
      say(`${STEPS} steps on ${name}, 64 clients`);
      const found = await load.run<Loaded>(server.file, engine, String(STEPS));
      const on = `ledger on ${name}`;
      const limit = Number((0.4 * found.direct).toPrecision(3));
      const per = "steps/s";
      figures.push(
        figure({
          name: `${on}, claim to commit, beside its statements made directly`,
          value: found.perSecond,
          unit: per,
          against: found.direct,
          atLeast: limit,
        }),
        figure({ name: `${on}, half of the requests within`, value: found.p50, unit: "ms" }),
        figure({ name: `${on}, 99 of 100 requests within`, value: found.p99, unit: "ms" }),
        figure({
          name: `${on}, last tenth of the steps, beside the first`,
          value: found.last,
          unit: per,
          against: found.first,
          atLeast: Number((0.8 * found.first).toPrecision(3)),
        }),
      );
      say(`${name} with ${SIZES} steps in it`);
      figures.push(...growthFigures(on, engine, await growth.run<Grown[]>(engine, SIZES)));
    }
    return figures;
  } finally {
    load.remove();
    server.remove();
    growth.remove();
  }
}

/** By CPU time, which other load does not stretch; PostgreSQL works in processes of its own, so there by the clock. */
function growthFigures(on: string, engine: "sqlite" | "postgres", found: readonly Grown[]): Figure[] {
  const cost = ({ cpuMs, wallMs }: Grown): number => (engine === "sqlite" ? cpuMs : wallMs);
  const by = engine === "sqlite" ? "CPU time" : "by the clock";
  const [first] = found;
  if (!first) return [];
  const against = Number(cost(first).toPrecision(3));
  return found.map((at) =>
    figure({
      name: `${on}, a step from claim to commit behind ${at.steps} others, ${by}`,
      value: cost(at),
      unit: "ms",
      ...(at === first ? {} : { against }),
      ...(at === found.at(-1) ? { atMost: Number((FLAT * against).toPrecision(3)) } : {}),
    }),
  );
}
