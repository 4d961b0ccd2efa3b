/** Counts words: text → words → count → report. `npx sealflow start` deploys, runs and verifies it on this machine. */
import * as pulumi from "@pulumi/pulumi";
import { ConfidentialPipeline, dataset, image, localEnvironment, pipeline } from "sealflow";

const p = pipeline("hello");
const text = p.input("text", "text");
const words = p.step("words", {
  image: image.folder("./steps/words"),
  command: ["node", "/app/main.js"],
  inputs: { text },
  outputs: { words: "jsonl" },
});
const count = p.step("count", {
  image: image.folder("./steps/count"),
  command: ["node", "/app/main.js"],
  inputs: { words: words.words },
  outputs: { report: "json" },
  parameters: { most: 3 },
});
p.release({ report: count.report });

// Only for machines without namespaces, where steps cannot be kept apart from the runner: says why that is accepted.
const trustPrograms = new pulumi.Config().get("trustPrograms");

const hello = new ConfidentialPipeline("hello", {
  spec: p.toJSON(),
  inputs: { text: dataset.file("./data/text.txt") },
  environment: localEnvironment("local", trustPrograms ? { trustPrograms } : {}),
});

export const { pipelineUid, ownerPublicKey, version } = hello;
