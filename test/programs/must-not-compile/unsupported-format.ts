// expect: Type '"jsonn"' is not assignable to type '"jsonl" | "json" | "csv" | "parquet" | "arrow" | "npy" | "safetensors" | "onnx" | "text" | "png" | "tar" | "bytes" | FormatSpec'. Did you mean '"json"'?
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

p.step("x", { image: folder, command, outputs: { model: "jsonn" } });
