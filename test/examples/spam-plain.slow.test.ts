import { execFileSync } from "node:child_process";
import path from "node:path";
import { spam } from "../../examples/spam-filter/pipeline";

const example = path.resolve(__dirname, "../../examples/spam-filter");
const { PLAN } = require("../../examples/spam-filter/plain") as {
  PLAN: Record<string, { args: string[]; inputs: Record<string, string> }>;
};
const plain = () =>
  JSON.parse(
    execFileSync("node", [`${example}/plain.js`, "--json"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }),
  );

describe("the spam filter without Sealflow", () => {
  it("runs the steps of the pipeline, with the same arguments and inputs", () => {
    const reference = (source: string | { from: string }) => (typeof source === "string" ? source : source.from);
    const steps = Object.entries(spam.steps).map(([name, step]) => {
      const inputs = Object.entries(step.inputs ?? {}).map(([input, source]) => [input, reference(source)]);
      return [name, { args: step.args ?? [], inputs: Object.fromEntries(inputs) }];
    });
    expect(Object.fromEntries(steps)).toEqual(PLAN);
    for (const [name, { command, image }] of Object.entries(spam.steps)) {
      expect(command).toEqual(["node", "/app/main.js"]);
      expect(image.path).toBe(`./examples/spam-filter/steps/${name}/dist`);
    }
  });

  it("finds most spam, says the same again, in less than 25 s", () => {
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
    expect(JSON.stringify(plain())).toBe(JSON.stringify(metrics));
  }, 60_000);

  it("bundles a step to the same bytes every time, and only what changed", () => {
    const { buildSteps } = require("../../examples/spam-filter/build") as { buildSteps(): string[] };
    expect(buildSteps()).toEqual([]);
  });
});
