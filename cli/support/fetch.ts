/** Fetches one run with the caller's keys into `.sealflow/runs/<run>/`. */
import { existsSync } from "node:fs";
import * as path from "node:path";
import { type Fetched, fetchRun } from "../../owner/fetch";
import { readKeyFile } from "../../owner/keys";
import type { Recipient } from "../../owner/release";
import type { Context } from "../context";
import type { LedgerSession } from "./ledger";
import { type Deployed, releaseKeyFile } from "./pipelines";

export interface FetchChoice {
  readonly all?: boolean | undefined;
  readonly out?: string | undefined;
}

export const runFolder = (context: Context, run: string): string => path.join(context.home, "runs", run);

/** The caller's release key, when this machine has it. */
export function ownRecipient(context: Context, { connection }: Deployed): Recipient | undefined {
  const file = releaseKeyFile(context.home, connection);
  return existsSync(file) ? { name: "owner", key: readKeyFile(file, "X25519") } : undefined;
}

export async function fetchInto(
  context: Context,
  deployed: Deployed,
  session: LedgerSession,
  run: string,
  { all, out }: FetchChoice,
): Promise<Fetched & { readonly dir: string }> {
  const { ownerPublicKey, ledgerKey } = deployed.connection;
  const dir = out === undefined ? runFolder(context, run) : path.resolve(context.io.cwd, out);
  const exported = await session.ledger.runLog(run, await session.read());
  const recipient = ownRecipient(context, deployed);
  const fetched = await fetchRun({
    exported,
    dir,
    download: (url) => session.ledger.object(url, undefined, context.io.signal),
    objects: all ? "all" : "released",
    keys: { ownerPublicKey, ledgerKey, run, pinnedHead: session.head.token },
    signal: context.io.signal,
    ...(recipient ? { recipient } : {}),
  });
  session.seen(exported.head);
  return { ...fetched, dir };
}
