import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { startDevDetached, stopDev } from "../../relying-party/dev";
import { ROOT } from "../support/child";
import { Bed } from "./bed";

const DIST = path.join(ROOT, "dist");
const FAN = 20;

/** Groups of FAN steps side by side and one that gathers them, on one image. */
const PIPELINE = `
const { ConfidentialPipeline, dataset, image, localEnvironment, pipeline } = require("sealflow");
const p = pipeline("bench");
const source = image.folder("./step");
const step = (n, inputs) => p.step("s-" + n, { image: source, command: ["node", "/app/main.js"], inputs, outputs: { x: "json" } });
let last = step(0, { text: p.input("text", "text") });
for (let n = 1; n < STEPS; ) {
  const side = [];
  for (; side.length < ${FAN} && n < STEPS - 1; n++) side.push(step(n, { before: last.x }));
  last = step(n++, Object.fromEntries((side.length ? side : [last]).map((s, i) => ["in-" + i, s.x])));
}
p.release({ report: last.x });
new ConfidentialPipeline("bench", { spec: p.toJSON(), inputs: { text: dataset.file("./text.txt") }, environment: localEnvironment() });
`;

export function pipelineProject(steps: number): Promise<Bed> {
  return Bed.create({
    plugin: () => path.join(ROOT, "plugin"),
    program: PIPELINE.replaceAll("STEPS", String(steps)),
    async start(folder) {
      mkdirSync(path.join(folder, "step"));
      writeFileSync(path.join(folder, "step", "main.js"), "// nothing\n");
      writeFileSync(path.join(folder, "text.txt"), "text\n");
      const home = path.join(folder, ".sealflow");
      const entry = path.join(DIST, "relying-party", "dev", "index.js");
      const start = "require(process.argv[1]).startDev({ home: process.argv[2] })";
      await startDevDetached({ home, launcher: [process.execPath, "-e", start, entry, home] });
      return async () => void (await stopDev({ home }));
    },
  });
}

/** A provider of the same server whose one resource does nothing. */
const PROVIDER = `#!${process.execPath}
const { serve } = require(${JSON.stringify(path.join(DIST, "provider/server/serve.js"))});
const nothing = { name: "Nothing", about: "Nothing.", inputs: { n: { type: "number", about: "Which." } }, outputs: {},
  create: async (context, inputs) => ({ id: "nothing-" + inputs.n, outputs: {} }), delete: async () => {} };
const project = () => ({ root: process.cwd(), home: process.cwd(), env: {}, now: () => new Date() });
const parent = process.ppid;
serve({ version: "0.0.1", definitions: [nothing], project, engine: process.argv[2] }).then(({ port }) => process.stdout.write(port + "\\n"));
setInterval(() => process.ppid !== parent && process.exit(0), 1000).unref();
`;

const NOTHING = `
const pulumi = require("@pulumi/pulumi");
for (let n = 0; n < COUNT; n++) new pulumi.CustomResource("sealflow:index:Nothing", "nothing-" + n, { n });
`;

/** @param resources in the state afterwards, with the stack and its provider. */
export function trivialProject(resources: number): Promise<Bed> {
  return Bed.create({
    plugin(folder) {
      const plugin = path.join(folder, "plugin");
      mkdirSync(plugin, { recursive: true });
      const executable = path.join(plugin, "pulumi-resource-sealflow");
      writeFileSync(executable, PROVIDER);
      chmodSync(executable, 0o755);
      return plugin;
    },
    program: NOTHING.replaceAll("COUNT", String(Math.max(1, resources - 2))),
  });
}
