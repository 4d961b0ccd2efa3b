/** Deploys a stack with Pulumi in the project's environment. */
import * as path from "node:path";
import type { Context } from "../context";
import { ensureEngine, formatProgress, runPulumi } from "../engine";
import { CliError } from "../errors";
import { listPipelines } from "./pipelines";

/** Selects the stack, making it if need be, and brings it up. @throws CliError DEPLOYMENT, EngineError. */
export async function deploy(context: Context, stack: string, args: readonly string[] = []): Promise<void> {
  const onProgress = (event: Parameters<typeof formatProgress>[0]): void => context.say(formatProgress(event));
  const engine = await ensureEngine({ onProgress });
  const cwd = context.root;
  const select = await runPulumi(["stack", "select", "--create", stack], { cwd, engine, stdio: "pipe" });
  if (select.code !== 0) {
    const remedy = passphraseRemedy(context, select.stderr) ?? "";
    throw new CliError("DEPLOYMENT", `stack "${stack}" cannot be selected:\n${select.stderr.trim()}\n${remedy}`.trim());
  }
  tellNew(context, stack, `${select.stdout}${select.stderr}`);
  const up = await runPulumi(["up", "--stack", stack, "--yes", "--skip-preview", ...args], {
    cwd,
    engine,
    // Its own display for people; with --json stdout belongs to the answer, so it goes to stderr.
    stdio: context.io.stderr === process.stderr && !context.json ? "inherit" : "pipe",
    onOutput: (text) => context.io.stderr.write(text),
    signal: context.io.signal,
  });
  if (up.code !== 0) {
    const remedy = passphraseRemedy(context, up.stderr) ?? "Repeat it: what is there already is kept";
    throw new CliError("DEPLOYMENT", `"pulumi up" of stack "${stack}" failed (exit ${up.code}). ${remedy}`);
  }
}

/** A misspelled name makes a stack: another pipeline, beside the one that was meant. */
function tellNew(context: Context, stack: string, said: string): void {
  if (!said.includes("Created stack")) return;
  const others = new Set(listPipelines(context.home).map(({ connection }) => connection.stack));
  others.delete(stack);
  if (others.size === 0) return;
  const away = `npx sealflow pulumi -- destroy --stack ${stack}`;
  context.say(`stack "${stack}" is new, beside ${[...others].join(", ")}. Should its name be misspelled: ${away}`);
}

/** What Pulumi does not tell: which passphrase it tried. @returns undefined when that was not it. */
export function passphraseRemedy(context: Context, stderr: string): string | undefined {
  if (!stderr.includes("incorrect passphrase")) return undefined;
  const file = context.show(path.join(context.home, "pulumi", "passphrase"));
  return `${file} is not the passphrase that the stack was made with. Put that one back: without it nothing can read the stack's secrets`;
}
