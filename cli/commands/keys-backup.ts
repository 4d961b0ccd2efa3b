import { existsSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { sealBackup, writeBackupRecord } from "../../owner/backup";
import { formatRoot } from "../../owner/keys";
import type { Context } from "../context";
import { CliError } from "../errors";
import { EXIT } from "../exit-codes";
import { recipientKeyText } from "../support/key-text";
import { choosePipeline } from "../support/pipelines";
import { stateKeys } from "../support/state-keys";

export interface KeysBackupOptions {
  readonly stack?: string;
  readonly pipeline?: string;
  readonly to: readonly string[];
  readonly out?: string;
}

/** `sealflow keys backup --to <key>`: a pipeline's root, sealed to recovery keys. What it writes is safe to keep anywhere. */
export async function keysBackup(context: Context, options: KeysBackupOptions): Promise<number> {
  const { cwd } = context.io;
  const recoveryKeys = options.to.map((given) => recipientKeyText(given, cwd));
  const stack = options.stack ?? choosePipeline(context.home, options).connection.stack;
  const keys = await stateKeys(context, stack, options.pipeline);
  const { pipeline, pipelineUid, stackUuid, fingerprint } = keys;
  const file = path.resolve(cwd, options.out ?? `${keys.stack}-${pipeline}.backup.json`);
  if (existsSync(file))
    throw new CliError("EXISTS", `${context.show(file)}: is there already. Name another with --out`);
  const root = formatRoot(keys.root);
  const sealed = await sealBackup({ v: 1, pipeline, stack: keys.stack, stackUuid, pipelineUid, root }, recoveryKeys);
  writeFileSync(file, sealed, { flag: "wx" });
  writeBackupRecord({ home: context.home, stack: keys.stack, pipeline }, { pipelineUid, fingerprint });
  context.result({ file, pipeline, pipelineUid, recoveryKeys }, [
    `backup of the keys of ${keys.stack}/${pipeline}: ${context.show(file)}`,
    `pipeline id, to write down: a restore elsewhere asks for it, since anybody can seal another backup: ${pipelineUid}`,
    `opens with ${recoveryKeys.length === 1 ? "the recovery key" : "any of the recovery keys"} ${recoveryKeys.join(", ")}`,
    `try it: sealflow keys restore ${context.show(file)} --key <recovery.jwk> --check`,
  ]);
  return EXIT.ok;
}
