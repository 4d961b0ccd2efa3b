/** Runs the `sealflow` command as a user does: the launcher, in the project's folder, as a process of its own. */
import { spawn } from "node:child_process";
import * as path from "node:path";
import type { ProjectPlace } from "./project";

const LAUNCHER = path.resolve(__dirname, "../../bin/sealflow.js");

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Everything that a command of a project printed, for scans. */
export const printed = new WeakMap<ProjectPlace, string[]>();

export async function sealflow(project: ProjectPlace, args: string[], env: NodeJS.ProcessEnv = {}): Promise<CliResult> {
  const child = spawn(process.execPath, [LAUNCHER, ...args], {
    cwd: project.dir,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const result = { code: 1, stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8").on("data", (text: string) => {
      result[stream] += text;
    });
  }
  result.code = await new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve(code ?? 128));
  });
  printed.set(project, [...(printed.get(project) ?? []), result.stdout, result.stderr]);
  return result;
}

/** As `sealflow`, and fails the test with the whole output when the command does. */
export async function ok(project: ProjectPlace, args: string[], env?: NodeJS.ProcessEnv): Promise<CliResult> {
  const result = await sealflow(project, args, env);
  if (result.code !== 0) {
    throw new Error(`sealflow ${args.join(" ")}: exit ${result.code}\n${result.stdout}\n${result.stderr}`);
  }
  return result;
}
