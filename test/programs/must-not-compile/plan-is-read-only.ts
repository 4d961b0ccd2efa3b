// expect: Cannot assign to 'name' because it is a read-only property.
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

p.toJSON().name = "other";
