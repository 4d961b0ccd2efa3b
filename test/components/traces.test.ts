import { withoutTraces } from "../../components/traces";

const depth = () => (new Error().stack ?? "").split("\n").length - 1;

test("a large pipeline is made without stack traces, a small one with them, and afterwards all is as before", () => {
  const before = Error.stackTraceLimit;
  expect(withoutTraces(500, depth)).toBe(0);
  expect(withoutTraces(10, depth)).toBeGreaterThan(0);
  expect(() =>
    withoutTraces(500, () => {
      throw new Error("no");
    }),
  ).toThrow("no");
  expect(Error.stackTraceLimit).toBe(before);
});
