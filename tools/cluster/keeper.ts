/**
 * The process that keeps a control plane: starts its parts in order, ends them in the opposite one, and with them
 * itself. Plan on the first line of standard input, commands on the next ones; answers on standard output, one JSON
 * text a line. A leashed keeper ends when its standard input does, so a killed test leaves nothing behind.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { type ClientRequest, get as httpGet, type IncomingMessage } from "node:http";
import { get as httpsGet } from "node:https";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { which } from "../../cli/engine/path-engine";
import { argumentsOf, caOf, environmentOf, PARTS, type Part, type Plan, readinessOf } from "./parts";

/** A command for one part. */
export interface Command {
  readonly id: number;
  readonly do: "start" | "kill";
  readonly part: Part;
}
export type Answer =
  | { readonly ready: true; readonly seconds: number }
  | { readonly id: number; readonly error?: string }
  | { readonly failed: string };

/** From start to readiness, in milliseconds; seconds on an idle machine, more when its cores are taken. */
const READY_MS = 180_000;
/** From the polite to the final signal, in milliseconds. */
const GRACE_MS = 8_000;

class Keeper {
  readonly #running = new Map<Part, ChildProcess>();
  #ending: Promise<void> | undefined;

  constructor(private readonly plan: Plan) {}

  async startAll(): Promise<void> {
    for (const part of PARTS) if (this.plan.parts.includes(part)) await this.start(part);
  }

  /** @throws Error with the last words of its log when it does not get ready. */
  async start(part: Part): Promise<void> {
    if (this.#running.has(part)) throw new Error(`${part} runs already`);
    const program = this.plan.programs[part];
    if (program === undefined) throw new Error(`there is no ${part} in this cluster`);
    const log = join(this.plan.dir, "log", `${part}.log`);
    const out = openSync(log, "a", 0o600);
    // Should this process be killed without a chance to end its parts, the kernel ends them.
    const setpriv = which("setpriv", process.env.PATH);
    const [file, before] = setpriv ? [setpriv, ["--pdeathsig", "KILL", "--", program]] : [program, []];
    const env = { PATH: process.env.PATH, HOME: this.plan.dir, ...environmentOf(part) };
    const child = spawn(file, [...before, ...argumentsOf(part, this.plan)], {
      cwd: this.plan.dir,
      env,
      stdio: ["ignore", out, out],
    });
    closeSync(out);
    this.#running.set(part, child);
    const ended = new Promise<string>((resolve) => {
      child.on("error", (error) => resolve(error.message));
      child.on("exit", (code, signal) => resolve(`it ended with ${signal ?? `code ${code}`}`));
    }).then((why) => {
      if (this.#running.get(part) === child) this.#running.delete(part);
      return why;
    });
    for (const until = Date.now() + READY_MS; ; await sleep(50)) {
      if (!this.#running.has(part)) throw new Error(`${part}: ${await ended}: ${lastLines(log)}`);
      if (await this.#isReady(part)) return;
      if (Date.now() > until) throw new Error(`${part} was not ready after ${READY_MS / 1000} s: ${lastLines(log)}`);
    }
  }

  /** At once, as a crash would. */
  kill(part: Part): Promise<void> {
    return this.#stop(part, "SIGKILL");
  }

  end(): Promise<void> {
    this.#ending ??= (async () => {
      // Clients first: they would try to reach what is gone. What holds no state needs no grace.
      for (const part of [...PARTS].reverse()) await this.#stop(part, part === "etcd" ? "SIGKILL" : "SIGTERM");
      if (this.plan.leashed) rmSync(this.plan.dir, { recursive: true, force: true, maxRetries: 3 });
    })();
    return this.#ending;
  }

  async #stop(part: Part, signal: NodeJS.Signals): Promise<void> {
    const child = this.#running.get(part);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
    await ended;
    clearTimeout(timer);
    this.#running.delete(part);
  }

  async #isReady(part: Part): Promise<boolean> {
    const url = readinessOf(part, this.plan);
    if (url === undefined) return true;
    if (url.startsWith("http:")) return answers200((done) => httpGet(url, { timeout: 2000 }, done));
    const ca = readFileSync(caOf(this.plan.dir), "utf8");
    const headers = { authorization: `Bearer ${readFileSync(join(this.plan.dir, "admin.token"), "utf8")}` };
    return answers200((done) => httpsGet(url, { ca, headers, timeout: 2000, agent: false }, done));
  }
}

function answers200(get: (done: (answer: IncomingMessage) => void) => ClientRequest): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get((answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(false));
  });
}

function lastLines(log: string): string {
  const lines = readFileSync(log, "utf8").trim().split("\n");
  return lines.slice(-5).join(" | ").slice(-1500);
}

const tell = (answer: Answer): void => {
  try {
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  } catch {
    // Nobody listens any more.
  }
};

async function main(): Promise<void> {
  process.stdout.on("error", () => undefined);
  const lines = createInterface({ input: process.stdin });
  let keeper: Keeper | undefined;
  const end = async (code: number) => {
    await keeper?.end();
    process.exit(code);
  };
  process.on("SIGTERM", () => void end(0));
  process.on("SIGINT", () => void end(0));
  const started = Date.now();
  lines.on("line", (line) => {
    if (keeper === undefined) {
      const first = new Keeper(JSON.parse(line) as Plan);
      keeper = first;
      first.startAll().then(
        () => tell({ ready: true, seconds: (Date.now() - started) / 1000 }),
        async (error: Error) => {
          tell({ failed: error.message });
          await end(1);
        },
      );
      lines.on("close", () => {
        if (JSON.parse(line).leashed === true) void end(0);
      });
      return;
    }
    const { id, do: what, part } = JSON.parse(line) as Command;
    (what === "start" ? keeper.start(part) : keeper.kill(part)).then(
      () => tell({ id }),
      (error: Error) => tell({ id, error: error.message }),
    );
  });
}

void main();
