/** Differences of two sets of inputs, down to single values. */
import { isValues, type Values } from "./preview";

export interface FieldChange {
  /** Such as `inputs.mails.format`; of a list `runKeys[]`, for each value that comes or goes. */
  readonly path: string;
  /** For people; undefined: it was, or will be, absent. */
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** How Pulumi writes a value that only the deployment will know. */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
export const SECRET = "[secret]";
/** A list that is longer as text is told value by value. */
const SHORT = 120;
/** Nothing is cut silently: what is longer says so. */
const LONGEST = 2000;

/** @param reasons inputs that changed by the engine's own word: a secret reads the same before and after. */
export function fieldChanges(
  before: Values,
  after: Values,
  leaveOut: readonly string[] = [],
  reasons: readonly string[] = [],
): FieldChange[] {
  const found: FieldChange[] = [];
  const left = new Set(leaveOut);
  collect("", before, after, left, found);
  for (const path of reasons) {
    // Only what both sides hide can change without a trace.
    const told = found.some((field) => field.path === path || field.path.startsWith(`${path}.`));
    if (!told && hides(path, before[path], left) && hides(path, after[path], left)) {
      found.push({ path, before: "a secret", after: "a secret" });
    }
  }
  return found;
}

function hides(path: string, value: unknown, leaveOut: ReadonlySet<string>): boolean {
  if (leaveOut.has(path)) return false;
  if (value === SECRET) return true;
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([key, inner]) => hides(`${path}.${key}`, inner, leaveOut));
}

/** Paths of values that are `what`: a secret, or unknown yet. */
export function placesOf(what: string, value: unknown, at = ""): string[] {
  if (value === what) return [at];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => placesOf(what, inner, at === "" ? key : `${at}.${key}`));
}

function collect(path: string, before: unknown, after: unknown, leaveOut: Set<string>, found: FieldChange[]): void {
  if (leaveOut.has(path) || same(before, after)) return;
  if (isValues(before ?? {}) && isValues(after ?? {}) && (isValues(before) || isValues(after))) {
    const [old, next] = [(before ?? {}) as Values, (after ?? {}) as Values];
    const keys = [...new Set([...Object.keys(old), ...Object.keys(next)])].sort();
    // An empty one that comes or goes has nothing inside to tell.
    if (keys.length === 0) found.push({ path, before: shown(before), after: shown(after) });
    for (const key of keys) collect(path === "" ? key : `${path}.${key}`, old[key], next[key], leaveOut, found);
    return;
  }
  if (isLong(before) || isLong(after)) {
    const [old, next] = [listOf(before), listOf(after)];
    const parts = onlyIn(old, next).map(
      (value): FieldChange => ({ path: `${path}[]`, before: shown(value), after: undefined }),
    );
    parts.push(
      ...onlyIn(next, old).map((value): FieldChange => ({ path: `${path}[]`, before: undefined, after: shown(value) })),
    );
    if (parts.length > 0) {
      found.push(...parts);
      return;
    }
  }
  found.push({ path, before: shown(before), after: shown(after) });
}

const isLong = (value: unknown): boolean => Array.isArray(value) && JSON.stringify(value).length > SHORT;
const listOf = (value: unknown): unknown[] =>
  Array.isArray(value) ? value : value === undefined || value === null ? [] : [value];

/** With their numbers: the second of two equal ones counts, too. */
function onlyIn(these: readonly unknown[], those: readonly unknown[]): unknown[] {
  const rest = those.map((value) => JSON.stringify(value));
  return these.filter((value) => {
    const at = rest.indexOf(JSON.stringify(value));
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
}

/** A value that is not known yet may turn out to be the same; Pulumi lists the resource because something else changed. */
const same = (before: unknown, after: unknown): boolean => JSON.stringify(before) === JSON.stringify(after);

function shown(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (value === UNKNOWN) return "known after the deployment";
  if (value === SECRET) return "a secret";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const more = text.length - LONGEST;
  return more > 0 ? `${text.slice(0, LONGEST)}… CUT: ${more} more characters, see the program` : text;
}
