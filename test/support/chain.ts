/** A small pipeline with strings planted in everything that must stay secret, deployed and run by the real tools. */
import * as path from "node:path";
import { ok, printed } from "./cli";
import { createProject, type Project } from "./project";

export const STACK = "local";

/** Unique, so that a hit is a leak. */
export const PLANTED = {
  data: "planted-data-9d41e07b55c2",
  code: "planted-code-1f6a3bb0e8d4",
  argument: "planted-argument-77c2e914ab",
  environment: "planted-environment-c05e1f2b",
  parameter: "planted-parameter-b3a9c6d210",
  output: "planted-output-5e8812f7aa39",
  printed: "planted-printed-e2b07c41d6f9",
} as const;

/** @param environment an expression of the program. @param retry further attempts of each step. */
const programOf = (environment: string, retry = 0): string => `
const { ConfidentialPipeline, dataset, EncryptedStorage, environment, image, localEnvironment, pipeline, RelyingParty } = require("sealflow");
const again = { retry: { limit: ${retry}, backoff: "1s" } };
const p = pipeline("chain");
const mails = p.input("mails", "jsonl");
const shared = image.folder("./steps/shared");
const first = p.step("first", { image: image.folder("./steps/first"), command: ["node", "/app/main.js"],
  args: ["--note", "${PLANTED.argument}"], env: { NOTE: "${PLANTED.environment}" },
  inputs: { mails }, outputs: { rows: "jsonl" }, ...again });
const left = p.step("left", { image: shared, command: ["node", "/app/main.js", "left"], inputs: { rows: first.rows }, outputs: { out: "json" }, ...again });
const right = p.step("right", { image: shared, command: ["node", "/app/main.js", "right"], inputs: { rows: first.rows }, outputs: { out: "json" }, ...again });
const join = p.step("join", { image: image.folder("./steps/join"), command: ["node", "/app/main.js"],
  inputs: { left: left.out, right: right.out }, outputs: { result: "json" }, ...again });
p.release({ result: join.result });
const chain = new ConfidentialPipeline("chain", { spec: p.toJSON(), inputs: { mails: dataset.file("data/mails.jsonl") }, environment: ${environment} });
exports.version = chain.version;
exports.identities = chain.identities;
`;

const FIRST = `// ${PLANTED.code}
const fs = require("node:fs");
console.log("${PLANTED.printed}", process.argv.slice(2).join(" "), process.env.NOTE);
const parameters = JSON.parse(fs.readFileSync("/sealflow/params.json", "utf8"));
const rows = fs.readFileSync("/sealflow/in/mails", "utf8").trim().split("\\n").map((line) => JSON.parse(line));
fs.writeFileSync("/sealflow/out/rows", rows.map((row) => JSON.stringify({ ...row, mark: "${PLANTED.output}", extra: parameters.extra ?? null })).join("\\n") + "\\n");
`;
const SHARED = `const fs = require("node:fs");
const rows = fs.readFileSync("/sealflow/in/rows", "utf8").trim().split("\\n");
fs.writeFileSync("/sealflow/out/out", JSON.stringify({ side: process.argv[2], count: rows.length }));
`;
const JOIN = `const fs = require("node:fs");
const read = (name) => JSON.parse(fs.readFileSync("/sealflow/in/" + name, "utf8"));
fs.writeFileSync("/sealflow/out/result", JSON.stringify({ left: read("left"), right: read("right") }));
`;

/** Simulated guests on a cluster, started by Argo; the relying party is this machine's. */
const CLUSTER = `(() => {
  const { argoBackend, ExistingCluster } = require("sealflow/kubernetes");
  return environment({
    platform: new ExistingCluster("cluster", { platform: "local", runtimeClass: "kata-qemu-coco-dev" }),
    relyingParty: new RelyingParty("relying-party"), storage: new EncryptedStorage("storage"), backend: argoBackend(),
  });
})()`;

/** A project with that pipeline; nothing is started yet. */
export const createChain = (): Project => makeChain(programOf("localEnvironment()"));

/** The same on a cluster. */
export const createClusterChain = (): Project => makeChain(programOf(CLUSTER, 2));

function makeChain(program: string): Project {
  const project = createProject(program);
  project.write("data/mails.jsonl", `{"text":"${PLANTED.data}"}\n{"text":"second"}\n`);
  project.write("steps/first/main.js", FIRST);
  project.write("steps/shared/main.js", SHARED);
  project.write("steps/join/main.js", JOIN);
  project.write("params.json", JSON.stringify({ first: { extra: PLANTED.parameter } }));
  return project;
}

export const startServices = (project: Project) => ok(project, ["dev", "--detach"]);
export const up = (project: Project) => ok(project, ["up", "--stack", STACK]);

export interface RunSummary {
  readonly run: string;
  readonly state: string;
  readonly steps: readonly { name: string; state: string; identity: string }[];
}

export async function run(project: Project, ...more: string[]): Promise<RunSummary> {
  const { stdout } = await ok(project, ["run", "--json", ...more]);
  return JSON.parse(stdout) as RunSummary;
}

export async function removeChain(project: Project): Promise<void> {
  await ok(project, ["dev", "--stop"]).catch(() => {});
  project.remove();
}

/** Every place that an untrusted party, or somebody with the owner's Pulumi state, can read. */
export const outsidePlaces = (project: Project): string[] =>
  ["images", "backend", "dev", "pipelines", "pulumi"].map((name) => path.join(project.home, name));

export const outputsOf = (project: Project): string => (printed.get(project) ?? []).join("\n");
