import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, linkSync, lstatSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { cacheRoot, makeCache } from "./cache";
import { ensureEngine } from "./engine";
import { requireOwn } from "./own-folder";
import { packageRoot } from "./package-root";
import { type Engine, EngineError, type OnProgress } from "./types";

export interface ProjectEnvironmentOptions {
  /** Default: ensureEngine(). */
  engine?: Engine;
  onProgress?: OnProgress;
  /** What the result is made of. Default: this process's environment. */
  env?: NodeJS.ProcessEnv;
}

/** Variables of the caller that would lead Pulumi out of the project or override its passphrase. */
const FOREIGN = ["PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_BACKEND_URL", "PULUMI_HOME"];

/** What Pulumi would otherwise ask the network for: updates, plugins, the registry. */
const OFFLINE = {
  PULUMI_SKIP_UPDATE_CHECK: "true",
  PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
  PULUMI_DISABLE_REGISTRY_RESOLVE: "true",
};

/**
 * The environment in which Pulumi runs for a project: home, state and passphrase in `<projectRoot>/.sealflow/pulumi`,
 * nothing of ~/.pulumi, no network of its own, our engine and Node first on PATH. Makes what is missing there.
 * @param projectRoot folder of Pulumi.yaml
 */
export async function projectEnvironment(
  projectRoot: string,
  options: ProjectEnvironmentOptions = {},
): Promise<NodeJS.ProcessEnv> {
  const engine =
    options.engine ?? (await ensureEngine(options.onProgress === undefined ? {} : { onProgress: options.onProgress }));
  const folder = resolve(projectRoot, ".sealflow", "pulumi");
  const home = join(folder, "home");
  const state = join(folder, "state");
  // `config` is Pulumi.yaml's stackConfigDir: the stacks' generated configuration, which belongs to this passphrase.
  for (const dir of [dirname(folder), folder, home, state, join(folder, "config")]) {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  }
  chmodSync(dirname(folder), 0o700);

  const env = { ...(options.env ?? process.env) };
  if (!env.NODE_COMPILE_CACHE) {
    makeCache(cacheRoot(env));
    requireOwn(join(cacheRoot(env), "compiled"), "the cache");
  }
  for (const name of FOREIGN) delete env[name];
  const first = [dirname(engine.pulumi), dirname(process.execPath)];
  const last = engine.hosts === undefined ? [] : [engine.hosts];
  return {
    ...env,
    ...OFFLINE,
    PULUMI_HOME: home,
    PULUMI_BACKEND_URL: `file://${state}`,
    PULUMI_CONFIG_PASSPHRASE_FILE: passphraseFile(folder),
    PULUMI_NODEJS_TRANSPILE_ONLY: "true",
    // What Node compiled of the SDKs, for the next start of host, program and provider: a third of their time.
    NODE_COMPILE_CACHE: env.NODE_COMPILE_CACHE || join(cacheRoot(env), "compiled"),
    // The engine's collector: half as much garbage at a time, for a few hundredths of CPU time (docs/performance.md).
    ...(env.GOGC === undefined && env.GOMEMLIMIT === undefined ? { GOGC: "50" } : {}),
    SEALFLOW_NODE: process.execPath,
    SEALFLOW_PACKAGE_ROOT: packageRoot(),
    PATH: [...first, env.PATH ?? "", ...last].filter((part) => part !== "").join(delimiter),
  };
}

/** 32 random bytes, made once, readable by the owner only. Two processes that start at once agree on one. */
function passphraseFile(folder: string): string {
  const file = join(folder, "passphrase");
  const mine = `${file}.${process.pid}`;
  writeFileSync(mine, randomBytes(32).toString("base64url"), { mode: 0o600, flag: "wx" });
  try {
    linkSync(mine, file); // fails when it is there, and never shows half of it
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(mine, { force: true });
  }
  // A checkout makes files that everybody reads: one with a passphrase in it would choose what secrets are encrypted with.
  const { mode, uid } = lstatSync(file);
  const self = process.getuid?.();
  const own = self === undefined || ((mode & 0o170077) === 0o100000 && (self === 0 || uid === self));
  if (own) return file;
  throw new EngineError(
    "PASSPHRASE_MODE",
    `${file}: is not a file of yours that nobody else reads. Where it is from a checkout or a copy, remove .sealflow/ and begin anew; else run: chmod 600 ${file}`,
  );
}

export interface RunPulumiOptions {
  /** Folder of Pulumi.yaml; its `.sealflow/` is used. Default: the working folder. */
  cwd?: string;
  /** "inherit" (default) shows Pulumi's own output and collects its standard error; "pipe" collects both. */
  stdio?: "inherit" | "pipe";
  /** Additions to the project's environment. */
  env?: NodeJS.ProcessEnv;
  engine?: Engine;
  onProgress?: OnProgress;
  /** Each piece of what is collected as it comes; default with "inherit": to this process's standard error. */
  onOutput?: (text: string, stream: "stdout" | "stderr") => void;
  /** Asks Pulumi to stop (it finishes what it has begun, as after Ctrl-C). */
  signal?: AbortSignal;
}

export interface PulumiResult {
  /** Pulumi's exit code; 128 + signal number when a signal ended it. */
  code: number;
  /** Collected output; empty with stdio "inherit". */
  stdout: string;
  /** Errors that are not part of Pulumi's display: wrong arguments, a wrong passphrase. */
  stderr: string;
}

/** Runs Pulumi in the project's environment and waits for it. A failing command is a result, not an exception. */
export async function runPulumi(args: string[], options: RunPulumiOptions = {}): Promise<PulumiResult> {
  const cwd = options.cwd ?? process.cwd();
  const engine =
    options.engine ?? (await ensureEngine(options.onProgress === undefined ? {} : { onProgress: options.onProgress }));
  const env = { ...(await projectEnvironment(cwd, { engine })), ...options.env };
  const collect = options.stdio === "pipe";
  const child = spawn(engine.pulumi, args, {
    cwd,
    env,
    stdio: collect ? ["ignore", "pipe", "pipe"] : ["inherit", "inherit", "pipe"],
  });
  const show = options.onOutput ?? (collect ? undefined : (text: string) => process.stderr.write(text));
  const result: PulumiResult = { code: 1, stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream]?.setEncoding("utf8").on("data", (text: string) => {
      result[stream] += text;
      show?.(text, stream);
    });
  }

  // Ctrl-C reaches Pulumi by the terminal; this process waits for its orderly end. SIGTERM is passed on as Ctrl-C.
  const stay = () => {};
  const stop = () => child.kill("SIGINT");
  process.on("SIGINT", stay);
  process.on("SIGTERM", stop);
  options.signal?.addEventListener("abort", stop);
  try {
    result.code = await new Promise<number>((resolvePromise, reject) => {
      child.on("error", reject);
      child.on("close", (code, signal) => resolvePromise(code ?? 128 + signalNumber(signal)));
    });
  } finally {
    process.off("SIGINT", stay);
    process.off("SIGTERM", stop);
    options.signal?.removeEventListener("abort", stop);
  }
  return result;
}

function signalNumber(signal: NodeJS.Signals | null): number {
  return signal === null ? 0 : (constants.signals[signal] ?? 0);
}
