/** The commands, their arguments and options. Each parses, calls one function and leaves the printing to it. */
import { Command, InvalidArgumentError, Option } from "commander";
import { attack } from "./commands/attack";
import { cancel } from "./commands/cancel";
import { connect } from "./commands/connect";
import { dev } from "./commands/dev";
import { diff } from "./commands/diff";
import { doctor } from "./commands/doctor";
import { fetch } from "./commands/fetch";
import { imageDigest } from "./commands/image-digest";
import { init } from "./commands/init";
import { initdataDifference, initdataDigestOf, initdataShow } from "./commands/initdata";
import { keysBackup } from "./commands/keys-backup";
import { keysExport } from "./commands/keys-export";
import { keysNew } from "./commands/keys-new";
import { keysRestore } from "./commands/keys-restore";
import { keysRotate } from "./commands/keys-rotate";
import { logs } from "./commands/logs";
import { open } from "./commands/open";
import { platforms } from "./commands/platforms";
import { pulumi } from "./commands/pulumi";
import { revoke } from "./commands/revoke";
import { run } from "./commands/run";
import { schedules } from "./commands/schedules";
import { start } from "./commands/start";
import { status } from "./commands/status";
import { sweep } from "./commands/sweep";
import { up } from "./commands/up";
import { verify } from "./commands/verify";
import { Context } from "./context";
import type { Io } from "./io";
import type { Backend } from "./run/backend";

type Action = (context: Context) => Promise<number>;

export interface Parts {
  readonly io: Io;
  readonly version: string;
  readonly backend: Backend;
  /** Receives the exit code. */
  readonly done: (code: number) => void;
}

export function makeProgram({ io, version, backend, done }: Parts): Command {
  const program = new Command("sealflow")
    .description("Confidential machine-learning pipelines: deploy, run, fetch, verify.")
    .version(version)
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: (text) => io.stderr.write(text) })
    .showHelpAfterError("(sealflow <command> --help shows its arguments)");

  const add = (words: string, about: string, parent = program): Command =>
    parent
      .command(words)
      .description(about)
      .option("--project <folder>", "folder of Pulumi.yaml; default: the nearest above the working folder")
      .option("--json", "one JSON value on stdout instead of text");
  const act = async (options: { json?: boolean; project?: string }, action: Action): Promise<void> =>
    done(await action(new Context(io, options.json ?? false, options.project)));
  const choice = (command: Command): Command =>
    command
      .option("--stack <name>", "stack of the pipeline; default: the only one deployed")
      .option("--pipeline <name>", "pipeline; default: the only one deployed");

  add("start", "set up, deploy the project's pipeline to this machine, run it, verify it (npm start)").action(
    (options) => act(options, (context) => start(context, backend)),
  );
  add("init", "a small pipeline of your own in a folder, to start from; overwrites nothing")
    .argument("[folder]", "made if need be", ".")
    .action((folder: string, options) => act(options, (context) => init(context, folder)));
  add("dev", "relying party on loopback for development: key broker, ledger, object store")
    .option("--detach", "in the background")
    .option("--stop", "stop the one in the background")
    .option("--status", "say whether it runs; exit 4 when it does not")
    .option("--store <url>", "at the first start: an object store on this machine instead of the embedded one")
    .action((options) => act(options, (context) => dev(context, options, backend)));
  add("up", "deploy a stack with Pulumi")
    .option("--stack <name>", "which", "local")
    .argument("[args...]", "further arguments of pulumi up, after --")
    .action((args: string[], options) => act(options, (context) => up(context, options.stack, args)));
  add("connect", "make a pipeline known on a machine that did not deploy it: for run, status, fetch with your own keys")
    .argument("<file>", "its public connection file, from the owner")
    .option("--run-key <file>", "your run key, as `keys new --run` made it")
    .option("--release-key <file>", "your release key, for logs and releases")
    .action((file: string, options) => act(options, (context) => connect(context, file, options)));
  choice(add("run", "open a run and carry it out; needs the public connection file and your run key only"))
    .option("--params <file>", 'parameters: a JSON file {"<step>": {…}}')
    .option(
      "--from <input=folder...>",
      "run folder of the other pipeline that an input is read from; default: its newest run",
    )
    .option(
      "--resume [run]",
      "go on with an open run, or follow it again: only what is missing is run; default: the newest",
    )
    .option("--backend <name>", "local or argo; default: what the pipeline was deployed with")
    .action((options) => act(options, (context) => run(context, options, backend)));
  choice(add("schedules", "when runs may be opened without a key; `sealflow dev` carries out what is due"))
    .argument("[name]", "default: all")
    .option("--run", "open the newest slot that is due, and carry its run out here")
    .action((name: string | undefined, options) =>
      act(options, (context) => schedules(context, name, options, backend)),
    );
  choice(add("status", "the pipeline's version and newest runs, or the steps of one run"))
    .argument("[run]", "run id, or its first digits")
    .action((id: string | undefined, options) => act(options, (context) => status(context, id, options)));
  choice(add("cancel", "end a run: nothing of it starts or commits any more"))
    .argument("<run>", "run id, or its first digits")
    .option("--reason <text>", "kept in the ledger")
    .action((id: string, options) => act(options, (context) => cancel(context, id, options)));
  choice(add("revoke", "the deployed version starts, claims and commits nothing any more; needs the root secret"))
    .option("--root <file>", "file of the root secret, mode 0600; default: the variable SEALFLOW_ROOT")
    .option("--close", "close the whole pipeline for good")
    .option("--reason <text>", "kept in the ledger")
    .action((options) => act(options, (context) => revoke(context, options)));
  choice(add("logs", "what the programs of a run printed; needs your release key"))
    .argument("[step]", "default: all steps")
    .option("--run <run>", "default: the newest")
    .option("--shard <n>", "default: all", count)
    .option("--attempt <n>", "default: all", count)
    .action((step: string | undefined, options) => act(options, (context) => logs(context, step, options)));
  choice(add("fetch", "the verifiable folder of a run, verified; its releases opened"))
    .argument("[run]", "default: the newest")
    .option("--all", "every object, not only those released")
    .option("--out <folder>", "default: .sealflow/runs/<run>")
    .action((id: string | undefined, options) => act(options, (context) => fetch(context, id, options)));
  choice(add("verify", "check a run folder offline"))
    .argument("<folder>", "as fetch wrote it")
    .option("--owner <key|file>", "owner's public key; default: from the pipeline's connection file")
    .option("--ledger <key|file>", "ledger's public key; default: from the pipeline's connection file")
    .option("--head <file|text>", "a head of the ledger seen before, which the log must extend")
    .option("--release-key <file>", "your release key: opens released objects again and compares")
    .option("--recipient <name>", "whose release key it is", "owner")
    .action((folder: string, options) => act(options, (context) => verify(context, folder, options)));
  choice(add("open", "what a run released to you: verifies the folder offline and opens it with your own key"))
    .argument("<folder>", "as fetch wrote it")
    .requiredOption("--key <file>", "your private key, as `keys new` made it")
    .requiredOption("--recipient <name>", "what the pipeline calls you")
    .option("--owner <key|file>", "owner's public key; default: from the pipeline's connection file")
    .option("--ledger <key|file>", "ledger's public key; default: from the pipeline's connection file")
    .option("--head <file|text>", "a head of the ledger seen before, which the log must extend")
    .option("--out <folder>", "a new folder; default: <folder>-<recipient> here")
    .action((folder: string, options) => act(options, (context) => open(context, folder, options)));

  choice(add("attack", "mount attacks on a copy of the deployed pipeline; exit 2 when one gets further than it should"))
    .option("--list", "the attacks, their numbers and whose power they take")
    .option("--only <numbers>", "such as 4 or 1,7-9")
    .option("--params <file>", "parameters of the honest runs, as for run")
    .option("--canary <text...>", "further texts that no attacker may see")
    .action((options) => act(options, (context) => attack(context, options)));

  const keys = program
    .command("keys")
    .description("keys of recipients and runs; backup, return and rotation of a pipeline's own");
  add("new", "a recipient's key pair; prints the public key", keys)
    .argument("<file>", "for the private key; made with mode 0600")
    .option("--run", "a run key instead: for who may open runs")
    .action((file: string, options) => act(options, (context) => keysNew(context, file, options)));
  choice(
    add(
      "backup",
      "a pipeline's root secret, sealed to recovery keys; reads it from Pulumi's state or its source",
      keys,
    ),
  )
    .requiredOption("--to <key...>", "recovery keys: 43 characters each, or the file of `keys new`")
    .option("--out <file>", "default: <stack>-<pipeline>.backup.json here")
    .action((options) => act(options, (context) => keysBackup(context, options)));
  add("restore", "a backup's keys, for the next `up` of its stack", keys)
    .argument("<backup>", "as `keys backup` wrote it")
    .requiredOption("--key <file>", "the private recovery key")
    .option("--out <file>", 'the root secret as a file of mode 0600, too: for `source: { kind: "file" }`')
    .option("--check", "only see whether the backup opens")
    .option(
      "--pipeline-id <id>",
      "the pipeline it must be of. Default: the one of its name that was deployed from here",
    )
    .action((file: string, options) => act(options, (context) => keysRestore(context, file, options)));
  choice(add("rotate", "a pipeline's next generation of keys, which the next `up` makes; says what follows", keys))
    .option("--close-runs", "also when runs are open that the next version closes")
    .action((options) => act(options, (context) => keysRotate(context, options)));
  choice(add("export", "the key of one object, for another program. Whoever has it can read that object", keys))
    .addOption(new Option("--tink", "as a Google Tink keyset (JSON, cleartext)"))
    .option("--run <run>", "default: the newest")
    .option("--release <name>", "the released output")
    .option("--log <step>", "the log of a step's last attempt")
    .option("--shard <n>", "default: 0", count)
    .option("--out <file>", "file of mode 0600; default: stdout")
    .action((options) => act(options, (context) => keysExport(context, options)));
  const image = program.command("image").description("images in registries");
  add("digest", "what a tag names now, as a reference to write into a program", image)
    .argument("<reference>", "host/repository[:tag]")
    .action((reference: string, options) => act(options, (context) => imageDigest(context, reference)));
  const initdata = program.command("initdata").description("what a guest is told and measured as; reads files only");
  const FILE = "initdata (TOML), its annotation, or the JSON of a Job that has it";
  add("show", "content, sizes and the policy's data", initdata)
    .argument("<file>", FILE)
    .action((file: string, options) => act(options, (context) => initdataShow(context, file)));
  add("digest", "the identity on each TEE", initdata)
    .argument("<file>", FILE)
    .option("--tee <name>", "on one: sample, snp, tdx, az-snp-vtpm or az-tdx-vtpm")
    .action((file: string, options) => act(options, (context) => initdataDigestOf(context, file, options.tee)));
  add("diff", "why two identities differ", initdata)
    .argument("<before>", FILE)
    .argument("<after>", "the same")
    .action((before: string, after: string, options) =>
      act(options, (context) => initdataDifference(context, before, after)),
    );
  choice(add("doctor", "look at everything between here and a guest; each line says what was found and what to do"))
    .option("--platform <row>", "also whether the cluster of $KUBECONFIG takes guests of this platform")
    .option("--runtime-class <name>", "default: the platform's first")
    .action((options) => act(options, (context) => doctor(context, options)));
  add("platforms", "where confidential pods may run: hardware, evidence, state; all about one of them")
    .argument("[platform]", "default: a table of all")
    .action((name: string | undefined, options) => act(options, (context) => platforms(context, name)));
  add(
    "sweep",
    "guests in a cloud that were left behind, by the tag of a stack's platform; needs the cloud's own command",
  )
    .requiredOption("--stack <name>", "which")
    .option("--delete", "delete them; default: list them")
    .action((options) => act(options, (context) => sweep(context, options)));
  add("diff", "what a previewed change means for those who trust the pipeline, as Markdown for a review")
    .argument("<preview>", "output of pulumi preview --json; - for standard input")
    .action((file: string, options) => act(options, (context) => diff(context, file)));
  add("pulumi", "Pulumi in the project's environment; exits with its code")
    .argument("[args...]", "after --")
    .passThroughOptions()
    .action((args: string[], options) => act(options, (context) => pulumi(context, args)));
  return program;
}

function count(text: string): number {
  if (!/^[0-9]{1,6}$/.test(text)) throw new InvalidArgumentError("expected a number from 0");
  return Number(text);
}
