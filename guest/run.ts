/** One attempt of one step, from the bundle to the commit (DESIGN §5, points 4 to 9). */
import { chmod, chown, mkdir, rm, writeFile } from "node:fs/promises";
import { fromBase64url } from "../protocol/bytes";
import { privateKey } from "../protocol/crypto";
import { openFrom } from "../protocol/jwe";
import { parameterContext } from "../protocol/messages";
import { type Assignment, verifyAnswer } from "./answer";
import { fetchBundle, type OpenedBundle, openBundle, readOwnerKey } from "./bundle";
import { claimWork } from "./claim";
import { type AttemptEnd, commitAttempt } from "./commit";
import { checkCondition } from "./condition";
import { checkEnvironment } from "./environment";
import { asRunnerError, EXIT, type ExitCode, RunnerError, refuseWith } from "./errors";
import type { ReceiptInput } from "./input-object";
import { planInputs, readInput } from "./inputs";
import { type Ended, findMeans, runIsolated, runTrusted } from "./isolate/program";
import { type Means, PROGRAM_ID } from "./isolate/sandbox";
import type { Layout } from "./layout";
import { writeLog } from "./log";
import { Network } from "./net/https";
import { type WrittenObject, writeOutput } from "./outputs";
import type { Reporter } from "./stage";

export interface RunOptions {
  readonly layout: Layout;
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly execArgv: readonly string[];
  readonly report: Reporter;
  /** Where the CDH listens; only tests give another. */
  readonly cdh?: string;
}

/** @returns the exit code. Throws nothing. */
export async function runStep(options: RunOptions): Promise<ExitCode> {
  try {
    return await attempt(options);
  } catch (error) {
    const known = asRunnerError(error);
    options.report.failed(known.code, known.exit);
    return known.exit;
  }
}

async function attempt({ layout, env, execArgv, report, cdh }: RunOptions): Promise<ExitCode> {
  const address = checkEnvironment(env, execArgv);
  report.stage("bundle");
  const ownerKey = await readOwnerKey(layout.ownerFile);
  await prepareScratch(layout);
  const [token, means] = await Promise.all([fetchBundle(address.resource, cdh), findMeans(layout)]);
  const opened = await openBundle(token, address, ownerKey);
  checkIsolation(opened, means);

  const { ledger } = opened.bundle;
  const network = new Network(ledger.url, ledger.caPem);
  try {
    report.stage("claiming");
    const granted = await claimWork(opened, address.runHint, network, () => report.stage("waiting"));
    if (typeof granted === "string") {
      report.ended(granted);
      return EXIT.ok;
    }
    const work = await verifyAnswer(opened, granted);
    return await new Attempt(opened, work, layout, means, network, report).finish();
  } finally {
    network.close();
  }
}

/** Refuses before anything is claimed. @throws RunnerError ISOLATION or EGRESS. */
function checkIsolation({ bundle }: OpenedBundle, means: Means | undefined): void {
  const { trustProgram, egress } = bundle.program;
  if (trustProgram !== undefined) return;
  if (!means)
    throw new RunnerError("ISOLATION", "this guest cannot isolate the program, and the step does not trust it");
  if (egress) throw new RunnerError("EGRESS", "egress shares the network with the key service: it needs trustProgram");
}

async function prepareScratch(layout: Layout): Promise<void> {
  await refuseWith("SCRATCH", "scratch volume", async () => {
    for (const folder of [layout.scratch, layout.inputs, layout.outputs]) {
      if (folder !== layout.scratch) await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true, mode: 0o755 });
    }
    await rm(layout.parameters, { force: true });
    await chmod(layout.scratch, 0o755);
    // Placeholders for the first look at whether isolation works.
    await writeFile(layout.parameters, "{}\n", { mode: 0o444 });
    if (process.getuid?.() === 0) await giveToProgram(layout.outputs);
  });
}

/** Where only the runner's own uid exists (an ordinary user's namespace), the program runs with that one outside. */
async function giveToProgram(folder: string): Promise<void> {
  try {
    await chown(folder, PROGRAM_ID, PROGRAM_ID);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EINVAL") throw error;
  }
}

/** What is known about an attempt so far: enough to report its end at any time. */
class Attempt {
  readonly #inputs: ReceiptInput[] = [];
  #ended: Ended | undefined;

  constructor(
    private readonly opened: OpenedBundle,
    private readonly work: Assignment,
    private readonly layout: Layout,
    private readonly means: Means | undefined,
    private readonly network: Network,
    private readonly report: Reporter,
  ) {}

  /** The attempt is granted: however it ends, the ledger is told. */
  async finish(): Promise<ExitCode> {
    let outputs: Record<string, WrittenObject>;
    try {
      await this.#readInputs();
      await this.#runProgram();
      outputs = await this.#writeOutputs();
    } catch (error) {
      return this.#fail(asRunnerError(error));
    }
    this.report.stage("committing");
    const log = await this.#writeLog(["ended well"]);
    const status = await commitAttempt(this.opened, this.work, this.#end("ok", outputs, log), this.network);
    this.report.ended(status);
    return EXIT.ok;
  }

  async #readInputs(): Promise<void> {
    this.report.stage("inputs");
    await checkCondition(this.opened, this.work);
    const objects = await planInputs(this.opened, this.work);
    for (const object of objects) {
      await readInput(object, this.layout.inputs, this.network);
      this.#inputs.push(object.receipt);
    }
    await this.#openParameters();
  }

  async #openParameters(): Promise<void> {
    const { bundle } = this.opened;
    const { step, pipelineUid } = bundle.program;
    const { parameters } = this.work.request;
    const sealed = Object.hasOwn(parameters, step) ? parameters[step] : undefined;
    if (sealed === undefined) return;
    await refuseWith("PARAMETERS", "parameters", async () => {
      const key = privateKey("X25519", fromBase64url(bundle.parameterSeed));
      const plain = await openFrom(key, parameterContext(pipelineUid, step), sealed);
      JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(plain));
      await rm(this.layout.parameters, { force: true });
      await writeFile(this.layout.parameters, plain, { mode: 0o444, flag: "wx" });
    });
  }

  async #runProgram(): Promise<void> {
    this.report.stage("running");
    const { command, env, limits, egress } = this.opened.bundle.program;
    const place = { SEALFLOW_SHARD: String(this.work.shard), SEALFLOW_SHARDS: String(limits.shards) };
    const options = {
      layout: this.layout,
      command,
      env: { ...env, ...place },
      timeoutSeconds: limits.timeoutSeconds,
      network: egress,
    };
    const ended = this.means ? await runIsolated(options, this.means) : await runTrusted(options);
    this.#ended = ended;
    if (ended.timedOut) throw new RunnerError("TIMEOUT", `stopped after ${limits.timeoutSeconds} s`);
    if (ended.exitCode !== 0) throw new RunnerError("PROGRAM", `the program exited with code ${ended.exitCode}`);
  }

  async #writeOutputs(): Promise<Record<string, WrittenObject>> {
    this.report.stage("outputs");
    const { outputs } = this.opened.bundle.program;
    const written: Record<string, WrittenObject> = {};
    for (const name of Object.keys(outputs)) {
      written[name] = await writeOutput(this.opened, this.work, name, this.layout.outputs, this.network);
    }
    return written;
  }

  /** Freshness is broken or the network is gone: nothing can be reported. Else the ledger is told, with the log. */
  async #fail(error: RunnerError): Promise<ExitCode> {
    const hidden = this.opened.bundle.program.exitClass === "hidden";
    const exitClass = hidden ? "hidden" : CLASSES[error.exit];
    if (!exitClass || error.exit === EXIT.freshness) throw error;
    this.report.stage("committing");
    try {
      const log = await this.#writeLog([`${error.code}: ${error.message}`]);
      this.report.ended(await commitAttempt(this.opened, this.work, this.#end(exitClass, {}, log), this.network));
    } catch (second) {
      // Hidden: what kind of end it was must not show, so it is the network's failure that does.
      throw hidden ? second : error;
    }
    if (hidden) return EXIT.ok;
    throw error;
  }

  #writeLog(lastWords: string[]): Promise<WrittenObject> {
    const output = this.#ended?.output ?? new Uint8Array(0);
    const cut = (this.#ended?.outputTotal ?? 0) - output.length;
    const words = cut > 0 ? [`the first ${cut} bytes of output were not kept`, ...lastWords] : lastWords;
    return writeLog(this.opened, this.work, output, words, this.network);
  }

  #end(exitClass: AttemptEnd["exitClass"], outputs: AttemptEnd["outputs"], log: WrittenObject): AttemptEnd {
    // With the guest's network the program reaches the key service: nobody may read that as isolated.
    const isolation = this.means && !this.opened.bundle.program.egress ? "namespaces" : "none";
    return { exitClass, inputs: this.#inputs, outputs, log, isolation };
  }
}

const CLASSES: Partial<Record<ExitCode, AttemptEnd["exitClass"]>> = {
  [EXIT.retry]: "internal",
  [EXIT.integrity]: "integrity",
  [EXIT.format]: "format",
  [EXIT.program]: "program",
  [EXIT.timeout]: "timeout",
  [EXIT.internal]: "internal",
};
