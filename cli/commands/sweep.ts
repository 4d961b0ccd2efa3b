import { spawn } from "node:child_process";
import type { Sweep } from "../../model/platforms";
import type { Context } from "../context";
import { runPulumi } from "../engine";
import { CliError } from "../errors";
import { EXIT } from "../exit-codes";
import { passphraseRemedy } from "../support/deploy";

export interface SweepOptions {
  readonly stack: string;
  /** Also delete what is listed. */
  readonly delete?: boolean;
}

/**
 * `sealflow sweep`: guests in a cloud that their adaptor lost, by the tag of the stack's platform. It lists them; only
 * with `--delete` they go. The commands are the stack's own output, for the cloud's own command and login.
 */
export async function sweep(context: Context, options: SweepOptions): Promise<number> {
  const commands = await sweepOf(context, options.stack);
  const found: string[] = [];
  for (const command of commands.list) found.push(...(await shell(context, command)).split(/\s+/).filter(Boolean));
  if (found.length === 0 || !options.delete) {
    const next = `${found.length} left behind. To delete them: sealflow sweep --stack ${options.stack} --delete`;
    context.result({ found, deleted: false }, [...found, found.length === 0 ? "nothing was left behind" : next]);
    return EXIT.ok;
  }
  for (const command of commands.delete) await shell(context, command);
  context.result({ found, deleted: true }, [...found, `${found.length} deleted`]);
  return EXIT.ok;
}

/** @throws CliError DEPLOYMENT or NOT_DEPLOYED. */
async function sweepOf(context: Context, stack: string): Promise<Sweep> {
  const args = ["stack", "output", "--json", "--stack", stack];
  const { code, stdout, stderr } = await runPulumi(args, { cwd: context.root, stdio: "pipe" });
  if (code !== 0) {
    const why = passphraseRemedy(context, stderr) ?? stderr.trim();
    throw new CliError("DEPLOYMENT", `the outputs of stack "${stack}" cannot be read: ${why}`);
  }
  const { sweep: found } = JSON.parse(stdout) as { sweep?: Partial<Sweep> };
  if (lines(found?.list) && lines(found?.delete)) return found as Sweep;
  const remedy =
    "It exports none of a platform's; stacks/azure.ts and stacks/aws.ts do: export const { sweep } = platform";
  throw new CliError("NOT_DEPLOYED", `stack "${stack}" has no output "sweep". ${remedy}`);
}

const lines = (value: unknown): boolean => Array.isArray(value) && value.every((line) => typeof line === "string");

/** @returns what it printed. @throws CliError DEPLOYMENT with the command, so that it can be run by hand. */
async function shell(context: Context, command: string): Promise<string> {
  const child = spawn("sh", ["-c", command], {
    cwd: context.root,
    env: context.io.env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8").on("data", (text: string) => {
      said[stream] += text;
    });
  }
  const code = await new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (ended) => resolve(ended ?? 128));
  });
  if (code === 0) return said.stdout;
  const missing = code === 127 ? `. Install the cloud's command and log in, or run it where they are` : "";
  throw new CliError("DEPLOYMENT", `exit ${code} of: ${command}\n${said.stderr.trim()}${missing}`);
}
