/**
 * Makes a component's resources. Pulumi's SDK writes a stack trace for each property of each resource, for its reports of
 * promises that never end; that is a quarter of the time in which a platform's program starts, and with hundreds of steps
 * half of it. The traces would lead into this package only. Where each resource was made is still recorded.
 */
export function withoutTraces<T>(make: () => T): T {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return make();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
