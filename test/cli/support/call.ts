/** Calls the command line in this process and collects what it writes. */
import type { Io } from "../../../cli/io";
import { main } from "../../../cli/main";
import type { Backend } from "../../../cli/run/backend";

export interface Called {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** stdout as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look at whatever a command printed.
  readonly json: any;
}

export interface CallOptions {
  readonly cwd: string;
  readonly backend?: Backend;
  readonly env?: Record<string, string>;
  readonly signal?: AbortSignal;
}

export async function call(args: string[], { cwd, backend, env = {}, signal }: CallOptions): Promise<Called> {
  let stdout = "";
  let stderr = "";
  const io: Io = {
    stdout: { write: (text: string) => (stdout += text) },
    stderr: { write: (text: string) => (stderr += text) },
    cwd,
    env,
    now: () => new Date(),
    signal: signal ?? new AbortController().signal,
  };
  const code = await main(args, { io, ...(backend ? { backend } : {}) });
  return {
    code,
    stdout,
    stderr,
    get json() {
      return JSON.parse(stdout);
    },
  };
}
