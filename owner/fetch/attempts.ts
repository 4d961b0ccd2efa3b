/** Ends of attempts straight from the ledger's export, verified one by one: for logs and single keys, before a run is whole. */
import { publicKey } from "../../protocol/crypto";
import { jwsDigest, peekJws, verifyJws } from "../../protocol/jws";
import { type Commit, commit, type Descriptor, type Statement, verifyReceipt } from "../../protocol/messages";
import { verifyDescriptor } from "../descriptor";
import { openLog, type ReleasedObject } from "../release";
import { RunFolderError } from "../run-folder/layout";
import { type Download, type RunExport, versionOfRun } from "./folder";

export interface Attempt {
  readonly commit: Commit;
  readonly receipt: Statement;
}

/**
 * Counted and failed attempts in the order of the log, each signed with its step's key of the run's version. That each
 * counted once, and what the log says, is `verify`'s business.
 * @throws RunFolderError FOLDER_EXPORT, ProtocolError, DescriptorError.
 */
export async function verifiedAttempts(
  exported: RunExport,
  ownerPublicKey: string,
): Promise<{ descriptor: Descriptor; attempts: Attempt[] }> {
  const descriptor = await verifyDescriptor(versionOfRun(exported), ownerPublicKey);
  const ends = [...exported.commits, ...exported.failures].sort((a, b) => a.leaf - b.leaf);
  const attempts: Attempt[] = [];
  for (const { commit: text } of ends)
    attempts.push(await verifiedAttempt(text, descriptor, jwsDigest(exported.request)));
  return { descriptor, attempts };
}

async function verifiedAttempt(token: string, d: Descriptor, run: string): Promise<Attempt> {
  const { step } = peekJws("sealflow-commit+jwt", token, commit);
  const key = Object.hasOwn(d.steps, step) ? d.steps[step]?.publicKey : undefined;
  if (key === undefined) throw new RunFolderError("FOLDER_EXPORT", `the run's version has no step "${step}"`);
  const c = await verifyJws("sealflow-commit+jwt", token, publicKey("Ed25519", key), commit);
  if (c.run !== run) throw new RunFolderError("FOLDER_EXPORT", `a commit of ${c.step} is of run ${c.run}`);
  return { commit: c, receipt: verifyReceipt(c.receipt, key) };
}

/** Ciphertext of an object of the run. @throws RunFolderError FOLDER_EXPORT when the store has it no more. */
export async function ciphertextOf(
  exported: RunExport,
  { digest }: Pick<ReleasedObject, "digest">,
  download: Download,
): Promise<AsyncIterable<Uint8Array>> {
  const url = exported.objects[digest];
  if (url === undefined) throw new RunFolderError("FOLDER_EXPORT", `object ${digest}: the store has it no more`);
  return download(url);
}

/** Text of an attempt's log. */
export const readLog = async (exported: RunExport, object: ReleasedObject, download: Download): Promise<string> =>
  openLog(object, await ciphertextOf(exported, object, download));
