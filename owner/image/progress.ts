/** What a long reading says of itself. */
const PROGRESS_STEP = 32 * 1024 * 1024;

export function progressOf(what: string, report: ((message: string) => void) | undefined) {
  let next = 0;
  let current = 0;
  return (layer: number, layers: number, bytes: number): void => {
    if (layer !== current) next = 0;
    current = layer;
    if (bytes < next) return;
    next = bytes + PROGRESS_STEP;
    report?.(`${what} layer ${layer}/${layers}: ${Math.round(bytes / 1024 / 1024)} MiB`);
  };
}
