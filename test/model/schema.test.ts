/** spec.schema.json and spec.ts say the same: fields, which of them are required, and the values of closed lists. */
import path from "node:path";
import Ajv2020 from "ajv/dist/2020";
import ts from "typescript";
import schema from "../../model/spec.schema.json";
import { FORMATS } from "../../protocol/formats";
import { NAME } from "../../protocol/names";

const root = path.resolve(__dirname, "../..");
const file = path.join(root, "model/spec.ts");
const program = ts.createProgram([file], { strict: true, exactOptionalPropertyTypes: true, noEmit: true, types: [] });
const checker = program.getTypeChecker();
const source = program.getSourceFile(file) as ts.SourceFile;
const interfaces = new Map(
  source.statements.filter(ts.isInterfaceDeclaration).map((node) => [node.name.text, checker.getTypeAtLocation(node)]),
);
const defs = schema.$defs as unknown as Record<
  string,
  { properties?: Record<string, Record<string, unknown>>; required?: string[]; additionalProperties?: boolean }
>;
/** FileDataset is an argument of components, not a part of a spec. */
const described = [...interfaces.keys()].filter((name) => name !== "FileDataset");
const optional = (symbol: ts.Symbol) => (symbol.flags & ts.SymbolFlags.Optional) !== 0;
/** Members of a union of literals; undefined for any other type. */
function literals(type: ts.Type): unknown[] | undefined {
  const members = (type.isUnion() ? type.types : [type]).filter((t) => (t.flags & ts.TypeFlags.Undefined) === 0);
  return members.every((t) => t.isLiteral()) ? members.map((t) => (t as ts.LiteralType).value) : undefined;
}

describe("every interface of spec.ts is described:", () => {
  it.each(described)("%s", (name) => {
    const type = interfaces.get(name) as ts.Type;
    const def = defs[name];
    const fields = checker.getPropertiesOfType(type);
    expect(Object.keys(def?.properties ?? {}).sort()).toEqual(fields.map((f) => f.name).sort());
    expect(def?.additionalProperties).toBe(false);
    // Of images, ImageSource requires the kind.
    const required = [...(name.endsWith("Image") ? ["kind"] : []), ...(def?.required ?? [])];
    expect([...required].sort()).toEqual(
      fields
        .filter((f) => !optional(f))
        .map((f) => f.name)
        .sort(),
    );
    for (const field of fields) {
      const values = literals(checker.getTypeOfSymbol(field));
      const said = def?.properties?.[field.name] ?? {};
      if (values === undefined || said.$ref !== undefined || field.name === "kind") continue;
      expect([field.name, new Set((said.enum as unknown[]) ?? [said.const])]).toEqual([field.name, new Set(values)]);
    }
  });

  it("and nothing else is", () => {
    const helpers = ["Argument", "Duration", "Format", "FormatOrSpec", "ImageSource", "InputOrSpec", "Memory", "Name"];
    const more = ["Path", "Reason", "Reference", "ReleaseOrSpec", "ScheduleOrSpec", "Variable"];
    expect(Object.keys(defs).sort()).toEqual([...described, ...helpers, ...more].sort());
  });
});

it("formats and names are the protocol's", () => {
  expect((defs.Format as { enum?: string[] }).enum).toEqual([...FORMATS]);
  expect((defs.Name as { pattern?: string }).pattern).toBe(NAME.source.replaceAll("\\/", "/"));
});

it("defaults are the plan's", () => {
  const { STEP_DEFAULTS } = require("../../model") as typeof import("../../model");
  const step = defs.StepSpec?.properties ?? {};
  expect([step.timeout?.default, step.wait?.default, step.shards?.default]).toEqual([
    "1h",
    "10m",
    STEP_DEFAULTS.shards,
  ]);
  expect([STEP_DEFAULTS.timeoutSeconds, STEP_DEFAULTS.waitSeconds]).toEqual([3600, 600]);
  const retry = defs.Retry?.properties ?? {};
  expect([retry.backoff?.default, retry.factor?.default, retry.maxBackoff?.default]).toEqual([
    "5s",
    STEP_DEFAULTS.backoffFactor,
    "5m",
  ]);
  expect([STEP_DEFAULTS.backoffSeconds, STEP_DEFAULTS.maxBackoffSeconds]).toEqual([5, 300]);
  const { cpu, memory } = defs.Resources?.properties ?? {};
  expect([String(cpu?.default), memory?.default]).toEqual([STEP_DEFAULTS.cpu, STEP_DEFAULTS.memory]);
});

it("the schema is a valid schema of draft 2020-12 and is published as sealflow/spec.schema.json", () => {
  const ajv = new Ajv2020({ allowUnionTypes: true });
  expect(ajv.validateSchema(schema)).toBe(true);
  const { exports } = require("../../package.json");
  expect(exports["./spec.schema.json"]).toBe("./dist/model/spec.schema.json");
});
