/** A ledger client that has first been held against the last head seen of that ledger. */

import type { KeyObject } from "node:crypto";
import { randomBytes } from "node:crypto";
import { readKeyFile } from "../../owner/keys";
import { signReadToken } from "../../owner/run-request";
import { ProtocolError } from "../../protocol/errors";
import { HttpError } from "../../relying-party/http/client";
import { readRoutes } from "../../relying-party/http/routes";
import { LedgerClient, type VerifiedHead } from "../../relying-party/ledger-client";
import type { Context } from "../context";
import { lastHead, rememberHead } from "./heads";
import { type Deployed, runKeyFile } from "./pipelines";

export interface LedgerSession {
  readonly ledger: LedgerClient;
  readonly runKey: KeyObject;
  /** The head when the session began; extends everything seen before. */
  readonly head: VerifiedHead;
  /** Signs a read token: they live for minutes. */
  readonly read: () => Promise<string>;
  /**
   * Remembers how far the log has come. The head in an answer is signed, and may still be of another history than the one
   * that was seen before: only what extends it takes its place.
   * @param proven a head that extends what was seen, which the log must extend. Default: the last that was remembered.
   * @throws ProtocolError LOG_PROOF, LedgerRefusal ROLLBACK.
   */
  readonly advance: (proven?: string) => Promise<void>;
}

/** @throws KeyError, HttpError, LedgerRefusal, ProtocolError LOG_PROOF when the ledger was rolled back. */
export async function withLedger<T>(
  context: Context,
  deployed: Deployed,
  use: (session: LedgerSession) => Promise<T>,
): Promise<T> {
  const { home, io } = context;
  const { ledgerUrl, caPem, ledgerKey, pipelineUid } = deployed.connection;
  const runKey = readKeyFile(runKeyFile(home, deployed.connection), "Ed25519");
  const ledger = new LedgerClient({ url: ledgerUrl, caPem, ledgerKey, routes: readRoutes(home, io.env) });
  try {
    const ask = async (proven = lastHead(home, ledgerKey)): Promise<VerifiedHead> => {
      const now = await checkedHead(ledger, proven, ledgerUrl);
      rememberHead(home, ledgerKey, now.token);
      return now;
    };
    const head = await ask();
    const advance = async (proven?: string): Promise<void> => {
      await ask(proven);
    };
    const read = () => signReadToken({ ledgerKey, pipelineUid, now: io.now(), random: randomBytes(32) }, runKey);
    return await use({ ledger, runKey, head, read, advance });
  } catch (error) {
    throw withRemedy(error, ledgerUrl);
  } finally {
    ledger.close();
  }
}

/** A relying party on this machine is the user's own to start. */
function withRemedy(error: unknown, ledgerUrl: string): unknown {
  if (!(error instanceof HttpError) || error.code !== "UNREACHABLE") return error;
  if (!["127.0.0.1", "localhost", "[::1]"].includes(new URL(ledgerUrl).hostname)) return error;
  const remedy = "Start it with: npx sealflow dev --detach";
  return new HttpError("UNREACHABLE", `relying party ${error.message}. ${remedy}`, { cause: error });
}

async function checkedHead(ledger: LedgerClient, old: string | undefined, url: string): Promise<VerifiedHead> {
  try {
    return await ledger.head(old);
  } catch (error) {
    if (!(error instanceof ProtocolError) || error.code !== "LOG_PROOF") throw error;
    const remedy =
      "Its database was restored from an older copy, or it shows different logs to different callers. Do not run on it";
    throw new ProtocolError("LOG_PROOF", `ledger ${url}: ${error.message}, which was seen before. ${remedy}`, {
      cause: error,
    });
  }
}
