/** Starts clusters for tests and for people: a real control plane on loopback, each in a folder of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type OnProgress, packageRoot } from "../../cli/engine";
import { waitFor } from "./api";
import { prepareArgo } from "./argo";
import { ensureBinaries } from "./binaries";
import { writeFiles } from "./files";
import type { Answer, Command } from "./keeper";
import { caOf, kubeconfigOf, PARTS, type Part, type Plan, type Ports } from "./parts";

export { clusterMissing } from "./binaries";
export type { Part } from "./parts";

/** Default name of the simulated node. */
export const NODE_NAME = "sealflow-node";

export interface ClusterOptions {
  /** Also Argo's workflow controller with its CRDs, watching all namespaces. Default false. */
  readonly argo?: boolean;
  /** Namespace of the controller's own objects. Default `argo`. */
  readonly argoNamespace?: string;
  /** Default: a new folder below the system's one for temporary files, removed with the cluster. */
  readonly dir?: string;
  /** Ends with this process, however that ends. Default true; false for `npm run cluster -- up`. */
  readonly leashed?: boolean;
  readonly onProgress?: OnProgress;
}

export interface Cluster {
  /** Folder with everything of the cluster; logs of its parts in `log/`. */
  readonly dir: string;
  /** Path of the administrator's kubeconfig (0600). */
  readonly kubeconfig: string;
  /** Such as https://127.0.0.1:34567. */
  readonly url: string;
  /** etcd, without credentials: whoever is on this machine reads and writes it. */
  readonly etcd: string;
  /** Path of a kubectl of the cluster's own version. */
  readonly kubectl: string;
  /** Path of Argo's executor, with `argo`. */
  readonly argoexec: string | undefined;
  /** Process that keeps the parts. */
  readonly pid: number;
  /** From the call to usable, binaries at hand. */
  readonly seconds: number;
  /** Path of the kubeconfig of another user: `node`, `scheduler`, `controller-manager`, `workflow-controller`. */
  kubeconfigOf(user: string): string;
  /** Ends one part at once, as a crash would. Leashed clusters only. */
  kill(part: Part): Promise<void>;
  /** Starts a part that was killed, and waits until it is ready. Leashed clusters only. */
  start(part: Part): Promise<void>;
  /** Ends every part and removes the folder. */
  stop(): Promise<void>;
}

/** Certificate of the simulated node's kubelet API, and the CA of its only caller, the API server. */
export function nodeTlsOf({ dir }: Pick<Cluster, "dir">): { cert: string; key: string; ca: string } {
  const read = (file: string) => readFileSync(file, "utf8");
  const own = (end: string) => read(join(dir, "certs", `node.${end}`));
  return { cert: own("crt"), key: own("key"), ca: read(caOf(dir)) };
}

/** Ports are asked for and given back, so another process may be faster; then others are tried. */
const TRIES = 3;

/**
 * @throws Error naming the part that did not start and the last words of its log, or what to install
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  for (let n = 1; ; n++) {
    try {
      return await tryStart(options);
    } catch (error) {
      if (n === TRIES || !/address already in use/.test((error as Error).message)) throw error;
    }
  }
}

async function tryStart(options: ClusterOptions): Promise<Cluster> {
  const { argo = false, argoNamespace = "argo", leashed = true } = options;
  const { programs, crds } = await ensureBinaries({ argo, onProgress: options.onProgress });
  const started = Date.now();
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), "sf-cluster-"));
  const ports = await freePorts();
  const url = `https://127.0.0.1:${ports.apiserver}`;
  let keeper: Keeper | undefined;
  try {
    await writeFiles(dir, NODE_NAME, url);
    const parts = PARTS.filter((part) => part !== "workflow-controller");
    keeper = await Keeper.start({ dir, ports, programs, parts, argoNamespace, leashed });
    await waitFor(dir, url, "/api/v1/namespaces/default/serviceaccounts/default");
    if (argo && crds !== undefined) {
      await prepareArgo(dir, url, crds, argoNamespace);
      await keeper.command("start", "workflow-controller");
    }
    const { pid } = keeper;
    const kept = keeper;
    if (!leashed) kept.leave();
    return {
      dir,
      kubeconfig: kubeconfigOf(dir, "admin"),
      url,
      etcd: `http://127.0.0.1:${ports.etcd}`,
      kubectl: programs.kubectl as string,
      argoexec: programs.argoexec,
      pid,
      seconds: (Date.now() - started) / 1000,
      kubeconfigOf: (user) => kubeconfigOf(dir, user),
      kill: (part) => kept.command("kill", part),
      start: (part) => kept.command("start", part),
      stop: async () => {
        await kept.stop();
        rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
      },
    };
  } catch (error) {
    await keeper?.stop();
    rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
    throw error;
  }
}

/** The other end of keeper.ts. */
class Keeper {
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #next = 1;

  private constructor(private readonly child: ChildProcess) {}

  /** @throws Error when a part does not start; nothing runs any more then. */
  static async start(plan: Plan): Promise<Keeper> {
    const child = spawn(process.execPath, [keeperEntry()], {
      // A group of its own: Ctrl-C is for the caller, who then ends the cluster in order.
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
      cwd: plan.dir,
    });
    const keeper = new Keeper(child);
    let errors = "";
    child.stderr?.setEncoding("utf8").on("data", (piece: string) => {
      errors = (errors + piece).slice(-2000);
    });
    child.stdin?.on("error", () => undefined);
    const first = new Promise<void>((resolve, reject) => {
      createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
        const answer = JSON.parse(line) as Answer;
        if ("ready" in answer) resolve();
        else if ("failed" in answer) reject(new Error(answer.failed));
        else keeper.#waiting.get(answer.id)?.(answer);
      });
      child.on("error", reject);
      child.on("exit", () => reject(new Error(`the cluster's keeper ended: ${errors.trim()}`)));
    });
    child.stdin?.write(`${JSON.stringify(plan)}\n`);
    await first;
    return keeper;
  }

  get pid(): number {
    return this.child.pid as number;
  }

  async command(what: Command["do"], part: Part): Promise<void> {
    const id = this.#next++;
    const answer = await new Promise<Answer>((resolve, reject) => {
      this.#waiting.set(id, resolve);
      this.child.once("exit", () => reject(new Error("the cluster's keeper has ended")));
      this.child.stdin?.write(`${JSON.stringify({ id, do: what, part } satisfies Command)}\n`);
    });
    this.#waiting.delete(id);
    if ("error" in answer && answer.error !== undefined) throw new Error(answer.error);
  }

  /** It goes on without this process. */
  leave(): void {
    for (const stream of [this.child.stdin, this.child.stdout, this.child.stderr]) stream?.destroy();
    this.child.unref();
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGTERM");
    await ended;
  }
}

/** Compiled beside this file, or in dist/ when this runs from the sources. */
function keeperEntry(): string {
  const beside = join(__dirname, "keeper.js");
  return existsSync(beside) ? beside : join(packageRoot(), "dist", "tools", "cluster", "keeper.js");
}

async function freePorts(): Promise<Ports> {
  const names = ["etcd", "etcdPeer", "apiserver", "controllers", "scheduler"] as const;
  const servers = await Promise.all(
    names.map(
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer();
          server.on("error", reject);
          server.listen(0, "127.0.0.1", () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return Object.fromEntries(names.map((name, i) => [name, ports[i]])) as unknown as Ports;
}
