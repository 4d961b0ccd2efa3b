// expect: 'a' implicitly has type 'any' because it does not have a type annotation and is referenced directly or indirectly in its own initializer.
// expect: Block-scoped variable 'b' used before its declaration.
// expect: Variable 'b' is used before being assigned.
// expect: 'b' implicitly has type 'any' because it does not have a type annotation and is referenced directly or indirectly in its own initializer.
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

const a = p.step("a", { image: folder, command, inputs: { back: b.out }, outputs: { out: "json" } });
const b = p.step("b", { image: folder, command, inputs: { there: a.out }, outputs: { out: "json" } });
