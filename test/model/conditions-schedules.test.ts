/** What a spec may say of conditions and schedules, and what it is told otherwise. */
import { compilePlan, image, pipeline, validateSpec } from "../../model";

const base = { image: image.folder("./x"), command: ["x"] };
const steps = (gate: object, more: object = {}) => ({
  gate: { ...base, outputs: { go: { format: "json", declassify: "wanted" } }, ...gate },
  next: { ...base, when: { from: "gate.go", equals: true }, ...more },
});
const problems = (spec: object) =>
  validateSpec({ version: 1, name: "p", ...spec }).map(({ code, at }) => `${code} ${at}`);

it("handles, shorthand and long form make one plan", () => {
  const p = pipeline("p");
  const gate = p.step("gate", { ...base, outputs: { go: { format: "json", declassify: "wanted" } } });
  p.step("next", { ...base, when: { from: gate.go, equals: true } });
  p.schedule("nightly", "30 3 * * MON-FRI", { late: "2h" });
  p.schedule("hourly", "0 * * * *");
  const plan = compilePlan(p.toJSON());
  expect(plan.steps.map(({ name, after, when }) => [name, after, when])).toEqual([
    ["gate", [], undefined],
    ["next", ["gate"], { from: "gate.go", equals: true }],
  ]);
  expect(plan.schedules).toEqual([
    { name: "nightly", cron: "30 3 * * MON-FRI", lateSeconds: 7200 },
    { name: "hourly", cron: "0 * * * *", lateSeconds: 3600 },
  ]);
});

it.each<[string, object, string[]]>([
  [
    "an output that nobody declassified",
    { steps: steps({ outputs: { go: "json" } }) },
    ["REFERENCE steps.next.when.from"],
  ],
  [
    "an output that does not exist",
    { steps: steps({}, { when: { from: "gate.no", equals: true } }) },
    ["REFERENCE steps.next.when.from"],
  ],
  [
    "a bit that is no json",
    { steps: steps({ outputs: { go: { format: "text", declassify: "w" } } }) },
    ["DECLASSIFY steps.gate.outputs.go.declassify"],
  ],
  ["a bit of a step with shards", { steps: steps({ shards: 2 }) }, ["DECLASSIFY steps.gate.outputs.go.declassify"]],
  [
    "a bit without a reason",
    { steps: steps({ outputs: { go: { format: "json", declassify: " " } } }) },
    ["DECLASSIFY steps.gate.outputs.go.declassify"],
  ],
  [
    "an input as a bit",
    { inputs: { a: { format: "json", declassify: "w" } }, steps: { s: base } },
    ["DECLASSIFY inputs.a.declassify"],
  ],
  [
    "steps that decide about each other",
    { steps: steps({ when: { from: "gate.go", equals: true } }) },
    ["CYCLE steps.gate.inputs"],
  ],
  ["six cron fields", { steps: { s: base }, schedules: { a: "0 0 3 * * *" } }, ["SCHEDULE schedules.a"]],
  [
    "a day that never comes",
    { steps: { s: base }, schedules: { a: { cron: "0 0 30 2 *" } } },
    ["SCHEDULE schedules.a.cron"],
  ],
  [
    "a slot that may be years late",
    { steps: { s: base }, schedules: { a: { cron: "0 0 * * *", late: "900d" } } },
    ["LIMIT schedules.a.late"],
  ],
])("%s is refused", (_what, spec, expected) => {
  expect(problems(spec)).toEqual(expected);
});
