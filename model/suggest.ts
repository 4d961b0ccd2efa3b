/** Finds what was meant. */

/** Number of single-character edits, swaps of neighbours among them, that turn `a` into `b`. */
export function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const cell = (i: number, j: number) => rows[i]?.[j] ?? Number.POSITIVE_INFINITY;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(cell(i - 1, j) + 1, cell(i, j - 1) + 1, cell(i - 1, j - 1) + same);
      if (a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, cell(i - 2, j - 2) + 1);
      row.push(best);
    }
  }
  return cell(a.length, b.length);
}

/** The nearest of `known` when it is near enough to be a slip (a third of its length, at least one edit). */
export function nearest(found: string, known: Iterable<string>): string | undefined {
  if (found.length > 100) return undefined;
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const name of known) {
    if (Math.abs(name.length - found.length) > 3) continue;
    const edits = distance(found.toLowerCase(), name.toLowerCase());
    if (edits < least && edits <= Math.max(1, Math.floor(Math.max(found.length, name.length) / 3))) {
      best = name;
      least = edits;
    }
  }
  return best;
}

/** ` Did you mean "train"?`, or nothing. */
export function didYouMean(found: string, known: Iterable<string>): string {
  const name = nearest(found, known);
  return name === undefined ? "" : ` Did you mean "${name}"?`;
}

/** `train, test`, cut after twelve. */
export function listed(names: readonly string[]): string {
  if (names.length === 0) return "none";
  const shown = names.slice(0, 12).join(", ");
  return names.length > 12 ? `${shown} and ${names.length - 12} more` : shown;
}
