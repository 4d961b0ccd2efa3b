// expect: Type 'Outputs<"split", { readonly train: "jsonl"; readonly report: "json"; }>' is missing the following properties from type 'Handle<"jsonl" | "json" | "csv" | "parquet" | "arrow" | "npy" | "safetensors" | "onnx" | "text" | "png" | "tar" | "bytes", string>': format, ref, collect
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

p.step("x", { image: folder, command, inputs: { split } });
