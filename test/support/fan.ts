/** A fan-out on a cluster: one source, leaves side by side, a step of several shards, and a sink that collects all of it. */
import { createProject, type Project } from "./project";

/** Unique, so that a hit is a leak. */
export const FAN_PLANTED = {
  data: "planted-fan-data-41c0e9b7d2",
  code: "planted-fan-code-8be1f05a63",
  output: "planted-fan-output-d90a7c1e54",
} as const;
export const SHARDS = 2;

/** A step has at most 200 inputs, so many leaves are gathered in groups first. */
const GROUP = 100;
export const groupsOf = (leaves: number): number => (leaves > GROUP ? Math.ceil(leaves / GROUP) : 0);

const programOf = (leaves: number, backend: object): string => `
const { ConfidentialPipeline, dataset, EncryptedStorage, environment, image, pipeline, RelyingParty } = require("sealflow");
const { argoBackend, ExistingCluster } = require("sealflow/kubernetes");
const { readFileSync } = require("node:fs");
const { runKeys, cron } = JSON.parse(readFileSync(require("node:path").join(__dirname, "../settings.json"), "utf8"));
const again = { retry: { limit: 3, backoff: "1s" } };
const tool = image.folder("./steps/tool");
const step = (...words) => ({ image: tool, command: ["node", "/app/main.js", ...words], ...again });
const p = pipeline("fan");
const rows = p.input("rows", "jsonl");
const source = p.step("source", { ...step("source"), inputs: { rows }, outputs: { out: "json" } });
const leaves = Array.from({ length: ${leaves} }, (_, i) =>
  p.step("leaf-" + i, { ...step("leaf", String(i)), inputs: { out: source.out }, outputs: { out: "json" } }));
const many = p.step("many", { ...step("many"), shards: ${SHARDS}, inputs: { out: source.out }, outputs: { out: "json" } });
const gather = (name, from) => p.step(name, { ...step("gather"), inputs: from, outputs: { out: "json" } });
const groups = Array.from({ length: ${groupsOf(leaves)} }, (_, g) => gather("group-" + g, Object.fromEntries(
  leaves.slice(g * ${GROUP}, (g + 1) * ${GROUP}).map((leaf, i) => ["leaf-" + (g * ${GROUP} + i), leaf.out]))));
const inputs = Object.fromEntries([...(groups.length > 0 ? groups : leaves).map((leaf, i) => ["leaf-" + i, leaf.out]), ["many", many.out.collect()]]);
const sink = p.step("sink", { ...step("sink"), inputs, outputs: { out: "json" } });
p.release({ sum: sink.out });
p.schedule("once", cron, { late: "1h" });
new ConfidentialPipeline("fan", { spec: p.toJSON(), inputs: { rows: dataset.file("rows.jsonl") }, runKeys,
  environment: environment({
    platform: new ExistingCluster("cluster", { platform: "local", runtimeClass: "kata-qemu-coco-dev" }),
    relyingParty: new RelyingParty("relying-party"), storage: new EncryptedStorage("storage"), backend: argoBackend(${JSON.stringify(backend)}),
  }) });
`;

/** Leaves and shards take a moment, so that something can happen in the middle of a run. */
const TOOL = `// ${FAN_PLANTED.code}
const fs = require("node:fs");
const [what, n] = process.argv.slice(2);
const write = (value) => fs.writeFileSync("/sealflow/out/out", JSON.stringify(value));
const read = (file) => JSON.parse(fs.readFileSync(file, "utf8"));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
async function main() {
  if (what === "source") return write({ rows: fs.readFileSync("/sealflow/in/rows", "utf8").trim().split("\\n").length });
  if (what === "leaf" || what === "many") {
    await pause(PAUSE);
    const own = what === "leaf" ? Number(n) : 100 + Number(process.env.SEALFLOW_SHARD);
    return write({ value: own, rows: read("/sealflow/in/out").rows, mark: "${FAN_PLANTED.output}" });
  }
  const files = fs.readdirSync("/sealflow/in").flatMap((name) => {
    const place = "/sealflow/in/" + name;
    return fs.statSync(place).isDirectory() ? fs.readdirSync(place).map((shard) => place + "/" + shard) : [place];
  });
  const values = files.map(read);
  const sum = (of) => values.map(of).reduce((a, b) => a + b, 0);
  write({ files: sum(({ files = 1 }) => files), sum: sum((one) => one.sum ?? one.value) });
}
main();
`;

/** What the sink makes of all values. */
export const sumOf = (leaves: number): object => ({
  files: leaves + SHARDS,
  sum: (leaves * (leaves - 1)) / 2 + SHARDS * 100 + (SHARDS * (SHARDS - 1)) / 2,
});

/** @param pauseMs how long each leaf and shard takes at least. @param backend arguments of argoBackend. */
export function createFan(leaves: number, pauseMs: number, backend: object = {}): Project {
  const project = createProject(programOf(leaves, backend));
  project.write("rows.jsonl", `{"text":"${FAN_PLANTED.data}"}\n{"text":"second"}\n`);
  project.write("steps/tool/main.js", TOOL.replace("PAUSE", String(pauseMs)));
  setFan(project, {});
  return project;
}

export interface FanSettings {
  /** Who may open runs beside the owner. @default nobody */
  readonly runKeys?: readonly string[];
  /** When its schedule is due, UTC. @default in the morning of New Year's Day */
  readonly cron?: string;
}

/** For the next `up`. */
export const setFan = (project: Project, { runKeys = [], cron = "0 0 1 1 *" }: FanSettings): void =>
  project.write("settings.json", JSON.stringify({ runKeys, cron }));
