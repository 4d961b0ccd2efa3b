/** Runs the step's program: isolated where that is possible, and plainly only when the owner trusts it. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { RunnerError } from "../errors";
import type { Layout } from "../layout";
import { LAUNCHER, type Target } from "./launcher";
import { endNamespace, hasOneUid, hasSysAdmin, identify, kill, type ProcessId } from "./processes";
import { hasLibraries, type Means, PROGRAM_ID, SEEN, sandboxArguments } from "./sandbox";
import { seccompFilter } from "./seccomp";
import { OutputTail } from "./tail";

/** Bytes of output that are kept: the end of it. */
export const LOG_BYTES = 4 * 1024 * 1024;
const PROBE_SECONDS = 30;
/** setTimeout takes no more, milliseconds. */
const MAX_TIMER_MS = 2_147_000_000;
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface ProgramOptions {
  readonly layout: Layout;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutSeconds: number;
  readonly network: boolean;
}

export interface Ended {
  /** 128 + signal when a signal ended it. */
  readonly exitCode: number;
  readonly timedOut: boolean;
  /** The end of stdout and stderr, in order of arrival. */
  readonly output: Buffer;
  /** Bytes that were written in all. */
  readonly outputTotal: number;
}

/**
 * Finds out by doing it which way of isolation works here.
 * @returns undefined when none does.
 */
export async function findMeans(layout: Layout): Promise<Means | undefined> {
  if (!existsSync(join(layout.base, "bin", "bwrap")) || !seccompFilter()) return undefined;
  const root = process.getuid?.() === 0;
  const candidates: Means[] = [
    ...(root && hasSysAdmin() ? (["capability"] as const) : []),
    ...(root ? (["userns"] as const) : []),
    "userns-same-uid",
    // Never where another uid could be had: there it would only hide that something is wrong.
    ...(root && hasSysAdmin() && hasOneUid() ? (["capability-same-uid"] as const) : []),
  ];
  for (const means of candidates) {
    const probe = { layout, command: [], env: {}, timeoutSeconds: PROBE_SECONDS, network: false };
    const ended = await runIsolated(probe, means, true).catch(() => undefined);
    if (ended?.exitCode === 0) return means;
  }
  return undefined;
}

/** @throws RunnerError INTERNAL when the sandbox itself fails. */
export async function runIsolated(options: ProgramOptions, means: Means, probe = false): Promise<Ended> {
  const { layout } = options;
  const filter = seccompFilter();
  if (!filter) throw new RunnerError("ISOLATION", `no system call filter for ${process.arch}`);
  const library = join(layout.base, "lib");
  const [loader, ...rest] = [
    join(library, "ld.so"),
    ...["--library-path", library, join(layout.base, "bin", "bwrap")],
    ...sandboxArguments({ layout, means, network: options.network }),
    ...[...SEEN_NODE, "-e", LAUNCHER],
  ] as [string, ...string[]];
  const id = means === "capability" ? PROGRAM_ID : null;
  const asProgram = means === "userns" ? { uid: PROGRAM_ID, gid: PROGRAM_ID } : {};
  const child = spawn(loader, rest, {
    cwd: "/",
    env: {},
    stdio: ["ignore", "pipe", "pipe", "pipe", "pipe", "pipe"],
    ...asProgram,
  });
  const direct = !hasLibraries(readdirSync(layout.root));
  const target: Target = {
    command: options.command,
    env: { PATH: DEFAULT_PATH, HOME: "/tmp", ...options.env },
    id,
    node: direct ? ["/sealflow/bin/node"] : SEEN_NODE,
    probe,
    keepsRoot: means === "capability-same-uid",
  };
  feed(child, 3, JSON.stringify(target));
  feed(child, 5, filter);
  return new Sandbox(child, options.timeoutSeconds).ended();
}

/** Node of the runner layer as seen inside. */
const SEEN_NODE = ["/sealflow/lib/ld.so", "--library-path", "/sealflow/lib", "/sealflow/bin/node"];

/** Follows one bubblewrap process to the end of everything in it. */
class Sandbox {
  readonly #tail = new OutputTail(LOG_BYTES);
  #status = "";
  #init: ProcessId | undefined;
  #timedOut = false;

  constructor(
    private readonly child: ChildProcess,
    private readonly timeoutSeconds: number,
  ) {
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (piece: Buffer) => this.#tail.add(piece));
    const status = child.stdio[4] as Readable;
    status.on("data", (piece: Buffer) => this.#read(piece.toString("latin1")));
    status.on("error", () => undefined);
  }

  async ended(): Promise<Ended> {
    const over = new Promise<void>((resolve, reject) => {
      this.child.on("error", reject);
      this.child.on("exit", () => resolve());
    });
    const closed = new Promise<void>((resolve) => this.child.on("close", () => resolve()));
    const stop = after(this.timeoutSeconds, () => {
      this.#timedOut = true;
      if (this.#init) kill(this.#init.pid);
      this.child.kill("SIGKILL");
    });
    try {
      await over;
    } catch (cause) {
      throw new RunnerError("INTERNAL", "the sandbox cannot be started", { cause });
    } finally {
      stop();
    }
    if (this.#init) await endNamespace(this.#init);
    // Nobody can hold the pipes any more.
    await closed;
    const exitCode = /"exit-code"\s*:\s*(\d+)/.exec(this.#status)?.[1];
    if (exitCode === undefined && !this.#timedOut) {
      throw new RunnerError("INTERNAL", `the sandbox failed: ${this.#tail.bytes.toString("utf8").slice(-400)}`);
    }
    return {
      exitCode: Number(exitCode ?? 137),
      timedOut: this.#timedOut,
      output: this.#tail.bytes,
      outputTotal: this.#tail.total,
    };
  }

  /** bubblewrap tells the pid of the namespace's first process before it lets it go on. */
  #read(text: string): void {
    this.#status += text;
    const pid = /"child-pid"\s*:\s*(\d+)/.exec(this.#status)?.[1];
    if (pid !== undefined && !this.#init) this.#init = identify(Number(pid));
  }
}

/** As an ordinary child: for programs that the owner trusts, where nothing better works. */
export async function runTrusted(options: ProgramOptions): Promise<Ended> {
  const { layout, env } = options;
  const path = env.PATH ?? DEFAULT_PATH;
  const places = {
    SEALFLOW_IN: layout.inputs,
    SEALFLOW_OUT: layout.outputs,
    SEALFLOW_PARAMS: layout.parameters,
  };
  const [file, ...args] = trustedCommand(layout, options.command, path) as [string, ...string[]];
  const child = spawn(file, args, {
    cwd: layout.root,
    env: { PATH: path, HOME: layout.scratch, ...places, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const tail = new OutputTail(LOG_BYTES);
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece: Buffer) => tail.add(piece));
  let timedOut = false;
  const endAll = () => {
    if (child.pid) kill(-child.pid);
  };
  const stop = after(options.timeoutSeconds, () => {
    timedOut = true;
    endAll();
  });
  process.once("exit", endAll);
  try {
    const exitCode = await new Promise<number>((resolve) => {
      child.on("error", (error) => {
        tail.add(Buffer.from(`${options.command[0]}: ${error.message}\n`));
        resolve(127);
      });
      child.on("exit", (code) => resolve(code ?? 137));
    });
    return { exitCode, timedOut, output: tail.bytes, outputTotal: tail.total };
  } finally {
    stop();
    process.removeListener("exit", endAll);
    endAll();
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

/** Absolute paths of the image are looked up below its root; `node` is the image's, else the runner's own. */
function trustedCommand(layout: Layout, command: readonly string[], path: string): string[] {
  const mapped = command.map((word) => mapPath(layout, word));
  if (command[0] !== "node") return mapped;
  const inImage = path.split(":").some((dir) => existsSync(join(layout.root, dir, "node")));
  return layout.root === "/" && inImage ? mapped : [process.execPath, ...nodeOptions(layout), ...mapped.slice(1)];
}

/** When the loader was started by name, execPath is the loader. */
const nodeOptions = (layout: Layout): string[] =>
  process.execPath.endsWith("/node")
    ? []
    : ["--library-path", join(layout.base, "lib"), join(layout.base, "bin", "node")];

function mapPath(layout: Layout, word: string): string {
  if (word === SEEN.parameters) return layout.parameters;
  for (const kind of ["inputs", "outputs"] as const) {
    if (word === SEEN[kind] || word.startsWith(`${SEEN[kind]}/`)) return layout[kind] + word.slice(SEEN[kind].length);
  }
  if (layout.root === "/" || !word.startsWith("/")) return word;
  const below = join(layout.root, word);
  return existsSync(below) ? below : word;
}

function feed(child: ChildProcess, fd: number, content: string | Buffer): void {
  const stream = child.stdio[fd] as Writable;
  // A sandbox that fails early closes it; its exit says so.
  stream.on("error", () => undefined);
  stream.end(content);
}

/** Runs `act` after so many seconds, by the monotonic clock. @returns a function that calls it off. */
function after(seconds: number, act: () => void): () => void {
  const until = performance.now() + seconds * 1000;
  let timer: NodeJS.Timeout;
  const arm = () => {
    const left = until - performance.now();
    timer = left <= MAX_TIMER_MS ? setTimeout(act, Math.max(0, left)) : setTimeout(arm, MAX_TIMER_MS);
  };
  arm();
  return () => clearTimeout(timer);
}
