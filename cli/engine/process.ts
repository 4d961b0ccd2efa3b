import { type SpawnOptions, spawn } from "node:child_process";

export interface Outcome {
  /** Exit code; null when the process was ended by a signal or did not start. */
  code: number | null;
  stdout: string;
  stderr: string;
  /** Set when the process did not start. */
  error?: Error;
  timedOut: boolean;
}

/** What is kept of an output stream that is only for messages, in characters from the end. */
const KEEP = 64 * 1024;
/** From the polite to the final signal, in milliseconds. */
const GRACE_MS = 5_000;

/**
 * Runs a helper program without a shell and without standard input.
 * @param options.timeoutMs when it is over the program is ended (default: never)
 * @param options.onLine each line of standard error as it comes
 */
export function run(
  command: string,
  args: string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; timeoutMs?: number; onLine?: (line: string) => void } = {},
): Promise<Outcome> {
  const settings: SpawnOptions = { stdio: ["ignore", "pipe", "pipe"] };
  if (options.cwd !== undefined) settings.cwd = options.cwd;
  if (options.env !== undefined) settings.env = options.env;
  const child = spawn(command, args, settings);
  const outcome: Outcome = { code: null, stdout: "", stderr: "", timedOut: false };
  let rest = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    outcome.stdout = (outcome.stdout + text).slice(-KEEP);
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    outcome.stderr = (outcome.stderr + text).slice(-KEEP);
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) options.onLine?.(line);
  });
  const timers: NodeJS.Timeout[] = [];
  if (options.timeoutMs !== undefined) {
    timers.push(
      setTimeout(() => {
        outcome.timedOut = true;
        child.kill("SIGTERM");
        timers.push(setTimeout(() => child.kill("SIGKILL"), GRACE_MS));
      }, options.timeoutMs),
    );
  }
  return new Promise((resolve) => {
    const end = () => {
      for (const timer of timers) clearTimeout(timer);
      resolve(outcome);
    };
    child.on("error", (error) => {
      outcome.error = error;
      end();
    });
    child.on("close", (code) => {
      outcome.code = code;
      end();
    });
  });
}

/** The end of what a program said, for an error message. */
export function lastWords(outcome: Outcome, lines = 3): string {
  if (outcome.error) return outcome.error.message;
  const said = (outcome.stderr.trim() || outcome.stdout.trim()).split("\n").slice(-lines).join(" | ");
  return said || `exit code ${outcome.code}`;
}
