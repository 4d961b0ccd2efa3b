import { generateKeyPairSync } from "node:crypto";
import { existsSync } from "node:fs";
import * as path from "node:path";
import { writeKeyFile } from "../../owner/keys";
import { rawPublic } from "../../protocol/crypto";
import type { Context } from "../context";
import { CliError } from "../errors";
import { EXIT } from "../exit-codes";

/** `sealflow keys new <file>`: a recipient's key pair. The public half goes to the owner, into `recipients`. */
export async function keysNew(context: Context, file: string): Promise<number> {
  const target = path.resolve(context.io.cwd, file);
  if (existsSync(target))
    throw new CliError("USAGE", `${context.show(target)}: is there already; a key is not replaced`);
  const { privateKey, publicKey } = generateKeyPairSync("x25519");
  writeKeyFile(target, privateKey);
  const shown = rawPublic(publicKey);
  context.result({ file: target, publicKey: shown }, [
    shown,
    `private key: ${context.show(target)}. Give the owner the line above, for \`recipients\` of the pipeline`,
  ]);
  return EXIT.ok;
}
