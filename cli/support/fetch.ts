/** Fetches one run with the caller's keys into `.sealflow/runs/<run>/`. */
import * as path from "node:path";
import { verifyDescriptor } from "../../owner/descriptor";
import { type Fetched, fetchRun, versionOfRun } from "../../owner/fetch";
import type { Recipient } from "../../owner/release";
import type { Descriptor } from "../../protocol/messages";
import type { Context } from "../context";
import type { LedgerSession } from "./ledger";
import { type Deployed, releaseKeyFor } from "./pipelines";

export interface FetchChoice {
  readonly all?: boolean | undefined;
  readonly out?: string | undefined;
}

export const runFolder = (context: Context, run: string): string => path.join(context.home, "runs", run);

/** The caller's release key of the run's version, when this machine has it. */
export function ownRecipient(context: Context, { connection }: Deployed, d: Descriptor): Recipient | undefined {
  const key = releaseKeyFor(context.home, connection, d);
  return key && { name: "owner", key };
}

export async function fetchInto(
  context: Context,
  deployed: Deployed,
  session: LedgerSession,
  run: string,
  { all, out }: FetchChoice,
): Promise<Fetched & { readonly dir: string }> {
  const { ownerPublicKey, ledgerKey, pipelineUid } = deployed.connection;
  const dir = out === undefined ? runFolder(context, run) : path.resolve(context.io.cwd, out);
  const exported = await session.ledger.runLog(run, await session.read());
  const d = await verifyDescriptor(versionOfRun(exported), ownerPublicKey);
  const recipient = ownRecipient(context, deployed, d);
  const fetched = await fetchRun({
    exported,
    dir,
    download: (url) => session.ledger.object(url, undefined, context.io.signal),
    objects: all ? "all" : "released",
    keys: { ownerPublicKey, ledgerKey, pipelineUid, run, pinnedHead: session.head.token },
    signal: context.io.signal,
    ...(recipient ? { recipient } : {}),
  });
  // Verified against the head that was seen; a folder that contradicts it is no reason to forget that one.
  if (fetched.report.ok) await session.advance(exported.head);
  return { ...fetched, dir };
}
