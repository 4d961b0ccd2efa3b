/**
 * Copies a resource's properties once. In a preview, @pulumi/policy throws when a value that is not known yet is touched,
 * and then drops the whole policy with a note; one unknown field must not switch a rule off.
 */
import { UNKNOWN } from "./types";

/** Deeper than any resource; what lies below is of no concern to a rule. */
const DEPTH = 24;

export function readable(props: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return copy(props, 0) as Record<string, unknown>;
}

function copy(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (depth > DEPTH) return UNKNOWN;
  if (Array.isArray(value)) return Array.from({ length: value.length }, (_, i) => field(value, i, depth));
  return Object.fromEntries(Object.keys(value).map((key) => [key, field(value, key, depth)]));
}

function field(value: object, key: string | number, depth: number): unknown {
  try {
    return copy((value as Record<string | number, unknown>)[key], depth + 1);
  } catch {
    return UNKNOWN;
  }
}
