/** What the layers above the runner's may neither contain nor delete: it would become part of the runner. */
const PLACES = ["sealflow", "sealflow-owner"];
/** Read by the loader in every process, wherever links lead to it. */
const PRELOAD = /(^|\/)ld\.so\.preload$/;
const WHITEOUT = /(^|\/)\.wh\.([^/]+)$/;

/** @param entry clean path of a tar entry, such as `app/main.js`; whiteouts count as what they delete. */
export function isRunnerPlace(entry: string): boolean {
  if (entry === ".wh..wh..opq" || PRELOAD.test(entry)) return true;
  const path = entry.replace(WHITEOUT, "$1$2");
  return PLACES.some((place) => path === place || path.startsWith(`${place}/`));
}
