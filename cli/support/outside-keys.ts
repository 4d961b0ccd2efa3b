/** With which keys a run folder is verified: always from outside the folder. */
import { existsSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { MANIFEST } from "../../owner/run-folder/layout";
import type { VerifyOptions } from "../../owner/verify";
import { SealflowError } from "../../protocol/errors";
import type { Context } from "../context";
import { CliError } from "../errors";
import { publicKeyText } from "./key-text";
import { type Choice, choosePipeline, type Deployed, listPipelines } from "./pipelines";

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

const GIVE = "Give the keys with --owner and --ledger (a key, or a connection file)";

/** The connection file of the pipeline that the folder says it is of: the keys are the project's, not the folder's. */
function deployedFor(context: Context, dir: string, options: OutsideKeys) {
  if (options.stack !== undefined || options.pipeline !== undefined) return choosePipeline(context.home, options);
  const uid = claimedPipeline(context.show(dir), dir);
  const found = deployedHere(context).find(({ connection }) => connection.pipelineUid === uid);
  if (found) return found;
  throw new CliError("NOT_DEPLOYED", `${context.show(dir)}: is of no pipeline deployed here. ${GIVE}`);
}

/** Whoever only verifies has no project. */
function deployedHere(context: Context): Deployed[] {
  let home: string;
  try {
    home = context.home;
  } catch (error) {
    if (error instanceof SealflowError && error.code === "SOURCE") return [];
    throw error;
  }
  return listPipelines(home);
}

function claimedPipeline(shown: string, dir: string): unknown {
  if (!existsSync(dir)) throw new CliError("USAGE", `${shown}: no such folder. Get one with: npx sealflow fetch`);
  const file = path.join(dir, MANIFEST);
  if (!existsSync(file)) throw new CliError("USAGE", `${shown}: is no run folder: it has no ${MANIFEST}`);
  try {
    const uid: unknown = JSON.parse(readFileSync(file, "utf8")).pipelineUid;
    if (typeof uid === "string") return uid;
  } catch {
    // Told below, as a manifest that names no pipeline is.
  }
  throw new CliError(
    "NOT_DEPLOYED",
    `${shown}: ${MANIFEST} is damaged and does not say of which pipeline it is. ${GIVE}`,
  );
}
