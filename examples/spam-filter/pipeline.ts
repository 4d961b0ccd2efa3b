/**
 * A spam filter on real mails: ingest → split → features → {bayes, logistic} → evaluate → gate.
 * Owner's data and models stay sealed; what leaves is the gate's choice and its figures.
 */
import { dataset, defineStep, image, pipeline } from "sealflow";

// The steps' bundles and the dataset are made from what npm installed; nothing happens when they are up to date.
(require("./build") as { buildSteps(): string[] }).buildSteps();
(require("./data") as { prepareData(): string }).prepareData();

/** Relative to the Pulumi project. */
const HERE = "./examples/spam-filter";
const step = (name: string) => image.folder(`${HERE}/steps/${name}/dist`);
const command = ["node", "/app/main.js"];

/** Both models are trained the same way. */
const trainer = (name: string, args: string[] = []) =>
  defineStep({
    image: step(name),
    command,
    args,
    inputs: { rows: "jsonl", vocabulary: "json" },
    outputs: { model: "json" },
    timeout: "10m",
    retry: { limit: 1 },
  });

const p = pipeline("spam", { description: "finds spam in mails" });
const mails = p.input("mails", "jsonl");

const ingest = p.step("ingest", { image: step("ingest"), command, inputs: { mails }, outputs: { messages: "jsonl" } });
const split = p.step("split", {
  image: step("split"),
  command,
  args: ["--seed", "2002", "--test", "0.3"],
  inputs: { messages: ingest.messages },
  outputs: { train: "jsonl", test: "jsonl" },
});
const features = p.step("features", {
  image: step("features"),
  command,
  args: ["--terms", "1000"],
  inputs: { train: split.train, test: split.test },
  outputs: { vocabulary: "json", train: "jsonl", test: "jsonl" },
});
const { vocabulary } = features;
const training = { rows: features.train, vocabulary };
const bayes = trainer("bayes")(p, "bayes", training);
const logistic = trainer("logistic", ["--steps", "100", "--rate", "0.05"])(p, "logistic", training);
const models = { bayes: bayes.model, logistic: logistic.model };
const evaluate = p.step("evaluate", {
  image: step("evaluate"),
  command,
  inputs: { rows: features.test, vocabulary, ...models },
  outputs: { report: "json" },
});
const gate = p.step("gate", {
  image: step("gate"),
  command,
  args: ["--min-f1", "0.9"],
  inputs: { report: evaluate.report, vocabulary, ...models },
  outputs: { metrics: "json", model: "json" },
});
p.release({ metrics: gate.metrics, model: gate.model });

export const spam = p.toJSON();
/** What the pipeline's input is made from. */
export const mailsFile = dataset.file(`${HERE}/data/mails.jsonl`);
