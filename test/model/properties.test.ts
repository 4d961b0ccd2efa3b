import fc from "fast-check";
import { compilePlan, type PipelineSpec, SpecError, validateSpec } from "../../model";
import { cycles, topological } from "../../model/graph";
import { distance, nearest } from "../../model/suggest";

/** Graphs as "step i reads steps …": earlier ones only, or any. */
const graph = (acyclic: boolean) =>
  fc
    .integer({ min: 1, max: 30 })
    .chain((n) =>
      fc.tuple(
        ...Array.from({ length: n }, (_, i) =>
          fc.uniqueArray(fc.nat(acyclic ? Math.max(0, i - 1) : n - 1), { maxLength: 4 }),
        ),
      ),
    )
    .map((reads) => reads.map((from, i) => (acyclic && i === 0 ? [] : from)));
const waits = (reads: readonly number[][]) =>
  new Map(reads.map((from, i) => [`s${i}`, new Set(from.map((j) => `s${j}`))]));

/** The spec of such a graph, its steps in an order given by `key`. */
function specOf(reads: readonly number[][], key: (i: number) => number = (i) => i): PipelineSpec {
  const order = reads.map((_, i) => i).sort((a, b) => key(a) - key(b));
  const steps = order.map((i) => [
    `s${i}`,
    {
      image: { kind: "folder", path: "./x" },
      command: ["x"],
      inputs: Object.fromEntries((reads[i] as number[]).map((j) => [`i${j}`, `s${j}.o`])),
      outputs: { o: "json" },
    },
  ]);
  return { version: 1, name: "p", steps: Object.fromEntries(steps) };
}

it("any graph that reads backwards compiles, every step after all it reads, whatever the order of the data", () => {
  fc.assert(
    fc.property(graph(true), fc.nat(97), (reads, salt) => {
      const plan = compilePlan(specOf(reads, (i) => (i * 61 + salt) % 97));
      const position = new Map(plan.steps.map(({ name }, i) => [name, i]));
      expect(position.size).toBe(reads.length);
      for (const { step, to } of plan.edges) {
        expect(position.get(step)).toBeLessThan(position.get(to) as number);
      }
      expect(plan.edges).toHaveLength(reads.flat().length);
    }),
  );
});

it("a graph is refused for a cycle exactly when it cannot be put in order, and each cycle told is one", () => {
  fc.assert(
    fc.property(graph(false), (reads) => {
      const after = waits(reads);
      const found = cycles(after);
      expect(found.length > 0).toBe(topological(after).rest.length > 0);
      for (const path of found) {
        expect(path[0]).toBe(path.at(-1));
        for (const [i, step] of path.slice(1).entries()) expect(after.get(step)?.has(path[i] as string)).toBe(true);
      }
      expect(validateSpec(specOf(reads)).some(({ code }) => code === "CYCLE")).toBe(found.length > 0);
    }),
  );
});

it("no data whatever breaks the check, and what it passes compiles", () => {
  const near = fc.record(
    {
      version: fc.constantFrom(1, 2),
      name: fc.oneof(fc.constant("p"), fc.string()),
      inputs: fc.dictionary(fc.constantFrom("a", "b", "__proto__", "A"), fc.oneof(fc.constant("json"), fc.jsonValue())),
      steps: fc.dictionary(
        fc.constantFrom("s", "t", "toString"),
        fc.record(
          {
            image: fc.oneof(fc.constant({ kind: "folder", path: "x" }), fc.jsonValue()),
            command: fc.oneof(fc.constant(["x"]), fc.jsonValue()),
            inputs: fc.oneof(fc.dictionary(fc.string(), fc.constantFrom("a", "s.o", "t.o", ".", "..")), fc.jsonValue()),
            outputs: fc.oneof(fc.constant({ o: "json" }), fc.jsonValue()),
            timeout: fc.oneof(fc.constant("1h"), fc.jsonValue()),
          },
          { requiredKeys: ["image", "command"] },
        ),
      ),
      releases: fc.oneof(fc.dictionary(fc.constantFrom("r", "log"), fc.constantFrom("s.o", "t.o")), fc.jsonValue()),
    },
    { requiredKeys: ["version", "name", "steps"] },
  );
  fc.assert(
    fc.property(fc.oneof(near, fc.jsonValue()), (value) => {
      const problems = validateSpec(value);
      for (const { message } of problems) expect(message.length).toBeLessThan(1000);
      if (problems.length === 0) expect(compilePlan(value as unknown as PipelineSpec).steps.length).toBeGreaterThan(0);
      else expect(() => compilePlan(value as unknown as PipelineSpec)).toThrow(SpecError);
    }),
    { numRuns: 500 },
  );
});

describe("the nearest name", () => {
  it.each([
    ["trian", "train"],
    ["Train", "train"],
    ["tain", "train"],
    ["trains", "train"],
  ])("of %s is %s", (found, expected) => expect(nearest(found, ["test", "train", "split"])).toBe(expected));

  it.each([["x"], ["metrics"], [""], ["toString"]])("of %s is none", (found) =>
    expect(nearest(found, ["test", "train"])).toBeUndefined(),
  );

  it("is at a distance that is zero for itself and the same both ways", () => {
    const word = fc.string({ maxLength: 8 });
    fc.assert(
      fc.property(word, word, (a, b) => {
        expect(distance(a, a)).toBe(0);
        expect(distance(a, b)).toBe(distance(b, a));
        expect(distance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length));
      }),
    );
  });
});
