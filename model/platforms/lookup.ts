/**
 * Where confidential pods may run, as data: one row for each platform, those that may be used and those that are refused
 * with the reason. Nothing falls back silently: what has no row, or a refused one, stops at preview.
 */
import { didYouMean, listed } from "../suggest";
import { REFUSED } from "./refused";
import type { PlatformRow } from "./types";
import { USABLE } from "./usable";

export const PLATFORMS: readonly PlatformRow[] = [...USABLE, ...REFUSED];

/** @returns the row of a platform that may be used. */
export const usablePlatform = (name: string): PlatformRow | undefined =>
  USABLE.find(({ platform }) => platform === name);

/** @returns why a platform cannot be used, and what to do; undefined when it can. */
export function platformProblem(name: string): string | undefined {
  const row = PLATFORMS.find(({ platform }) => platform === name);
  const usable = USABLE.map(({ platform }) => platform);
  if (row === undefined) return `there is no platform "${name}" (has ${listed(usable)}).${didYouMean(name, usable)}`;
  return row.state === "refused" ? `platform "${name}" is refused: ${row.reason}. Use ${row.instead}` : undefined;
}

/** @returns why a step may not run under a runtime class; undefined when nothing is known against it. */
export function runtimeClassProblem(runtimeClass: string): string | undefined {
  const row = REFUSED.find(({ runtimeClasses }) => runtimeClasses.includes(runtimeClass));
  const shown = runtimeClass === "" ? "no runtime class" : `runtime class "${runtimeClass}"`;
  return row && `${shown} is refused: ${row.reason}. Use ${row.instead}`;
}

/** @returns why steps of a pipeline may not run on a platform; undefined when they may. */
export function stepPlatformProblem(name: string): string | undefined {
  const row = usablePlatform(name);
  if (row === undefined) return platformProblem(name);
  if (row.tee !== null) return undefined;
  return `platform "${name}" runs no steps: ${row.reason}. Use a platform whose boundary is the pod`;
}

/** Runtime classes that steps may have, each with whether hardware keeps the operator out under it. */
export const USABLE_RUNTIME_CLASSES: ReadonlyMap<string, boolean> = new Map(
  USABLE.filter(({ tee }) => tee !== null).flatMap(({ runtimeClasses, confidential }) =>
    runtimeClasses.map((runtimeClass): [string, boolean] => [runtimeClass, confidential]),
  ),
);
