/** Durations and sizes as a spec writes them. */

const UNITS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;
const BYTES = { Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 } as const;

/** Seconds of `90`, `"30m"` …; undefined when it is neither a whole number nor digits with one unit. */
export function seconds(duration: unknown): number | undefined {
  if (typeof duration === "number") return Number.isInteger(duration) ? duration : undefined;
  const match = typeof duration === "string" ? /^([0-9]{1,9})([smhd])$/.exec(duration) : null;
  return match ? Number(match[1]) * UNITS[match[2] as keyof typeof UNITS] : undefined;
}

/** Bytes of `"512Mi"`, `"1.5Gi"`; undefined when it is not of this form. */
export function bytes(memory: unknown): number | undefined {
  const match = typeof memory === "string" ? /^([0-9]{1,6}(?:\.[0-9]{1,3})?)(Mi|Gi|Ti)$/.exec(memory) : null;
  return match ? Number(match[1]) * BYTES[match[2] as keyof typeof BYTES] : undefined;
}

/** The longest unit that fits, for messages: 7200 → `2h`. */
export function durationText(total: number): string {
  for (const unit of ["d", "h", "m"] as const) {
    if (total >= UNITS[unit] && total % UNITS[unit] === 0) return `${total / UNITS[unit]}${unit}`;
  }
  return `${total}s`;
}
