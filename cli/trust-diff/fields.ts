/** Differences of two sets of inputs, down to single values. */
import { isValues, type Values } from "./preview";

export interface FieldChange {
  /** Such as `inputs.mails.format`. */
  readonly path: string;
  /** For people; undefined: it was, or will be, absent. */
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** How Pulumi writes a value that only the deployment will know. */
const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const SECRET = "[secret]";
const LONGEST = 120;

/** @param reasons inputs that changed by the engine's own word: a secret reads the same before and after. */
export function fieldChanges(
  before: Values,
  after: Values,
  leaveOut: readonly string[] = [],
  reasons: readonly string[] = [],
): FieldChange[] {
  const found: FieldChange[] = [];
  collect("", before, after, new Set(leaveOut), found);
  for (const path of reasons) {
    if (before[path] === SECRET && after[path] === SECRET) found.push({ path, before: "a secret", after: "a secret" });
  }
  return found;
}

function collect(path: string, before: unknown, after: unknown, leaveOut: Set<string>, found: FieldChange[]): void {
  if (leaveOut.has(path) || same(before, after)) return;
  if (isValues(before ?? {}) && isValues(after ?? {}) && (isValues(before) || isValues(after))) {
    const [old, next] = [(before ?? {}) as Values, (after ?? {}) as Values];
    for (const key of [...new Set([...Object.keys(old), ...Object.keys(next)])].sort()) {
      collect(path === "" ? key : `${path}.${key}`, old[key], next[key], leaveOut, found);
    }
    return;
  }
  found.push({ path, before: shown(before), after: shown(after) });
}

/** A value that is not known yet may turn out to be the same; Pulumi lists the resource because something else changed. */
const same = (before: unknown, after: unknown): boolean => JSON.stringify(before) === JSON.stringify(after);

function shown(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (value === UNKNOWN) return "known after the deployment";
  if (value === SECRET) return "a secret";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const short = /^[0-9a-f]{64}$/.test(text) ? text.slice(0, 12) : text.replace(/([0-9a-f]{12})[0-9a-f]{52}/g, "$1…");
  return short.length > LONGEST ? `${short.slice(0, LONGEST)}…` : short;
}
