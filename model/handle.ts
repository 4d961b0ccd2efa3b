import type { Format } from "./spec";

/**
 * What one step hands to the next: an output of a step (`Ref` is `split.train`) or an input of the pipeline (`mails`).
 * Its type carries format, step and output, so a wrong one does not compile.
 */
export interface Handle<F extends Format = Format, Ref extends string = string> {
  readonly format: F;
  readonly ref: Ref;
  /** The outputs of all shards of the step, for a reader that wants them together. */
  collect(): Handle<F, Ref>;
  /** The reference. */
  toString(): string;
}

/** Any handle; a name of its own keeps error messages short. */
export interface AnyHandle extends Handle<Format, string> {}
/** What can be released: an output of a step. */
export interface AnyOutput extends Handle<Format, `${string}.${string}`> {}

interface Origin {
  readonly pipeline: object;
  readonly collected: boolean;
}
/** Which pipeline made a handle; not a property, so that handles of two pipelines have one type. */
const origins = new WeakMap<object, Origin>();

export function makeHandle<F extends Format, Ref extends string>(
  pipeline: object,
  ref: Ref,
  format: F,
  collected = false,
): Handle<F, Ref> {
  const handle: Handle<F, Ref> = Object.freeze({
    format,
    ref,
    collect: () => makeHandle(pipeline, ref, format, true),
    toString: () => ref,
  });
  origins.set(handle, { pipeline, collected });
  return handle;
}

/** @returns undefined for anything that is no handle. */
export const originOf = (value: unknown): Origin | undefined =>
  typeof value === "object" && value !== null ? origins.get(value) : undefined;
