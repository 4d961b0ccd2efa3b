/** One measured number beside what it is compared with. Every bench of the project has this form. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  /** Such as `ms`, `B`, `MB/s`. */
  readonly unit: string;
  /** A limit or a peer, in the same unit; null when there is none. */
  readonly against: number | null;
  /** `value / against`, three digits. */
  readonly ratio: number | null;
  /** What must hold, for people: such as `<= 1000 ms`; null when the figure only informs. */
  readonly goal: string | null;
  /** null exactly when there is no goal. */
  readonly met: boolean | null;
}

export interface BenchOptions {
  /** Progress, for people; never part of the figures. */
  readonly say: (line: string) => void;
}

export type Bench = (options: BenchOptions) => Promise<Figure[]>;

export interface FigureArgs {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly against?: number;
  /** The value must be at most this. */
  readonly atMost?: number;
  /** The value must be at least this. */
  readonly atLeast?: number;
}

export function figure({ name, value, unit, against, atMost, atLeast }: FigureArgs): Figure {
  const limits = [
    ...(atMost === undefined ? [] : [{ text: `<= ${atMost} ${unit}`, met: value <= atMost }]),
    ...(atLeast === undefined ? [] : [{ text: `>= ${atLeast} ${unit}`, met: value >= atLeast }]),
  ];
  return {
    name,
    value: rounded(value),
    unit,
    against: against ?? null,
    ratio: against === undefined ? null : rounded(value / against),
    goal: limits.length === 0 ? null : limits.map(({ text }) => text).join(" and "),
    met: limits.length === 0 ? null : limits.every(({ met }) => met),
  };
}

/** Three significant digits below 1000, whole numbers above. */
const rounded = (value: number): number => (Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(3)));

/** Lines of a table for people. */
export function tableOf(figures: readonly Figure[]): string[] {
  const rows = figures.map((f) => [
    f.name,
    `${f.value} ${f.unit}`,
    f.against === null ? "" : `against ${f.against} ${f.unit} (x ${f.ratio})`,
    f.goal === null ? "" : `${f.met ? "ok" : "MISSED"} ${f.goal}`,
  ]);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
