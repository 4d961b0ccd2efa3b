// expect: Object literal may only specify known properties, but 'timeuot' does not exist in type 'StepDefinition<Record<never, never>, { readonly model: "json"; }>'. Did you mean to write 'timeout'?
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

defineStep({ image: folder, command, outputs: { model: "json" }, timeuot: "1h" });
