/** Keys of deployed pipelines, out of a stack's own state. The root is in the answer: keep it in memory. */
import * as path from "node:path";
import { loadRoot, type RootSource } from "../../owner/keys";
import type { Root } from "../../protocol/keys";
import type { Context } from "../context";
import { runPulumi } from "../engine";
import { CliError } from "../errors";
import { passphraseRemedy } from "./deploy";

export interface StateKeys {
  readonly pipeline: string;
  readonly stack: string;
  readonly stackUuid: string;
  readonly pipelineUid: string;
  readonly fingerprint: string;
  readonly root: Root;
  /** Whether the deployed program named the generation. */
  readonly setByProgram: boolean;
}

interface Exported {
  readonly type?: string;
  readonly inputs?: {
    readonly source?: { readonly kind?: string; readonly path?: string; readonly variable?: string };
    readonly generation?: number;
  };
  readonly outputs?: Readonly<Record<string, unknown>>;
}

/** @param stack Pulumi's name of it. @throws CliError DEPLOYMENT or NOT_DEPLOYED, KeyError for a root outside the state. */
export async function stateKeys(context: Context, stack: string, pipeline: string | undefined): Promise<StateKeys> {
  const args = ["stack", "export", "--show-secrets", "--stack", stack];
  const { code, stdout, stderr } = await runPulumi(args, { cwd: context.root, stdio: "pipe" });
  if (code !== 0) {
    const why = passphraseRemedy(context, stderr) ?? stderr.trim();
    throw new CliError("DEPLOYMENT", `the state of stack "${stack}" cannot be read: ${why}`);
  }
  const resources: Exported[] = JSON.parse(stdout).deployment?.resources ?? [];
  const all = resources.filter(({ type }) => type === "sealflow:index:PipelineKeys");
  const fit = all.filter(({ outputs }) => pipeline === undefined || outputs?.pipeline === pipeline);
  const [only, second] = fit;
  const known = all.map(({ outputs }) => String(outputs?.pipeline)).join(", ");
  if (!only) {
    throw new CliError(
      "NOT_DEPLOYED",
      `stack "${stack}" has no keys of ${pipeline ?? "a pipeline"} (has ${known || "none"})`,
    );
  }
  if (second)
    throw new CliError("USAGE", `stack "${stack}" has several pipelines (${known}): say which with --pipeline`);
  return keysOf(context, only);
}

function keysOf(context: Context, { inputs, outputs = {} }: Exported): StateKeys {
  const word = (name: string): string => String(outputs[name] ?? "");
  const expected = { fingerprint: word("fingerprint"), generation: Number(outputs.generation) };
  const root = loadRoot(sourceOf(context, inputs?.source, plaintext(outputs.root)), { expected, env: context.io.env });
  return {
    pipeline: word("pipeline"),
    stack: word("stack"),
    stackUuid: word("stackUuid"),
    pipelineUid: word("pipelineUid"),
    fingerprint: expected.fingerprint,
    root,
    setByProgram: inputs?.generation !== undefined,
  };
}

function sourceOf(context: Context, source: NonNullable<Exported["inputs"]>["source"], root: string): RootSource {
  if (source?.kind === "file") return { source: "file", path: path.resolve(context.root, source.path ?? "") };
  if (source?.kind === "env") return { source: "env", ...(source.variable ? { variable: source.variable } : {}) };
  return { source: "state", root };
}

/** With --show-secrets, the engine writes a secret as an object whose `plaintext` is JSON. */
function plaintext(value: unknown): string {
  if (typeof value === "string") return value;
  const text = (value as { plaintext?: unknown } | undefined)?.plaintext;
  return typeof text === "string" ? String(JSON.parse(text)) : "";
}
