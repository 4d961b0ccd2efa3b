import { existsSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { readKeyFile } from "../../owner/keys";
import { MANIFEST } from "../../owner/run-folder/layout";
import { type VerifyOptions, verifyRunFolder } from "../../owner/verify";
import type { Context } from "../context";
import { CliError } from "../errors";
import { EXIT } from "../exit-codes";
import { publicKeyText } from "../support/key-text";
import { type Choice, choosePipeline, listPipelines } from "../support/pipelines";
import { reportLines } from "../support/report";

export interface VerifyChoice extends Choice {
  readonly owner?: string;
  readonly ledger?: string;
  readonly head?: string;
  readonly releaseKey?: string;
  readonly recipient?: string;
}

/** `sealflow verify <folder>`: offline; keys come from outside the folder. */
export async function verify(context: Context, folder: string, options: VerifyChoice): Promise<number> {
  const dir = path.resolve(context.io.cwd, folder);
  const report = await verifyRunFolder(dir, { ...keysFrom(context, dir, options), ...extras(context, options) });
  context.result(report, reportLines(report));
  return report.ok ? EXIT.ok : EXIT.verification;
}

function extras(context: Context, options: VerifyChoice): Pick<VerifyOptions, "pinnedHead" | "recipient"> {
  const { cwd } = context.io;
  const file = options.releaseKey && path.resolve(cwd, options.releaseKey);
  return {
    ...(options.head === undefined ? {} : { pinnedHead: headText(options.head, cwd) }),
    ...(file ? { recipient: { name: options.recipient ?? "owner", key: readKeyFile(file, "X25519") } } : {}),
  };
}

/** A signed head, or a file that holds one, such as head.jws of another run folder. */
function headText(given: string, cwd: string): string {
  const file = path.resolve(cwd, given);
  return existsSync(file) ? readFileSync(file, "utf8").trim() : given;
}

function keysFrom(context: Context, dir: string, options: VerifyChoice): { ownerPublicKey: string; ledgerKey: string } {
  const { cwd } = context.io;
  const owner = options.owner && publicKeyText(options.owner, "ownerPublicKey", cwd);
  const ledger = options.ledger && publicKeyText(options.ledger, "ledgerKey", cwd);
  if (owner && ledger) return { ownerPublicKey: owner, ledgerKey: ledger };
  const { connection } = deployedFor(context, dir, options);
  return { ownerPublicKey: owner || connection.ownerPublicKey, ledgerKey: ledger || connection.ledgerKey };
}

/** The connection file of the pipeline that the folder says it is of: the keys are the project's, not the folder's. */
function deployedFor(context: Context, dir: string, options: VerifyChoice) {
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
