/**
 * Makes a component's resources. Pulumi's SDK takes a stack trace of each property of each resource, for its reports of
 * promises that never end, and a whole one of each resource, which the engine keeps in the state. They would lead into
 * this package only; with hundreds of steps they are half of a program's time and a fifth of a state, which the engine
 * writes anew after each resource.
 *
 * The SDK sets the limit itself where it wants a whole trace, and V8 takes none where the limit is no plain value:
 * so it can be set and means nothing. That is how V8 has always read it, and a test looks at a state.
 * Source: "Stack trace API", V8 documentation.
 */
export function withoutTraces<T>(make: () => T): T {
  const limit = Object.getOwnPropertyDescriptor(Error, "stackTraceLimit") as PropertyDescriptor;
  Object.defineProperty(Error, "stackTraceLimit", { configurable: true, get: () => 0, set: () => undefined });
  try {
    return make();
  } finally {
    Object.defineProperty(Error, "stackTraceLimit", limit);
  }
}
