/** Two pipelines on one environment. Each has keys of its own: a guest of one gets nothing of the other. */
import * as pulumi from "@pulumi/pulumi";
import { ConfidentialPipeline, dataset, defineStep, image, localEnvironment, pipeline } from "sealflow";

/** A step that both pipelines use: one definition, two identities. */
const clean = defineStep({
  image: image.folder("./steps/clean"),
  command: ["node", "/app/main.js"],
  inputs: { lines: "text" },
  outputs: { rows: "jsonl" },
});

/** Public key of the stack that may read the rows: its output `recipientKey`. */
const readerKey = new pulumi.Config().get("readerKey");

function counting(name: string, releaseRows: boolean) {
  const p = pipeline(name);
  const cleaned = clean(p, "clean", { lines: p.input("lines", "text") });
  const count = p.step("count", {
    image: image.folder("./steps/count"),
    command: ["node", "/app/main.js"],
    inputs: { rows: cleaned.rows },
    outputs: { report: "json" },
  });
  p.release({ report: count.report });
  if (releaseRows) p.release({ rows: cleaned.rows }, { recipients: ["reader"] });
  return p.toJSON();
}

const environment = localEnvironment();
const inputs = { lines: dataset.file("./data/lines.txt") };

export const counts = new ConfidentialPipeline("counts", {
  spec: counting("counts", readerKey !== undefined),
  inputs,
  environment,
  ...(readerKey === undefined ? {} : { recipients: { reader: readerKey } }),
});
export const other = new ConfidentialPipeline("other", { spec: counting("other", false), inputs, environment });
