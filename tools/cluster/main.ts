/** `npm run cluster -- up|down|status`: a cluster of the project's own, in `.sealflow/cluster`, for a person. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type EngineProgress, formatProgress, packageRoot } from "../../cli/engine";
import { startTime } from "../../relying-party/dev/process";
import { ensureBinaries } from "./binaries";
import { type Cluster, startCluster } from "./cluster";

const USAGE = `usage: npm run cluster -- up [--argo] | down | status | build [--argo]
  up      starts etcd, API server, controller manager and scheduler on loopback; --argo: also Argo Workflows
  down    ends them and removes everything
  status  says whether they run, and how to reach them
  build   only makes sure that the programs are there`;

/** How long \`down\` waits for an orderly end, in milliseconds. */
const DOWN_MS = 30_000;

interface Running {
  readonly pid: number;
  /** Tells the process from a later one with the same number. */
  readonly started: string | undefined;
  readonly url: string;
  readonly kubeconfig: string;
  readonly kubectl: string;
  readonly argoexec?: string | undefined;
}

const home = (): string => join(packageRoot(), ".sealflow", "cluster");
const stateFile = (): string => join(home(), "cluster.json");

function running(): Running | undefined {
  if (!existsSync(stateFile())) return undefined;
  const state = JSON.parse(readFileSync(stateFile(), "utf8")) as Running;
  return startTime(state.pid) !== undefined && startTime(state.pid) === state.started ? state : undefined;
}

const say = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

function show({ url, kubeconfig, kubectl }: Running): void {
  process.stdout.write(`API server: ${url}\nexport KUBECONFIG=${kubeconfig}\nkubectl: ${kubectl}\n`);
}

const onProgress = (event: EngineProgress): void => say(formatProgress(event, "cluster"));

async function build(argo: boolean): Promise<number> {
  const { programs } = await ensureBinaries({ argo, onProgress });
  for (const [name, file] of Object.entries(programs)) say(`${name}: ${file}`);
  return 0;
}

async function up(argo: boolean): Promise<number> {
  const there = running();
  if (there) {
    say("the cluster runs already; `npm run cluster -- down` ends it");
    show(there);
    return 0;
  }
  // What a cluster that did not end in order has left.
  rmSync(home(), { recursive: true, force: true });
  mkdirSync(home(), { recursive: true, mode: 0o700 });
  const cluster: Cluster = await startCluster({
    argo,
    dir: home(),
    leashed: false,
    onProgress,
  });
  const { pid, url, kubeconfig, kubectl, argoexec } = cluster;
  const state: Running = { pid, started: startTime(pid), url, kubeconfig, kubectl, argoexec };
  writeFileSync(stateFile(), `${JSON.stringify(state)}\n`, { mode: 0o600 });
  say(`ready after ${cluster.seconds.toFixed(1)} s`);
  show(state);
  return 0;
}

async function down(): Promise<number> {
  const there = running();
  if (there) {
    process.kill(there.pid, "SIGTERM");
    for (const until = Date.now() + DOWN_MS; running(); await sleep(50)) {
      if (Date.now() < until) continue;
      say(`process ${there.pid} does not end after ${DOWN_MS / 1000} s; its logs are in ${join(home(), "log")}`);
      return 1;
    }
  }
  rmSync(home(), { recursive: true, force: true });
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
    options: { argo: { type: "boolean", default: false } },
  });
  const [verb, ...more] = positionals;
  if (more.length === 0) {
    if (verb === "up") return up(values.argo);
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
