/**
 * A stack on the real engine whose program is a function of a module, with stand-in clouds: fast enough to run many times.
 * State, home and clouds lie in one temporary folder.
 */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { ensureEngine } from "../../cli/engine";
import { AWS } from "./cloud-providers/aws";
import { AZURE } from "./cloud-providers/azure";
import type { CloudModel } from "./cloud-providers/model";
import { type RunningCloud, serveCloud } from "./cloud-providers/serve";
import { Store } from "./cloud-providers/store";
import type { ProgramChoice } from "./program-host";

export interface StateResource {
  readonly urn: string;
  readonly type: string;
  readonly custom: boolean;
  readonly parent?: string;
  readonly protect?: boolean;
  /** `<urn>::<id>`. */
  readonly provider?: string;
  readonly dependencies?: readonly string[];
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly outputs?: Readonly<Record<string, unknown>>;
}

export interface Outcome {
  readonly ok: boolean;
  /** What Pulumi showed. */
  readonly text: string;
}

export interface EngineStackOptions {
  /** Module whose exported functions are programs. */
  readonly module: string;
  /** Configuration, with its namespaces. */
  readonly config?: Readonly<Record<string, string>>;
  /** Clouds beside azure-native and aws. */
  readonly more?: readonly CloudModel[];
}

type Clouds = ReadonlyMap<string, RunningCloud & { readonly store: Store }>;

const ROOT = path.resolve(__dirname, "../..");
const PROJECT = "project";
const STACK = "dev";

/** A process that runs programs. */
interface Host {
  readonly process: ChildProcess;
  readonly port: number;
}

async function startHost(): Promise<Host> {
  const host = fork(path.join(__dirname, "program-host.ts"), {
    cwd: ROOT,
    execArgv: ["--require", path.join(__dirname, "typescript.js")],
    env: { ...process.env, NODE_COMPILE_CACHE: path.join(tmpdir(), "sealflow-compile-cache") },
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const [{ port }] = (await once(host, "message")) as [{ port: number }];
  return { process: host, port };
}

export class EngineStack {
  readonly dir: string;
  readonly #engine: string;
  readonly #clouds: Clouds;
  readonly #module: string;
  #host: Promise<Host>;
  #choice: ProgramChoice | undefined;

  private constructor(dir: string, engine: string, module: string, clouds: Clouds) {
    this.dir = dir;
    this.#engine = engine;
    this.#module = module;
    this.#clouds = clouds;
    this.#host = startHost();
  }

  static async create({ module, config = {}, more = [] }: EngineStackOptions): Promise<EngineStack> {
    const dir = mkdtempSync(path.join(tmpdir(), "sealflow-engine-"));
    const { pulumi } = await ensureEngine();
    const clouds = new Map<string, RunningCloud & { store: Store }>();
    for (const model of [AZURE, AWS, ...more]) {
      const store = new Store(path.join(dir, model.pkg));
      clouds.set(model.pkg, { store, ...(await serveCloud(model, store)) });
    }
    writeFileSync(path.join(dir, "Pulumi.yaml"), `name: ${PROJECT}\nruntime: nodejs\nmain: ${ROOT}\n`);
    mkdirSync(path.join(dir, "home"));
    const stack = new EngineStack(dir, pulumi, module, clouds);
    await stack.#ok(["stack", "init", STACK, "--secrets-provider", "passphrase"]);
    for (const [key, value] of Object.entries(config)) await stack.#ok(["config", "set", key, value]);
    return stack;
  }

  cloud(pkg: string): Store {
    const cloud = this.#clouds.get(pkg);
    if (!cloud) throw new Error(`no stand-in for ${pkg}`);
    return cloud.store;
  }

  /** The next operations run this function of the module. */
  async program(name: string, args: unknown = {}): Promise<void> {
    this.#choice = { module: this.#module, name, args };
    await this.#choose();
  }

  up = (...more: string[]): Promise<Outcome> => this.#program(["up", "--yes", "--skip-preview", ...more]);
  preview = (...more: string[]): Promise<Outcome> => this.#program(["preview", ...more]);
  refresh = (): Promise<Outcome> => this.#run(["refresh", "--yes", "--skip-preview"]);
  destroy = (): Promise<Outcome> => this.#run(["destroy", "--yes", "--skip-preview"]);

  /** As exported: secrets are ciphertext. */
  exported(): string {
    return readFileSync(path.join(this.dir, ".pulumi/stacks", PROJECT, `${STACK}.json`), "utf8");
  }

  state(): StateResource[] {
    return JSON.parse(this.exported()).checkpoint.latest?.resources ?? [];
  }

  async outputs(): Promise<Record<string, unknown>> {
    return JSON.parse(await this.#ok(["stack", "output", "--json", "--show-secrets"]));
  }

  async close(): Promise<void> {
    (await this.#host).process.kill();
    for (const cloud of this.#clouds.values()) cloud.close();
    rmSync(this.dir, { recursive: true, force: true });
  }

  async #choose(): Promise<void> {
    const host = (await this.#host).process;
    const chosen = once(host, "message");
    host.send(this.#choice ?? {});
    await chosen;
  }

  async #program(args: string[]): Promise<Outcome> {
    const host = await this.#host;
    const outcome = await this.#run([...args, `--client=127.0.0.1:${host.port}`, "--exec-kind", "auto.inline"]);
    if (!outcome.ok && !args.includes("--continue-on-error")) {
      // A program whose engine stopped never ends, and disturbs the runs after it.
      host.process.kill();
      this.#host = startHost();
      await this.#choose();
    }
    return outcome;
  }

  async #ok(args: string[]): Promise<string> {
    const { ok, text } = await this.#run(args);
    if (!ok) throw new Error(`pulumi ${args.join(" ")}: ${text}`);
    return text;
  }

  async #run(args: string[]): Promise<Outcome> {
    const ports = [...this.#clouds].map(([pkg, { port }]) => `${pkg}:${port}`);
    const child = spawn(this.#engine, [...args, "--non-interactive", "--color", "never"], {
      cwd: this.dir,
      env: {
        PATH: process.env.PATH,
        HOME: this.dir,
        PULUMI_HOME: path.join(this.dir, "home"),
        PULUMI_BACKEND_URL: `file://${this.dir}`,
        PULUMI_CONFIG_PASSPHRASE: "passphrase of the test",
        PULUMI_SKIP_UPDATE_CHECK: "true",
        PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS: "true",
        PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
        PULUMI_DEBUG_PROVIDERS: ports.join(","),
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (part) => (text += part));
    const [code] = await once(child, "close");
    return { ok: code === 0, text };
  }
}
