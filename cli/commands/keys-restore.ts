import { readFileSync } from "node:fs";
import * as path from "node:path";
import { backedUpPipeline, type KeyBackup, openBackup, writeRestored } from "../../owner/backup";
import { readKeyFile, writePrivateFile } from "../../owner/keys";
import type { Context } from "../context";
import { CliError } from "../errors";
import { EXIT } from "../exit-codes";
import { listPipelines } from "../support/pipelines";

export interface KeysRestoreOptions {
  readonly key: string;
  readonly out?: string;
  /** Open the backup, write nothing. */
  readonly check?: boolean;
  /** The pipeline that is meant, from elsewhere than the backup. */
  readonly pipelineId?: string;
}

/** `sealflow keys restore <backup> --key <file>`: the next `up` of that stack becomes the same pipeline as before. */
export async function keysRestore(context: Context, file: string, options: KeysRestoreOptions): Promise<number> {
  const { cwd } = context.io;
  const recovery = readKeyFile(path.resolve(cwd, options.key), "X25519");
  const backup = await openBackup(read(path.resolve(cwd, file), file), recovery, file);
  const { pipeline, stack, pipelineUid } = backup;
  const about = { pipeline, stack, pipelineUid };
  if (options.check) {
    context.result({ ...about, restored: null }, `the backup opens: keys of ${stack}/${pipeline}, ${pipelineUid}`);
    return EXIT.ok;
  }
  requireMeant(context, backup, file, options.pipelineId);
  if (options.out !== undefined) writePrivateFile(path.resolve(cwd, options.out), `${backup.root}\n`);
  const restored = writeRestored(context.home, backup);
  context.result({ ...about, restored }, [
    `restored the keys of ${stack}/${pipeline}, readable by you alone`,
    `next: sealflow up --stack ${stack}`,
  ]);
  return EXIT.ok;
}

/**
 * A recovery key's public half seals, and stands in every backup: whoever can exchange the file can put his own root in
 * it. So which pipeline it must be comes from this machine, or from whoever restores. @throws CliError BACKUP_OTHER
 */
function requireMeant(
  context: Context,
  { stack, pipeline, pipelineUid }: KeyBackup,
  file: string,
  given?: string,
): void {
  const meant = given ?? knownHere(context, stack, pipeline);
  if (meant === pipelineUid) return;
  const its = `${file}: its keys are of ${stack}/${pipeline} with the pipeline id ${pipelineUid}`;
  const why =
    meant === undefined
      ? "nothing on this machine says that it is yours, and anybody can seal a backup to a recovery key. " +
        "Compare it with a connection file, a run folder or what `keys backup` printed, then give --pipeline-id <id>"
      : `expected is ${meant}${given === undefined ? ", as deployed from here" : ""}. Take the backup of that pipeline`;
  throw new CliError("BACKUP_OTHER", `${its}; ${why}`);
}

function knownHere({ home }: Context, stack: string, pipeline: string): string | undefined {
  const deployed = listPipelines(home).find(({ connection: c }) => c.stack === stack && c.name === pipeline);
  return deployed?.connection.pipelineUid ?? backedUpPipeline({ home, stack, pipeline });
}

function read(file: string, shown: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new CliError("USAGE", `${shown}: cannot be read (${(cause as NodeJS.ErrnoException).code})`, { cause });
  }
}
