import fs from "node:fs";
import path from "node:path";
import { image, VETTING, validateSpec } from "../../model";
import schema from "../../model/spec.schema.json";

const step = { image: image.folder("./x"), command: ["x"] };
const asked = (level: "pipeline" | "step") =>
  VETTING.flatMap((row) => (row.asks[level] ?? []).map((field) => [field, row.feature] as const));

describe("the vetting table", () => {
  it("has one row for each feature, with a verdict, a reason and the safe form", () => {
    expect(new Set(VETTING.map((row) => row.feature)).size).toBe(VETTING.length);
    for (const row of VETTING) {
      expect(["kept", "modified", "refused"]).toContain(row.verdict);
      expect(row.reason.length).toBeGreaterThan(20);
      expect(row.instead).not.toBe("");
      // A refused form has no safe form to wait for; what is not there yet says so.
      if (row.verdict === "refused") expect(row.available).toBe(true);
      if (!row.available) expect(row.instead).toMatch(/later|inside a step/);
    }
  });

  it("names each field once, and no field that a spec has", () => {
    for (const [level, fields] of [
      ["pipeline", schema.$defs.PipelineSpec.properties],
      ["step", schema.$defs.StepSpec.properties],
    ] as const) {
      const names = asked(level).map(([field]) => field);
      expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
      expect(names.filter((name) => name in fields)).toEqual([]);
    }
  });

  it.each(asked("step"))("refuses a step with %s (%s) with the reason and the safe form", (field, feature) => {
    const row = VETTING.find((r) => r.feature === feature);
    const [problem, ...more] = validateSpec({ version: 1, name: "p", steps: { a: { ...step, [field]: {} } } });
    expect(more).toEqual([]);
    expect(problem).toMatchObject({ code: "FEATURE", at: `steps.a.${field}` });
    for (const text of [feature, row?.reason, row?.instead]) expect(problem?.message).toContain(text);
  });

  it.each(asked("pipeline"))("refuses a pipeline with %s (%s) likewise", (field, feature) => {
    const [problem, ...more] = validateSpec({ version: 1, name: "p", steps: { a: step }, [field]: {} });
    expect(more).toEqual([]);
    expect(problem).toMatchObject({ code: "FEATURE", at: field });
    expect(problem?.message).toContain(feature);
  });
});

it("the documentation has the table as it is", () => {
  const rows = VETTING.map(
    ({ feature, verdict, available, reason, instead }) =>
      `| ${[feature, available ? verdict : `${verdict}, later`, reason, instead].join(" | ")} |`,
  );
  const text = fs.readFileSync(path.resolve(__dirname, "../../docs/pipelines.md"), "utf8");
  expect(text.slice(text.indexOf(rows[0] as string))).toBe(`${rows.join("\n")}\n`);
});
