// expect: 'again' implicitly has type 'any' because it does not have a type annotation and is referenced directly or indirectly in its own initializer.
// expect: Block-scoped variable 'again' used before its declaration.
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

const again = p.step("again", { image: folder, command, inputs: { last: again.state }, outputs: { state: "json" } });
