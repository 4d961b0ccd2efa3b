/**
 * Checks plain JSON values at the border: copies each field once, refuses unknown fields, lists every problem.
 * A shape that passes returns a fresh value, so nothing can change behind the check.
 */
import { ProtocolError } from "./errors";
import { quoted } from "./quoted";

type Problems = string[];

/** Returns the checked copy, or adds to `problems`; `at` is the path for messages. */
export type Shape<T> = (value: unknown, at: string, problems: Problems) => T;

export type Infer<S> = S extends Shape<infer T> ? T : never;

/** @throws ProtocolError SHAPE with all problems, each with its path. */
export function parse<T>(shape: Shape<T>, value: unknown, name: string): T {
  const problems: Problems = [];
  const copy = shape(value, name, problems);
  if (problems.length > 0) throw new ProtocolError("SHAPE", problems.join("; "));
  return copy;
}

const describe = (value: unknown): string => (value === null ? "null" : Array.isArray(value) ? "a list" : typeof value);

function refuse<T>(problems: Problems, at: string, found: unknown, wanted: string): T {
  problems.push(`${at}: expected ${wanted}, found ${describe(found)}`);
  return undefined as T;
}

export interface TextRules {
  readonly max?: number;
  readonly pattern?: RegExp;
  /** Names the pattern in messages. */
  readonly what?: string;
}

export const text =
  ({ max = 4096, pattern, what = "text" }: TextRules = {}): Shape<string> =>
  (value, at, problems) => {
    if (typeof value !== "string") return refuse(problems, at, value, what);
    if (value.length > max) problems.push(`${at}: ${value.length} characters, at most ${max}`);
    else if (pattern && !pattern.test(value)) problems.push(`${at}: not ${what}`);
    return value;
  };

export const integer =
  (min: number, max: number): Shape<number> =>
  (value, at, problems) => {
    if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
      problems.push(`${at}: expected an integer from ${min} to ${max}`);
    }
    return value as number;
  };

export const literal =
  <const T extends string | number | boolean | null>(...allowed: readonly T[]): Shape<T> =>
  (value, at, problems) => {
    if (!allowed.includes(value as T))
      problems.push(`${at}: expected ${allowed.map((a) => JSON.stringify(a)).join(" or ")}`);
    return value as T;
  };

export const list =
  <T>(item: Shape<T>, max = 1000): Shape<T[]> =>
  (value, at, problems) => {
    if (!Array.isArray(value)) return refuse(problems, at, value, "a list");
    if (value.length > max) {
      problems.push(`${at}: ${value.length} entries, at most ${max}`);
      return [];
    }
    return value.map((entry, i) => item(entry, `${at}[${i}]`, problems));
  };

/** A map from names (as `key` has them) to values. It has no others: `constructor` is a name, too. */
export const record =
  <T>(key: RegExp, item: Shape<T>, max = 1000): Shape<Record<string, T>> =>
  (value, at, problems) => {
    if (!isPlain(value)) return refuse(problems, at, value, "an object");
    const entries = Object.entries(value);
    if (entries.length > max) problems.push(`${at}: ${entries.length} entries, at most ${max}`);
    const out: Record<string, T> = Object.create(null);
    for (const [name, entry] of entries.slice(0, max)) {
      if (!key.test(name) || name === "__proto__") problems.push(`${at}: bad name ${quoted(name, 60)}`);
      else out[name] = item(entry, `${at}.${name}`, problems);
    }
    return out;
  };

export const nullable =
  <T>(shape: Shape<T>): Shape<T | null> =>
  (value, at, problems) =>
    value === null ? null : shape(value, at, problems);

/** Marks a field that may be absent. */
export class Optional<T> {
  constructor(readonly shape: Shape<T>) {}
}
export const optional = <T>(shape: Shape<T>): Optional<T> => new Optional(shape);

type Fields = Record<string, Shape<unknown> | Optional<unknown>>;
type Of<F extends Fields> = {
  [K in keyof F as F[K] extends Optional<unknown> ? never : K]: F[K] extends Shape<infer T> ? T : never;
} & { [K in keyof F as F[K] extends Optional<unknown> ? K : never]?: F[K] extends Optional<infer T> ? T : never };

export const object =
  <F extends Fields>(fields: F): Shape<{ [K in keyof Of<F>]: Of<F>[K] }> =>
  (value, at, problems) => {
    if (!isPlain(value)) return refuse(problems, at, value, "an object");
    const out: Record<string, unknown> = {};
    for (const name of Object.keys(value)) {
      if (!Object.hasOwn(fields, name)) problems.push(`${at}: unknown field ${quoted(name, 60)}`);
    }
    for (const [name, field] of Object.entries(fields)) {
      const shape = field instanceof Optional ? field.shape : field;
      if (!Object.hasOwn(value, name) || value[name] === undefined) {
        if (!(field instanceof Optional)) problems.push(`${at}.${name}: missing`);
      } else out[name] = shape(value[name], `${at}.${name}`, problems);
    }
    return out as { [K in keyof Of<F>]: Of<F>[K] };
  };

/** Any JSON value, for places where another check follows. */
export const json: Shape<unknown> = (value) => structuredClone(value);

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
