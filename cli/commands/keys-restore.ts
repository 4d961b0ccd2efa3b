import { readFileSync } from "node:fs";
import * as path from "node:path";
import { openBackup, writeRestored } from "../../owner/backup";
import { readKeyFile, writePrivateFile } from "../../owner/keys";
import type { Context } from "../context";
import { CliError } from "../errors";
import { EXIT } from "../exit-codes";

export interface KeysRestoreOptions {
  readonly key: string;
  readonly out?: string;
  /** Open the backup, write nothing. */
  readonly check?: boolean;
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
  if (options.out !== undefined) writePrivateFile(path.resolve(cwd, options.out), `${backup.root}\n`);
  const restored = writeRestored(context.home, backup);
  context.result({ ...about, restored }, [
    `restored the keys of ${stack}/${pipeline}, readable by you alone`,
    `next: sealflow up --stack ${stack}`,
  ]);
  return EXIT.ok;
}

function read(file: string, shown: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new CliError("USAGE", `${shown}: cannot be read (${(cause as NodeJS.ErrnoException).code})`, { cause });
  }
}
