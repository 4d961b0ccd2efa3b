/** Counts the rows that the stack `local` releases to this one; its runs pin and prove which run they come from. */
import * as pulumi from "@pulumi/pulumi";
import { ConfidentialPipeline, fromStack, image, localEnvironment, pipeline } from "sealflow";

const p = pipeline("reader");
const count = p.step("count", {
  image: image.folder("./steps/count"),
  command: ["node", "/app/main.js"],
  inputs: { rows: p.input("rows", "jsonl") },
  outputs: { report: "json" },
});
p.release({ report: count.report });

export const reader = new ConfidentialPipeline("reader", {
  spec: p.toJSON(),
  inputs: { rows: fromStack(`organization/${pulumi.getProject()}/local`, "counts", "rows") },
  environment: localEnvironment(),
});

/** For the other stack: `pulumi config set readerKey <this> --stack local`. */
export const recipientKey = reader.recipientKey;
