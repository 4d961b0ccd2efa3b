/** With which keys a run folder is verified: always from outside the folder. */
import { existsSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { MANIFEST } from "../../owner/run-folder/layout";
import type { VerifyOptions } from "../../owner/verify";
import type { Context } from "../context";
import { CliError } from "../errors";
import { publicKeyText } from "./key-text";
import { type Choice, choosePipeline, listPipelines } from "./pipelines";

export interface OutsideKeys extends Choice {
  readonly owner?: string;
  readonly ledger?: string;
  readonly head?: string;
}

/** @throws CliError NOT_DEPLOYED, KEY_TEXT. */
export function keysFrom(context: Context, dir: string, options: OutsideKeys): Omit<VerifyOptions, "recipient"> {
  const { cwd } = context.io;
  const pinned = options.head === undefined ? {} : { pinnedHead: headText(options.head, cwd) };
  const owner = options.owner && publicKeyText(options.owner, "ownerPublicKey", cwd);
  const ledger = options.ledger && publicKeyText(options.ledger, "ledgerKey", cwd);
  if (owner && ledger) return { ownerPublicKey: owner, ledgerKey: ledger, ...pinned };
  const { connection } = deployedFor(context, dir, options);
  const { stack, name, pipelineUid } = connection;
  // The folder chose among the pipelines of this project, and one for trying things out may have the same name.
  context.say(`held against ${stack}/${name}, as deployed from here`);
  const keys = { ownerPublicKey: owner || connection.ownerPublicKey, ledgerKey: ledger || connection.ledgerKey };
  return { ...keys, pipelineUid, ...pinned };
}

/** A signed head, or a file that holds one, such as head.jws of another run folder. */
function headText(given: string, cwd: string): string {
  const file = path.resolve(cwd, given);
  return existsSync(file) ? readFileSync(file, "utf8").trim() : given;
}

/** The connection file of the pipeline that the folder says it is of: the keys are the project's, not the folder's. */
function deployedFor(context: Context, dir: string, options: OutsideKeys) {
  if (options.stack !== undefined || options.pipeline !== undefined) return choosePipeline(context.home, options);
  const uid = claimedPipeline(dir);
  const found = listPipelines(context.home).find(({ connection }) => connection.pipelineUid === uid);
  if (found) return found;
  throw new CliError(
    "NOT_DEPLOYED",
    `${context.show(dir)}: is of no pipeline deployed here. Give the keys with --owner and --ledger (a key, or a connection file)`,
  );
}

function claimedPipeline(dir: string): unknown {
  try {
    return JSON.parse(readFileSync(path.join(dir, MANIFEST), "utf8")).pipelineUid;
  } catch {
    return undefined;
  }
}
