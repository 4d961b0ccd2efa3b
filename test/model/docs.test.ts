/** The program in docs/pipelines.md compiles and makes a spec; the table of a step's fields has all of them. */
import fs from "node:fs";
import path from "node:path";
import { transformSync } from "@swc/core";
import schema from "../../model/spec.schema.json";

const text = fs.readFileSync(path.resolve(__dirname, "../../docs/pipelines.md"), "utf8");

it("the program of the documentation makes a pipeline", () => {
  const program = /```ts\n([\s\S]*?)```/.exec(text)?.[1] as string;
  const { code } = transformSync(program, { jsc: { parser: { syntax: "typescript" } }, module: { type: "commonjs" } });
  const module = { exports: {} as Record<string, never> };
  new Function("require", "module", "exports", code)(() => require("../../model"), module, module.exports);
  expect(module.exports.spec).toMatchObject({
    steps: {
      split: { inputs: { mails: "mails" } },
      train: { inputs: { data: { from: "split.train", format: "jsonl" } } },
    },
    releases: { model: { from: "train.model", recipients: ["auditor"] } },
  });
});

it("every field of a step is told", () => {
  const table = text.slice(text.indexOf("## A step"), text.indexOf("## Formats"));
  const rows = table
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) => line.split("|")[1] as string);
  const told = rows.flatMap((row) => [...row.matchAll(/`([a-zA-Z]+)/g)].map(([, field]) => field));
  expect(told.sort()).toEqual(Object.keys(schema.$defs.StepSpec.properties).sort());
});

it("every format is told", () => {
  for (const format of schema.$defs.Format.enum) expect(text).toContain(`\`${format}\``);
});
