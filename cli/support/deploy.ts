/** Deploys a stack with Pulumi in the project's environment. */
import type { Context } from "../context";
import { ensureEngine, formatProgress, runPulumi } from "../engine";
import { CliError } from "../errors";

/** Selects the stack, making it if need be, and brings it up. @throws CliError DEPLOYMENT, EngineError. */
export async function deploy(context: Context, stack: string, args: readonly string[] = []): Promise<void> {
  const onProgress = (event: Parameters<typeof formatProgress>[0]): void => context.say(formatProgress(event));
  const engine = await ensureEngine({ onProgress });
  const cwd = context.root;
  const select = await runPulumi(["stack", "select", "--create", stack], { cwd, engine, stdio: "pipe" });
  if (select.code !== 0) {
    throw new CliError("DEPLOYMENT", `stack "${stack}" cannot be selected:\n${select.stderr.trim()}`);
  }
  const up = await runPulumi(["up", "--stack", stack, "--yes", "--skip-preview", ...args], {
    cwd,
    engine,
    // Its own display for people; with --json stdout belongs to the answer, so it goes to stderr.
    stdio: context.io.stderr === process.stderr && !context.json ? "inherit" : "pipe",
    onOutput: (text) => context.io.stderr.write(text),
    signal: context.io.signal,
  });
  if (up.code !== 0) {
    throw new CliError(
      "DEPLOYMENT",
      `"pulumi up" of stack "${stack}" failed (exit ${up.code}). Repeat it: what is there already is kept`,
    );
  }
}
