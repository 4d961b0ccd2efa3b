/**
 * The "VM" of a simulated guest: a process in namespaces of its own, with nothing but loopback and a tmpfs as memory.
 * Where namespaces cannot be made, an ordinary child process; that is said in an event.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { Server } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { GuestConfig, GuestLine } from "./guest/messages";
import { makeGuestFolder } from "./places";
import { relay, type Target } from "./relay";

export interface GuestStart {
  readonly config: Omit<GuestConfig, "memory" | "ports" | "mode">;
  readonly mode: "namespaces" | "process";
  /** Folder that holds the folders of guests. */
  readonly guests: string;
  /** Unpacked runner layer (its `sealflow` folder), for bubblewrap. */
  readonly runner: string;
  /** Loopback addresses that the guest may reach. */
  readonly targets: readonly Target[];
  readonly onLine: (line: GuestLine) => void;
  readonly signal?: AbortSignal;
  readonly deadlineSeconds: number;
}

/** How bubblewrap is started from a runner layer. */
const bwrapOf = (runner: string): [string, ...string[]] => [
  join(runner, "lib", "ld.so"),
  ...["--library-path", join(runner, "lib"), join(runner, "bin", "bwrap")],
];

const isRoot = (): boolean => process.getuid?.() === 0;
const NEW_NAMESPACES = ["--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent"];
/** An ordinary user's guest has root in a user namespace, with every capability there: it makes the container's. */
const asRoot = (): string[] => (isRoot() ? [] : ["--unshare-user", "--uid", "0", "--gid", "0", "--cap-add", "ALL"]);

/** Whether guests can have namespaces of their own on this machine; tried, not guessed. */
export function canMakeNamespaces(runner: string): boolean {
  if (process.platform !== "linux" || !existsSync(join(runner, "bin", "bwrap"))) return false;
  const [file, ...prefix] = bwrapOf(runner);
  const view = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--"];
  // The container is a second one inside the guest.
  const container = [file, ...prefix, "--unshare-pid", "--unshare-ipc", "--unshare-uts", ...view, file, "--version"];
  const tried = spawnSync(file, [...prefix, ...NEW_NAMESPACES, ...asRoot(), ...view, ...container], {
    env: {},
    timeout: 20_000,
  });
  return tried.status === 0;
}

/** Runs one guest to its end. @returns its last line. */
export async function runVm(start: GuestStart): Promise<Extract<GuestLine, { exit: number }>> {
  const folder = await makeGuestFolder(start.guests);
  const servers: Server[] = [];
  try {
    const ports = start.mode === "namespaces" ? await openRelays(folder, start.targets, servers) : [];
    const memory = join(folder, "memory");
    const config: GuestConfig = { ...start.config, mode: start.mode, memory, ports };
    const child = start.mode === "namespaces" ? spawnInNamespaces(folder, start.runner) : spawnPlain();
    return await follow(child, config, start);
  } finally {
    for (const server of servers) server.close();
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function openRelays(
  folder: string,
  targets: readonly Target[],
  servers: Server[],
): Promise<GuestConfig["ports"]> {
  const net = join(folder, "net");
  // Paths of unix sockets are short; through the descriptor any folder will do.
  const dir = openSync(net, "r");
  try {
    const ports = [];
    for (const target of targets) {
      servers.push(await relay(`/proc/self/fd/${dir}/${target.seenAs}`, target));
      ports.push({ port: target.seenAs, socket: `/run/${target.seenAs}` });
    }
    return ports;
  } finally {
    closeSync(dir);
  }
}

/** Compiled beside this file, or in dist/ when this runs from the sources. */
function guestEntry(): string {
  const beside = join(__dirname, "guest", "main.js");
  return existsSync(beside) ? beside : join(__dirname, "..", "..", "dist", "untrusted", "node", "guest", "main.js");
}

const GUEST_ENV = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };

function spawnInNamespaces(folder: string, runner: string): ChildProcess {
  const [file, ...prefix] = bwrapOf(runner);
  const args = [
    ...prefix,
    ...NEW_NAMESPACES,
    ...asRoot(),
    ...["--hostname", "guest", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"],
    // The guest's memory: nothing of it is ever on the host's disk, and it goes with the guest.
    ...["--perms", "0755", "--tmpfs", join(folder, "memory")],
    ...["--bind", join(folder, "net"), "/run", "--chdir", "/"],
    ...["--", process.execPath, guestEntry()],
  ];
  return spawn(file, args, { env: GUEST_ENV, stdio: ["pipe", "pipe", "pipe"], detached: true });
}

const spawnPlain = (): ChildProcess =>
  spawn(process.execPath, [guestEntry()], { env: GUEST_ENV, stdio: ["pipe", "pipe", "pipe"], detached: true });

async function follow(
  child: ChildProcess,
  config: GuestConfig,
  { onLine, signal, deadlineSeconds, mode }: GuestStart,
): Promise<Extract<GuestLine, { exit: number }>> {
  let last: Extract<GuestLine, { exit: number }> | undefined;
  let errors = "";
  let stopped: string | undefined;
  const end = (why: string) => {
    stopped ??= why;
    stop(child, mode);
  };
  const onAbort = () => end("cancelled");
  const timer = setTimeout(() => end("deadline of the Job"), Math.min(deadlineSeconds * 1000, 2_147_000_000));
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted) onAbort();
  child.stderr?.on("data", (piece: Buffer) => {
    errors = (errors + piece.toString("utf8")).slice(-2000);
  });
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(JSON.stringify(config));
  const read = (async () => {
    if (!child.stdout) return;
    for await (const text of createInterface({ input: child.stdout })) {
      const line = JSON.parse(text) as GuestLine;
      if ("exit" in line) last = line;
      else onLine(line);
    }
  })();
  try {
    await new Promise<void>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", () => resolve());
    });
    await read;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
  if (stopped) return { exit: 137, code: "STOPPED", reason: stopped };
  return last ?? { exit: 50, code: "LOST", reason: `the guest ended without a word: ${errors.trim().slice(-400)}` };
}

/**
 * bubblewrap takes everything in its namespace with it, once that stands: before, its child does not yet die with it, and
 * would wait for it without end, with our pipes. So the group of both is ended. A plain guest gets a moment to end its own
 * children first.
 */
function stop(child: ChildProcess, mode: "namespaces" | "process"): void {
  const kill = () => {
    try {
      if (child.pid && child.exitCode === null) process.kill(-child.pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  };
  if (mode === "namespaces") kill();
  else {
    child.kill("SIGTERM");
    setTimeout(kill, 3000).unref();
  }
}
