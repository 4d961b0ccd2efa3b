import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { spam } from "../../examples/spam-filter/pipeline";
import { checkerFor } from "../../guest/formats";
import type { Format } from "../../model";

const example = path.resolve(__dirname, "../../examples/spam-filter");
const { PLAN, runPlain } = require("../../examples/spam-filter/plain") as {
  runPlain(log: (line: string) => void, keep: string): { metrics: unknown };
  PLAN: Record<string, { args: string[]; inputs: Record<string, string> }>;
};
const plain = () =>
  JSON.parse(
    execFileSync("node", [`${example}/plain.js`, "--json"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }),
  );

describe("the spam filter without Sealflow", () => {
  let first = "";

  it("runs the steps of the pipeline, with the same arguments and inputs", () => {
    const reference = (source: string | { from: string }) => (typeof source === "string" ? source : source.from);
    const steps = Object.entries(spam.steps).map(([name, step]) => {
      const inputs = Object.entries(step.inputs ?? {}).map(([input, source]) => [input, reference(source)]);
      return [name, { args: step.args ?? [], inputs: Object.fromEntries(inputs) }];
    });
    expect(Object.fromEntries(steps)).toEqual(PLAN);
    for (const [name, { command, image }] of Object.entries(spam.steps)) {
      expect(command).toEqual(["node", "/app/main.js"]);
      expect(image).toMatchObject({ path: `./examples/spam-filter/steps/${name}/dist` });
    }
  });

  it("finds most spam, in less than 25 s", () => {
    const started = Date.now();
    const metrics = plain();
    expect(Date.now() - started).toBeLessThan(25_000);
    expect(metrics.messages).toBeGreaterThan(500);
    expect(metrics.selected).toBe("logistic");
    for (const model of ["bayes", "logistic"]) {
      const { f1, precision, recall } = metrics.models[model];
      expect(f1).toBeGreaterThan(0.9);
      expect(f1).toBeCloseTo((2 * precision * recall) / (precision + recall), 12);
    }
    first = JSON.stringify(metrics);
  }, 60_000);

  it("says the same again, every output in the format that the pipeline declares, as the runner checks it", () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "spam-formats-"));
    try {
      expect(JSON.stringify(runPlain(() => {}, folder).metrics)).toBe(first);
      const files = [[path.join(example, "data/mails.jsonl"), spam.inputs?.mails] as const];
      for (const [step, { outputs }] of Object.entries(spam.steps)) {
        expect(fs.readdirSync(path.join(folder, step, "out")).sort()).toEqual(Object.keys(outputs ?? {}).sort());
        for (const [name, format] of Object.entries(outputs ?? {}))
          files.push([path.join(folder, step, "out", name), format]);
      }
      expect(files).toHaveLength(1 + 11);
      for (const [file, format] of files) {
        const checker = checkerFor(format as Format);
        checker.write(fs.readFileSync(file));
        expect(() => checker.end()).not.toThrow();
      }
    } finally {
      fs.rmSync(folder, { recursive: true, force: true });
    }
  }, 60_000);

  it("bundles a step to the same bytes every time, and only what changed", () => {
    const { buildSteps } = require("../../examples/spam-filter/build") as { buildSteps(): string[] };
    expect(buildSteps()).toEqual([]);
  });
});
