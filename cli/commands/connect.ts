import { existsSync } from "node:fs";
import * as path from "node:path";
import { readKeyFile, writeKeyFile, writePrivateFile } from "../../owner/keys";
import { rawPublic } from "../../protocol/crypto";
import type { Context } from "../context";
import { CliError } from "../errors";
import { EXIT } from "../exit-codes";
import { choiceOf, type Deployed, readConnection, releaseKeyFile, runKeyFile, versionOf } from "../support/pipelines";

export interface ConnectOptions {
  readonly runKey?: string;
  readonly releaseKey?: string;
}

/**
 * `sealflow connect <file>`: makes a deployed pipeline known on a machine that did not deploy it. With the caller's own
 * keys its runs can be opened, watched and fetched from there; nothing of the owner is needed.
 */
export async function connect(context: Context, file: string, options: ConnectOptions): Promise<number> {
  const { cwd } = context.io;
  const deployed = readConnection(path.resolve(cwd, file));
  const { connection } = deployed;
  const version = await versionOf(deployed);
  const home = path.join(context.placeToConnect, ".sealflow");
  const target = path.join(home, "pipelines", connection.stack, `${connection.name}.json`);
  if (existsSync(target)) sameOwner(readConnection(target), deployed, context.show(target));

  const notes: string[] = [];
  if (options.runKey !== undefined) {
    const key = readKeyFile(path.resolve(cwd, options.runKey), "Ed25519");
    writeKeyFile(runKeyFile(home, connection), key);
    if (!version.runKeys.includes(rawPublic(key))) {
      notes.push(
        `the deployed version does not list your run key yet. Ask its owner for runKeys: ["${rawPublic(key)}"]`,
      );
    }
  }
  if (options.releaseKey !== undefined) {
    writeKeyFile(releaseKeyFile(home, connection), readKeyFile(path.resolve(cwd, options.releaseKey), "X25519"));
  }
  writePrivateFile(target, `${JSON.stringify(connection, null, 2)}\n`);
  const { stack, name, pipelineUid, ownerPublicKey, ledgerKey } = connection;
  context.result({ file: target, stack, name, pipelineUid, ownerPublicKey, ledgerKey, notes }, [
    `connected to ${stack}/${name}: ${context.show(target)}`,
    "compare with what its owner tells you by another way, because everything is verified with these:",
    `  owner's public key   ${ownerPublicKey}`,
    `  ledger's public key  ${ledgerKey}`,
    ...notes,
    `next: npx sealflow status${choiceOf(home, connection)}`,
  ]);
  return EXIT.ok;
}

/** A newer file of the same pipeline is fine; a file that swaps the keys to verify with is not. */
function sameOwner({ connection: old }: Deployed, { connection: next }: Deployed, shown: string): void {
  const same = (["pipelineUid", "ownerPublicKey", "ledgerKey"] as const).every((field) => old[field] === next[field]);
  if (same) return;
  throw new CliError(
    "EXISTS",
    `${shown}: connects to another pipeline, owner or ledger under this name. If that is meant, move the file away first`,
  );
}
