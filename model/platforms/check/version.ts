/** Dotted versions such as `1.34` or `6.16.1`; a leading v and what follows a dash or plus are ignored. */

/** @returns the numbers; undefined: not a version. */
export function versionOf(text: string): readonly number[] | undefined {
  const [, numbers] = /^v?([0-9]+(?:\.[0-9]+){1,2})(?:[-+.].*)?$/.exec(text) ?? [];
  return numbers?.split(".").map(Number);
}

export function isBelow(found: readonly number[], floor: readonly number[]): boolean {
  for (let i = 0; i < Math.max(found.length, floor.length); i++) {
    const difference = (found[i] ?? 0) - (floor[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
