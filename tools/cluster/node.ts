/** A simulated confidential node for a person's cluster, as a process of its own that stays when `up` has ended. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { packageRoot } from "../../cli/engine";
import { devStatus } from "../../relying-party/dev/background";
import { startTime } from "../../relying-party/dev/process";
import { apply } from "./api";
import { type Cluster, NODE_NAME, nodeTlsOf } from "./cluster";

/** A process, told from a later one with the same number. */
export interface Started {
  readonly pid: number;
  readonly started: string | undefined;
}

/** Of the local platform, and of the matrix's rows that a simulated guest can stand for. */
const RUNTIME_CLASSES = ["sealflow-simulated", "kata-qemu-coco-dev", "kata-qemu-snp", "kata-qemu-tdx", "kata-remote"];
const START_MS = 60_000;
/** Guests get their grace. */
const END_MS = 40_000;
/** What the kernel may need after a SIGKILL. */
const KILL_MS = 5000;

export const isThere = (process: Started | undefined): boolean =>
  process !== undefined && process.started !== undefined && startTime(process.pid) === process.started;

/**
 * Why a node would have no use here. @param home the project's `.sealflow`. @returns undefined when it has.
 * @throws DevError STATE for a damaged connection.json.
 */
export async function nodeMissing(home: string): Promise<string | undefined> {
  const { running, ready } = await devStatus({ home });
  if (ready) return undefined;
  const file = join(home, "connection.json");
  const found = running ? "its ledger does not answer" : existsSync(file) ? "it has ended" : `${file} is missing`;
  return `no relying party, so no guest could get a key: ${found}. Start it with \`npx sealflow dev --detach\`, which is not in the cluster, then \`up --node\` again`;
}

type Place = Pick<Cluster, "dir" | "url" | "argoexec" | "kubeconfigOf">;

/** Runtime classes and a node that takes their pods. @throws Error with the last words of its log; nothing of it runs then. */
export async function startNode({ dir, url, argoexec, kubeconfigOf }: Place, home: string): Promise<Started> {
  for (const name of RUNTIME_CLASSES) {
    const object = { apiVersion: "node.k8s.io/v1", kind: "RuntimeClass", metadata: { name }, handler: name };
    await apply(dir, url, `/apis/node.k8s.io/v1/runtimeclasses/${name}`, JSON.stringify(object));
  }
  const options = JSON.stringify({
    kubeconfig: readFileSync(kubeconfigOf("node"), "utf8"),
    name: NODE_NAME,
    home,
    connection: JSON.parse(readFileSync(join(home, "connection.json"), "utf8")),
    ...(argoexec === undefined ? {} : { programs: { "argoexec:local": { bin: dirname(argoexec) } } }),
    tls: nodeTlsOf({ dir }),
  });
  const log = join(dir, "log", "node.log");
  const out = openSync(log, "a", 0o600);
  const child = spawn(process.execPath, [join(packageRoot(), "dist/untrusted/node/kubernetes/main.js")], {
    detached: true,
    stdio: ["pipe", "pipe", out],
    cwd: dir,
  });
  closeSync(out);
  // It may end before it has read them, and says why by its exit.
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(options);
  try {
    await isReady(child, () => readFileSync(log, "utf8").trim().slice(-500));
  } catch (error) {
    // Nobody else knows of it yet.
    child.kill("SIGKILL");
    throw error;
  } finally {
    // It goes on without this process.
    child.stdout?.destroy();
    child.unref();
  }
  const pid = child.pid as number;
  return { pid, started: startTime(pid) };
}

async function isReady(child: ChildProcess, lastWords: () => string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const late = () => reject(new Error(`the node was not ready after ${START_MS / 1000} s: ${lastWords()}`));
      timer = setTimeout(late, START_MS);
      createInterface({ input: child.stdout as NodeJS.ReadableStream }).once("line", () => resolve());
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`the node ended with code ${code}: ${lastWords()}`)));
    });
  } finally {
    clearTimeout(timer);
  }
}

/** With its guests, in order; at once when that takes too long. @throws Error when it does not end even then. */
export async function endNode(node: Started, graceMs = END_MS): Promise<void> {
  for (const [signal, ms] of [["SIGTERM", graceMs] as const, ["SIGKILL", KILL_MS] as const]) {
    if (!isThere(node)) return;
    process.kill(node.pid, signal);
    for (const until = Date.now() + ms; Date.now() < until; await sleep(50)) {
      if (!isThere(node)) return;
    }
  }
  throw new Error(`process ${node.pid}, the node, does not end`);
}
