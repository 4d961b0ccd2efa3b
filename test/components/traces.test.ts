import { withoutTraces } from "../../components/traces";

const depth = () => (new Error().stack ?? "").split("\n").length - 1;

test("resources are made without stack traces, and afterwards all is as before", () => {
  const before = Error.stackTraceLimit;
  expect(withoutTraces(depth)).toBe(0);
  // As Pulumi's SDK does where it wants all of it.
  const whole = () => {
    const limit = Error.stackTraceLimit;
    try {
      Error.stackTraceLimit = Number.POSITIVE_INFINITY;
      return depth();
    } finally {
      Error.stackTraceLimit = limit;
    }
  };
  expect(withoutTraces(() => withoutTraces(whole))).toBe(0);
  expect(whole()).toBeGreaterThan(0);
  expect(depth()).toBeGreaterThan(0);
  expect(() =>
    withoutTraces(() => {
      throw new Error("no");
    }),
  ).toThrow("no");
  expect(Error.stackTraceLimit).toBe(before);
});
