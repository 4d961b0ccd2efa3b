// expect: Object literal may only specify known properties, and 'cache' does not exist in type 'StepOptions<Record<never, never>>'.
import { defineStep, image, pipeline } from "sealflow";

const p = pipeline("spam");
const mails = p.input("mails", "jsonl");
const folder = image.folder("./steps/x");
const command = ["node", "/app/main.js"];
const split = p.step("split", {
  image: folder,
  command,
  inputs: { mails },
  outputs: { train: "jsonl", report: "json" },
});
const train = defineStep({ image: folder, command, inputs: { data: "jsonl" }, outputs: { model: "json" } });

p.step("x", { image: folder, command, cache: true });
