import type { Context } from "../context";
import { runPulumi } from "../engine";
import { CliError } from "../errors";
import { EXIT } from "../exit-codes";
import { passphraseRemedy } from "../support/deploy";
import { withLedger } from "../support/ledger";
import { type Choice, choosePipeline, type Deployed, versionOf } from "../support/pipelines";
import { shortRun } from "../support/runs";
import { stateKeys } from "../support/state-keys";

export interface KeysRotateOptions extends Choice {
  /** Rotate although runs are open that the next `up` closes. */
  readonly closeRuns?: boolean;
}

/** Namespace of the stack's configuration in which the component looks for a pipeline's generation. */
const NAMESPACE = "sealflow-keys";

/** `sealflow keys rotate`: the next generation of a pipeline's keys, made by the next `up`. */
export async function keysRotate(context: Context, options: KeysRotateOptions): Promise<number> {
  const deployed = choosePipeline(context.home, options);
  const { stack, name } = deployed.connection;
  const keys = await stateKeys(context, stack, name);
  const setting = `${NAMESPACE}:${name}`;
  const configured = await configuredGeneration(context, stack, setting);
  const { generation } = keys.root;
  if (configured === undefined && keys.setByProgram) {
    const where = `"keyGeneration" of its ConfidentialPipeline, or "generation" of its PipelineKeys`;
    throw new CliError(
      "ROTATION",
      `the program itself sets generation ${generation} of the keys of ${stack}/${name}. Write ${generation + 1} there: ${where}`,
    );
  }
  if (configured !== undefined && configured > generation) {
    throw new CliError(
      "ROTATION",
      `generation ${configured} of the keys of ${stack}/${name} is not deployed yet (${generation} is): sealflow up --stack ${stack}`,
    );
  }
  const next = generation + 1;
  const { drainSeconds, sequence } = await versionOf(deployed);
  const open = await openRuns(context, deployed);
  if (open.length > 0 && drainSeconds === 0 && options.closeRuns !== true) {
    throw new CliError(
      "ROTATION",
      `${open.length === 1 ? "a run is" : `${open.length} runs are`} open (${open.map(shortRun).join(", ")}), and the next version ` +
        "closes runs of this one at once. Let them end, set drainSeconds in the program, or say --close-runs",
    );
  }
  await pulumiConfig(context, stack, ["set", setting, String(next)]);
  const runs = drainSeconds > 0 ? `go on for ${drainSeconds} seconds` : "are closed";
  context.result({ stack, pipeline: name, generation, next, openRuns: open }, [
    `keys of ${stack}/${name}: generation ${next} after ${generation}, as ${setting} in the stack's configuration`,
    `next: sealflow up --stack ${stack}: seals images and data again, so both must be at hand, and registers version ${sequence + 1}`,
    `then: guests of generation ${generation} get no keys and no work; runs that are open ${runs}`,
    "stays: the pipeline's id, the owner's key and backups of the root; old runs verify, their releases and logs open",
    "changes: run key, release key, recipientKey. Machines that were connected connect again; stacks that release to this one list its new recipientKey",
  ]);
  return EXIT.ok;
}

async function configuredGeneration(context: Context, stack: string, setting: string): Promise<number | undefined> {
  const all = JSON.parse(await pulumiConfig(context, stack, ["--json"])) as Record<string, { value?: string }>;
  const value = all[setting]?.value;
  return value === undefined ? undefined : Number(value);
}

async function pulumiConfig(context: Context, stack: string, args: readonly string[]): Promise<string> {
  const options = { cwd: context.root, stdio: "pipe" } as const;
  const { code, stdout, stderr } = await runPulumi(["config", ...args, "--stack", stack], options);
  if (code === 0) return stdout;
  const why = passphraseRemedy(context, stderr) ?? stderr.trim();
  throw new CliError("DEPLOYMENT", `the configuration of stack "${stack}": ${why}`);
}

const openRuns = (context: Context, deployed: Deployed): Promise<string[]> =>
  withLedger(context, deployed, async ({ ledger, read }) => {
    const runs = await ledger.runs(deployed.connection.pipelineUid, await read());
    return runs.filter(({ state }) => state === "open").map(({ run }) => run);
  });
