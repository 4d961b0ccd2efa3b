/** Everything that a spec can say, through handles. */

import { defineStep, type Handle, image, type PipelineSpec, pipeline, type StepSpec } from "sealflow";
import { collectible } from "./helper";

const base = image.ociLayout("./images/base", { ref: "slim" });
const p = pipeline("everything", { description: "all of it" });
const table = p.input("table", "csv");
const arrays = p.input("arrays", "npy", { allowUnsafeFormat: "made by our own exporter" });

const map = p.step("map", {
  image: image.folder("./steps/map", { base, prefix: "/srv" }),
  command: ["/srv/map"],
  args: ["--all"],
  env: { LC_ALL: "C" },
  inputs: { table, arrays },
  outputs: { part: "parquet", objects: { format: "tar", allowUnsafeFormat: "members are ours" } },
  resources: { cpu: 0.5, memory: "512Mi" },
  retry: { limit: 3, backoff: "10s", factor: 1.5, maxBackoff: "2m" },
  timeout: 90,
  wait: "20m",
  shards: 8,
  egress: false,
  exitClass: "hidden",
  trustProgram: "needs ptrace",
  acceptRollback: "scratch only",
  parameters: { depth: 3, names: ["a", "b"], nested: { on: true, off: null } },
});

const merge = defineStep({
  image: base,
  command: ["/usr/bin/merge"],
  inputs: { parts: "parquet", objects: "tar" },
  outputs: { model: { format: "onnx" }, report: "json" },
});
const merged = merge(p, "merge", { parts: map.part.collect(), objects: map.objects.collect() }, { timeout: "1d" });
const wanted: Handle<"onnx"> = merged.model;
const exact: Handle<"json", "merge.report"> = merged.report;
p.release({ model: wanted as typeof merged.model });
p.release({ report: exact }, { recipients: ["auditor"] });

/** Names may be computed. */
for (const n of [1, 2]) p.step(`check-${n}`, { image: base, command: ["true"], inputs: { model: merged.model } });
const sources = Object.fromEntries(["a", "b"].map((name) => [name, collectible(p, name)]));
p.step("all", { image: base, command: ["true"], inputs: sources });

export const spec: PipelineSpec = p.toJSON();
export const step: StepSpec | undefined = spec.steps.map;
