/** Two pipelines on one environment. Each has keys of its own: a guest of one gets nothing of the other. */
import { ConfidentialPipeline, dataset, defineStep, image, localEnvironment, pipeline } from "sealflow";

/** A step that both pipelines use: one definition, two identities. */
const clean = defineStep({
  image: image.folder("./steps/clean"),
  command: ["node", "/app/main.js"],
  inputs: { lines: "text" },
  outputs: { rows: "jsonl" },
});

function counting(name: string) {
  const p = pipeline(name);
  const cleaned = clean(p, "clean", { lines: p.input("lines", "text") });
  const count = p.step("count", {
    image: image.folder("./steps/count"),
    command: ["node", "/app/main.js"],
    inputs: { rows: cleaned.rows },
    outputs: { report: "json" },
  });
  p.release({ report: count.report });
  return p.toJSON();
}

const environment = localEnvironment();
const inputs = { lines: dataset.file("./data/lines.txt") };

const counts = new ConfidentialPipeline("counts", { spec: counting("counts"), inputs, environment });
const other = new ConfidentialPipeline("other", { spec: counting("other"), inputs, environment });

export const pipelines = { counts: counts.pipelineUid, other: other.pipelineUid };
