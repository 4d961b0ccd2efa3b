/** What a long reading says of itself. */
const PROGRESS_STEP = 32 * 1024 * 1024;

export function progressOf(what: string, report: ((message: string) => void) | undefined) {
  /** Layer → bytes at which it is told of again; several may be on their way. */
  const next = new Map<number, number>();
  return (layer: number, layers: number, bytes: number): void => {
    if (bytes < (next.get(layer) ?? 0)) return;
    next.set(layer, bytes + PROGRESS_STEP);
    report?.(`${what} layer ${layer}/${layers}: ${Math.round(bytes / 1024 / 1024)} MiB`);
  };
}
