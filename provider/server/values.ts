/**
 * Property values as the engine sends them, and as the rest of the provider sees them: plain JSON, with two kinds of
 * marked value. `Secret` wraps what must stay encrypted in state; `UNKNOWN` stands for what a preview cannot know.
 * Wire form: google.protobuf.Struct with signature keys (pulumi/pulumi, sdk/nodejs/runtime/rpc.ts).
 */
import { type JavaScriptValue, Struct } from "google-protobuf/google/protobuf/struct_pb";
import { ProviderError } from "./errors";

const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";
const OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4";
const UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** A value that the engine encrypts in state and hides in its display. */
export class Secret {
  constructor(readonly value: Value) {}
  /** Never shows the value, wherever it ends up. */
  toJSON(): string {
    return "[secret]";
  }
  toString(): string {
    return "[secret]";
  }
}

/** Only in previews. */
export class Unknown {
  toString(): string {
    return "[unknown]";
  }
}
export const UNKNOWN = new Unknown();

export type Value = null | boolean | number | string | Value[] | { [key: string]: Value } | Secret | Unknown;
export type Values = Record<string, Value>;
/** Plain JSON: what `plain` returns. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export function fromStruct(struct: Struct | undefined): Values {
  if (!struct) return {};
  return read(struct.toJavaScript(), "properties") as Values;
}

export function toStruct(values: Values): Struct {
  return Struct.fromJavaScript(write(values) as Record<string, JavaScriptValue>);
}

function read(wire: unknown, at: string): Value {
  if (wire === UNKNOWN_TEXT) return UNKNOWN;
  if (Array.isArray(wire)) return wire.map((item, i) => read(item, `${at}[${i}]`));
  if (typeof wire !== "object" || wire === null) return wire as Value;
  const fields = wire as Record<string, unknown>;
  switch (fields[SIGNATURE]) {
    case undefined:
      return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, read(value, `${at}.${key}`)]));
    case SECRET:
      return secret(read(fields.value, at));
    case OUTPUT: {
      const value = "value" in fields ? read(fields.value, at) : UNKNOWN;
      return fields.secret === true ? secret(value) : value;
    }
    default:
      throw new ProviderError("INPUT", `${at}: assets, archives and resource references are not accepted; pass a path`);
  }
}

function write(value: Value): unknown {
  if (value instanceof Unknown) return UNKNOWN_TEXT;
  if (value instanceof Secret) return { [SIGNATURE]: SECRET, value: write(value.value) };
  if (Array.isArray(value)) return value.map(write);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(entries.map(([key, field]) => [key, write(field)]));
}

/** One layer of wrapping is enough. */
export const secret = (value: Value): Secret => (value instanceof Secret ? value : new Secret(value));

/** Whether anything inside is not known yet. */
export function hasUnknown(value: Value | undefined): boolean {
  if (value instanceof Unknown) return true;
  if (value instanceof Secret) return hasUnknown(value.value);
  if (Array.isArray(value)) return value.some(hasUnknown);
  return typeof value === "object" && value !== null && Object.values(value).some(hasUnknown);
}

/**
 * Unwraps secrets all the way down: for use inside the provider only.
 * @throws ProviderError INPUT when something is unknown: callers ask `hasUnknown` first.
 */
export function plain(value: Value, at = "properties"): Json {
  if (value instanceof Unknown) throw new ProviderError("INPUT", `${at}: not known yet`);
  if (value instanceof Secret) return plain(value.value, at);
  if (Array.isArray(value)) return value.map((item, i) => plain(item, `${at}[${i}]`));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, plain(field, `${at}.${key}`)]));
}

/** Equal apart from the secret marks; an unknown equals nothing, not even another unknown. */
export function sameValue(a: Value | undefined, b: Value | undefined): boolean {
  if (a instanceof Secret) return sameValue(a.value, b);
  if (b instanceof Secret) return sameValue(a, b.value);
  if (a instanceof Unknown || b instanceof Unknown) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item, i) => sameValue(item, b[i]));
  }
  if (isMap(a) && isMap(b)) {
    const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
    return [...keys].every((key) => sameValue(a[key], b[key]));
  }
  return a === b;
}

export const isMap = (value: Value | undefined): value is { [key: string]: Value } =>
  typeof value === "object" &&
  value !== null &&
  !Array.isArray(value) &&
  !(value instanceof Secret) &&
  !(value instanceof Unknown);
