/** `npm run cluster -- up|down|status`: a cluster of the project's own, in `.sealflow/cluster`, for a person. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type EngineProgress, formatProgress, packageRoot } from "../../cli/engine";
import { startTime } from "../../relying-party/dev/process";
import { ensureBinaries } from "./binaries";
import { type Cluster, startCluster } from "./cluster";
import { endNode, isThere, nodeMissing, type Started, startNode } from "./node";
import { kubeconfigOf } from "./parts";

const USAGE = `usage: npm run cluster -- up [--argo] [--node] | down | status | build [--argo]
  up      starts etcd, API server, controller manager and scheduler on loopback; --argo: also Argo Workflows;
          --node: that, and a simulated confidential node for the project's relying party
  down    ends them and removes everything
  status  says whether they run, and how to reach them
  build   only makes sure that the programs are there
  --project <folder>  whose .sealflow it lives in; default: this checkout`;

/** How long \`down\` waits for an orderly end, in milliseconds. */
const DOWN_MS = 30_000;

interface Running extends Started {
  readonly url: string;
  readonly kubeconfig: string;
  readonly kubectl: string;
  readonly argoexec?: string | undefined;
  readonly node?: Started;
}

/** The project's `.sealflow`. */
let project = join(packageRoot(), ".sealflow");
const home = (): string => join(project, "cluster");
const stateFile = (): string => join(home(), "cluster.json");

/** What was written down, whether or not it still runs. */
const written = (): Running | undefined =>
  existsSync(stateFile()) ? (JSON.parse(readFileSync(stateFile(), "utf8")) as Running) : undefined;

function running(): Running | undefined {
  const state = written();
  return isThere(state) ? state : undefined;
}

const remember = (state: Running): void => writeFileSync(stateFile(), `${JSON.stringify(state)}\n`, { mode: 0o600 });

const say = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

function show({ url, kubeconfig, kubectl, node }: Running): void {
  const found = node === undefined ? "" : `node: ${isThere(node) ? "runs" : "has ended; `up --node` starts it anew"}\n`;
  process.stdout.write(`API server: ${url}\nexport KUBECONFIG=${kubeconfig}\nkubectl: ${kubectl}\n${found}`);
}

const onProgress = (event: EngineProgress): void => say(formatProgress(event, "cluster"));

async function build(argo: boolean): Promise<number> {
  const { programs } = await ensureBinaries({ argo, onProgress });
  for (const [name, file] of Object.entries(programs)) say(`${name}: ${file}`);
  return 0;
}

async function up(argo: boolean, node: boolean): Promise<number> {
  const why = node ? await nodeMissing(project) : undefined;
  if (why !== undefined) {
    say(`cluster: ${why}`);
    return 1;
  }
  const there = running();
  if (there) {
    say("the cluster runs already; `npm run cluster -- down` ends it");
    if (node && there.argoexec === undefined) {
      say("cluster: it runs without Argo, which the node is for; end it first");
      return 1;
    }
    show(node && !isThere(there.node) ? await withNode(there) : there);
    return 0;
  }
  // What a cluster that did not end in order has left.
  await endLeft();
  mkdirSync(home(), { recursive: true, mode: 0o700 });
  const cluster: Cluster = await startCluster({ argo: argo || node, dir: home(), leashed: false, onProgress });
  const { pid, url, kubeconfig, kubectl, argoexec } = cluster;
  const state: Running = { pid, started: startTime(pid), url, kubeconfig, kubectl, argoexec };
  remember(state);
  say(`ready after ${cluster.seconds.toFixed(1)} s`);
  show(node ? await withNode(state) : state);
  return 0;
}

async function withNode(state: Running): Promise<Running> {
  const place = { dir: home(), url: state.url, argoexec: state.argoexec };
  const node = await startNode({ ...place, kubeconfigOf: (user) => kubeconfigOf(home(), user) }, project);
  const all = { ...state, node };
  remember(all);
  return all;
}

async function endLeft(): Promise<void> {
  const { node } = written() ?? {};
  if (node !== undefined) await endNode(node);
  rmSync(home(), { recursive: true, force: true });
}

async function down(): Promise<number> {
  const there = running();
  if (there) {
    // The node first, while there is somebody to say to how its pods ended.
    if (there.node !== undefined) await endNode(there.node);
    process.kill(there.pid, "SIGTERM");
    for (const until = Date.now() + DOWN_MS; running(); await sleep(50)) {
      if (Date.now() < until) continue;
      say(`process ${there.pid} does not end after ${DOWN_MS / 1000} s; its logs are in ${join(home(), "log")}`);
      return 1;
    }
  }
  await endLeft();
  say(there ? "the cluster has ended; nothing of it is left" : "no cluster runs");
  return 0;
}

function status(): number {
  const there = running();
  if (there) show(there);
  else say("no cluster runs; `npm run cluster -- up` starts one");
  return there ? 0 : 1;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    strict: true,
    options: {
      argo: { type: "boolean", default: false },
      node: { type: "boolean", default: false },
      project: { type: "string" },
    },
  });
  if (values.project !== undefined) project = join(resolve(values.project), ".sealflow");
  const [verb, ...more] = positionals;
  if (more.length === 0) {
    if (verb === "up") return up(values.argo, values.node);
    if (verb === "down") return down();
    if (verb === "status") return status();
    if (verb === "build") return build(values.argo);
  }
  say(USAGE);
  return 2;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: Error) => {
    say(`cluster: ${error.message}`);
    process.exitCode = 1;
  },
);
