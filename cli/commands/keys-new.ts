import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { existsSync } from "node:fs";
import * as path from "node:path";
import { writeKeyFile } from "../../owner/keys";
import { rawPublic } from "../../protocol/crypto";
import type { Context } from "../context";
import { CliError } from "../errors";
import { EXIT } from "../exit-codes";

export interface KeysNewOptions {
  /** A run key (Ed25519) instead of a recipient's (X25519). */
  readonly run?: boolean;
}

/** `sealflow keys new <file>`: a key pair of one's own. The public half goes to the owner, into `recipients` or `runKeys`. */
export async function keysNew(context: Context, file: string, { run = false }: KeysNewOptions): Promise<number> {
  const target = path.resolve(context.io.cwd, file);
  if (existsSync(target))
    throw new CliError("USAGE", `${context.show(target)}: is there already; a key is not replaced`);
  const key: KeyObject = run ? generateKeyPairSync("ed25519").privateKey : generateKeyPairSync("x25519").privateKey;
  writeKeyFile(target, key);
  const shown = rawPublic(key);
  context.result({ file: target, publicKey: shown }, [
    shown,
    `private key: ${context.show(target)}. Give the owner the line above, for \`${run ? "runKeys" : "recipients"}\` of the pipeline`,
  ]);
  return EXIT.ok;
}
