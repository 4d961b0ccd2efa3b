/** Steps from which on a pipeline's resources are made without traces. */
const MANY = 50;

/**
 * Makes the resources of a large pipeline. Pulumi's SDK writes a stack trace for each property of each resource, for its
 * reports of promises that never end; with hundreds of steps that is half of a program's time and much of its memory.
 * Where each resource was made is still recorded. Small pipelines keep the traces.
 */
export function withoutTraces<T>(steps: number, make: () => T): T {
  if (steps < MANY) return make();
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return make();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
