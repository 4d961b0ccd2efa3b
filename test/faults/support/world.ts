/** A deployed pipeline whose relying party is a process that can be killed, and a network that can be disturbed. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { writeKeyFile, writePrivateFile } from "../../../owner/keys";
import { ownerReleaseKey, runKey } from "../../../protocol/keys";
import { devStatus, startDevDetached, stopDev } from "../../../relying-party/dev";
import { serverIdentity } from "../../../relying-party/dev/certificates";
import { type RunWorkloadOptions, runWorkload, type StepEnd, type StepEvent } from "../../../untrusted/backend-local";
import { createNode } from "../../../untrusted/node";
import { type Deployed, deploy, type PipelineSource } from "../../guest/support/deployed";
import { killBelow } from "./processes";
import { FaultProxy } from "./proxy";

const ROOT = resolve(__dirname, "../../..");
const { build } = require(join(ROOT, "tools", "build.js")) as { build: (options?: object) => unknown };
const START_DEV = "require(process.argv[1]).startDev({ home: process.argv[2] })";

/** Runner, and the guest around it, as their command lines show. */
export const RUNNER = /\/sealflow\/runner\.js/;
export const GUEST = /untrusted\/node\/guest\/main\.js/;

export interface CliEnd {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class World {
  /** Ends and starts of pods, in their order. */
  readonly events: StepEvent[] = [];

  private constructor(
    readonly dir: string,
    readonly home: string,
    readonly deployed: Deployed,
    readonly proxy: FaultProxy,
  ) {}

  /** @param offsetMs how far the relying party's clock is off. */
  static async make(source: PipelineSource, offsetMs = 0): Promise<World> {
    build({});
    const dir = mkdtempSync(join(tmpdir(), "sealflow-faults-"));
    const home = join(dir, ".sealflow");
    const connection = await startServices(home, offsetMs);
    const dev = { connection, close: async () => undefined };
    const deployed = await deploy(source, { running: { home, dev } });
    const ports = [connection.kbsUrl, connection.ledgerUrl].map((url) => Number(new URL(url).port));
    const proxy = await FaultProxy.start(ports, await serverIdentity(join(home, "dev", "tls")));
    const world = new World(dir, home, deployed, proxy);
    world.#writeProject(source);
    return world;
  }

  /** What `up` leaves for the command line: connection, keys, Job manifests. */
  #writeProject(source: PipelineSource): void {
    const { connection, descriptor, token, root, jobs } = this.deployed;
    writeFileSync(join(this.dir, "Pulumi.yaml"), "name: test\nruntime: nodejs\n");
    const { pipelineUid, ownerPublicKey } = descriptor;
    const file = { ...connection, name: "test", stack: "test", pipelineUid, ownerPublicKey, descriptor: token };
    writePrivateFile(join(this.home, "pipelines/test/test.json"), JSON.stringify(file));
    writeKeyFile(join(this.home, "keys/test/test.run.jwk"), runKey(root));
    writeKeyFile(join(this.home, "keys/test/test.owner-release.jwk"), ownerReleaseKey(root));
    const steps: Record<string, object> = {};
    for (const [name, { limits }] of Object.entries(descriptor.steps)) {
      writePrivateFile(join(this.folder, `${name}.job.json`), JSON.stringify(jobs[name]));
      const inputs = Object.values(source.steps[name]?.inputs ?? {});
      const after = [...new Set(inputs.flatMap(({ from }) => (from ? [from.split(".")[0] as string] : [])))];
      const backoff = { seconds: 0.1, factor: 1, maxSeconds: 1 };
      steps[name] = { job: `${name}.job.json`, after, shards: limits.shards, retryLimit: limits.retryLimit, backoff };
    }
    writePrivateFile(
      join(this.folder, "workload.json"),
      JSON.stringify({ v: 1, pipeline: "test", stack: "test", steps }),
    );
  }

  get folder(): string {
    return join(this.home, "backend/test/test");
  }

  /** Carries a run out with guests of this process, whose network is the proxy. */
  carryOut(run: string, more: Partial<RunWorkloadOptions> = {}): Promise<StepEnd[]> {
    const { connection } = this.deployed;
    const node = createNode({ home: this.home, connection, mode: "namespaces", route: this.proxy.route });
    return runWorkload({
      folder: this.folder,
      node,
      run,
      ...more,
      onEvent: (event) => {
        this.events.push(event);
        more.onEvent?.(event);
      },
    });
  }

  /** SIGKILL inside the guests of this process. @returns how many processes. */
  kill = (what: RegExp): number => killBelow(process.pid, what);

  async killServices(): Promise<void> {
    const { pid } = await devStatus(this);
    if (pid === undefined) throw new Error("the relying party does not run");
    process.kill(pid, "SIGKILL");
    while ((await devStatus(this)).running) await new Promise((r) => setTimeout(r, 20));
  }

  startServices = (offsetMs = 0): Promise<unknown> => startServices(this.home, offsetMs);

  /**
   * `sealflow …` as a process of its own.
   * @param killOn it is killed with SIGKILL once its stderr fits.
   */
  async sealflow(
    args: string[],
    { killOn, env = {} }: { killOn?: RegExp; env?: NodeJS.ProcessEnv } = {},
  ): Promise<CliEnd> {
    const child = spawn(process.execPath, [join(ROOT, "bin/sealflow.js"), ...args], {
      cwd: this.dir,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const end = { code: 1, stdout: "", stderr: "" };
    let killed = false;
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream].setEncoding("utf8").on("data", (text: string) => {
        end[stream] += text;
        if (!killed && killOn?.test(end.stderr)) {
          killed = true;
          // The launcher may have started another Node: whatever is below goes too, as with a machine that stops.
          killBelow(child.pid as number, /sealflow/);
          child.kill("SIGKILL");
        }
      });
    }
    end.code = await new Promise<number>((resolveCode) => child.on("close", (code) => resolveCode(code ?? 137)));
    if (killOn && !killed) throw new Error(`sealflow ${args.join(" ")} was never at ${killOn}:\n${end.stderr}`);
    return end;
  }

  /** The run ended well: every shard counted once, everything verified, and the content of a release. */
  async verified(run: string, release: string): Promise<unknown> {
    const { ledger, descriptor } = this.deployed;
    const status = await ledger.run(run, await this.deployed.readToken());
    expect(status.state).toBe("succeeded");
    const exported = await ledger.runLog(run, await this.deployed.readToken());
    const shards = Object.values(descriptor.steps).reduce((n, { limits }) => n + limits.shards, 0);
    const entries = exported.entries.flatMap(({ entry }) => (entry === undefined ? [] : [JSON.parse(entry)]));
    const commits = entries.filter((entry) => entry.kind === "commit" && entry.run === run);
    expect(new Set(commits.map((c) => `${c.step}/${c.shard}`)).size).toBe(shards);
    expect(commits).toHaveLength(shards);
    const { fetched } = await this.deployed.fetch(run);
    expect(fetched.report).toMatchObject({ ok: true, problems: [], receipts: { verified: shards, expected: shards } });
    return JSON.parse(await this.deployed.released(run, release));
  }

  /** How often each step was started. */
  starts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { step, stage } of this.events) {
      if (stage === "attesting") counts[step] = (counts[step] ?? 0) + 1;
    }
    return counts;
  }

  async close(): Promise<void> {
    this.proxy.close();
    await this.deployed.close();
    await stopDev(this).catch(() => undefined);
    rmSync(this.dir, { recursive: true, force: true });
  }
}

async function startServices(home: string, offsetMs: number) {
  const shifted = offsetMs === 0 ? [] : ["--require", join(__dirname, "clock.js")];
  const launcher: [string, ...string[]] = [
    process.execPath,
    ...shifted,
    "-e",
    START_DEV,
    join(ROOT, "dist/relying-party/dev/index.js"),
    home,
  ];
  const { connection } = await startDevDetached({
    home,
    launcher,
    env: { ...process.env, CLOCK_OFFSET_MS: String(offsetMs) },
  });
  return connection;
}

const FIRST = `const fs = require("fs");
setTimeout(() => fs.writeFileSync("/sealflow/out/n", "7"), 700);`;
const SECOND = `const fs = require("fs");
const n = JSON.parse(fs.readFileSync("/sealflow/in/n", "utf8"));
setTimeout(() => fs.writeFileSync("/sealflow/out/sum", JSON.stringify({ shard: Number(process.env.SEALFLOW_SHARD), n })), 700);`;
const THIRD = `const fs = require("fs");
const parts = fs.readdirSync("/sealflow/in/parts").sort().map((f) => JSON.parse(fs.readFileSync("/sealflow/in/parts/" + f)));
fs.writeFileSync("/sealflow/out/total", JSON.stringify(parts));`;

/** first → second (two shards) → third (collects); its release `third-total` is TOTAL. */
export const chainOf = (retryLimit: number): PipelineSource => ({
  steps: {
    first: { files: { "main.js": FIRST }, outputs: { n: { format: "json" } }, limits: { retryLimit } },
    second: {
      files: { "main.js": SECOND },
      inputs: { n: { from: "first.n", format: "json" } },
      outputs: { sum: { format: "json" } },
      limits: { retryLimit, shards: 2 },
    },
    third: {
      files: { "main.js": THIRD },
      inputs: { parts: { from: "second.sum", format: "json", collect: true } },
      outputs: { total: { format: "json" } },
      limits: { retryLimit },
    },
  },
});
export const TOTAL = [
  { shard: 0, n: 7 },
  { shard: 1, n: 7 },
];
