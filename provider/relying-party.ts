/**
 * The relying party of the project: found by `.sealflow/connection.json`, never through inputs, so that neither tokens
 * nor ports get into a stack's state. What of it goes into an identity is covered by one digest.
 */
import * as path from "node:path";
import { guestDigest } from "../policy";
import { jcsDigest } from "../protocol/canonical";
import { type Connection, connection as connectionShape } from "../protocol/connection";
import { parse } from "../protocol/shape";
import { KbsAdmin } from "../relying-party/kbs-client";
import { LedgerClient } from "../relying-party/ledger-client";
import { readText } from "./files";
import type { Context } from "./server/context";
import type { InputField } from "./server/definition";
import { ProviderError } from "./server/errors";

const START = "Start it with `npx sealflow dev`, then run this command again";
const FORGET = "SEALFLOW_FORGET_UNREACHABLE";

export interface RelyingParty {
  readonly connection: Connection;
  readonly kbs: KbsAdmin;
  readonly ledger: LedgerClient;
}

/** Computed by Check: everything of the relying party that a guest is built for. */
export const relyingPartyField = {
  type: "string",
  optional: true,
  computed: true,
  about: "Digest of the relying party's addresses and keys, and of the policy rules.",
} as const satisfies InputField;

/** undefined: no relying party has run for this project. @throws ProviderError RELYING_PARTY_UNKNOWN when damaged. */
export function readConnection(context: Context): Connection | undefined {
  const file = path.join(context.home, "connection.json");
  const text = readText(file);
  if (text === undefined) return undefined;
  try {
    return parse(connectionShape, JSON.parse(text), "connection.json");
  } catch (cause) {
    const message = `${file} is damaged (${(cause as Error).message}). \`npx sealflow dev\` writes it anew`;
    throw new ProviderError("RELYING_PARTY_UNKNOWN", message, { cause });
  }
}

/** @throws ProviderError RELYING_PARTY_UNKNOWN */
export function needConnection(context: Context): Connection {
  const found = readConnection(context);
  if (found) return found;
  const message = `no relying party: ${path.join(context.home, "connection.json")} does not exist. ${START}`;
  throw new ProviderError("RELYING_PARTY_UNKNOWN", message);
}

/**
 * For Check. A machine without a connection file keeps what was deployed; before the first deployment that is an error,
 * said before anything is done.
 */
export function relyingPartyDigest(context: Context, before: string | undefined): string {
  if (before !== undefined && !readConnection(context)) return before;
  const { kbsUrl, ledgerUrl, caPem, ledgerKey } = needConnection(context);
  return jcsDigest({ kbsUrl, ledgerUrl, caPem, ledgerKey, guest: guestDigest({ kbsUrl, caPem }) });
}

/** Computed by Check, for what lives in the ledger's store: another ledger does not have it. */
export const ledgerKeyField = {
  type: "string",
  optional: true,
  computed: true,
  change: "replace",
  about: "Key of the ledger whose store has the object.",
} as const satisfies InputField;

/** As `relyingPartyDigest`, for `ledgerKeyField`. */
export function ledgerKeyOf(context: Context, before: string | undefined): string {
  if (before !== undefined && !readConnection(context)) return before;
  return needConnection(context).ledgerKey;
}

/** @throws ProviderError RELYING_PARTY_UNKNOWN, RELYING_PARTY_UNREACHABLE */
export async function withRelyingParty<T>(context: Context, use: (party: RelyingParty) => Promise<T>): Promise<T> {
  const connection = needConnection(context);
  const { kbsUrl, ledgerUrl, caPem, ledgerKey } = connection;
  const kbs = new KbsAdmin({ url: kbsUrl, caPem, token: adminToken(context) });
  const ledger = new LedgerClient({ url: ledgerUrl, caPem, ledgerKey });
  try {
    return await use({ connection, kbs, ledger });
  } catch (error) {
    throw explain(error, connection);
  } finally {
    kbs.close();
    ledger.close();
  }
}

/**
 * For Delete: with the relying party gone for good, SEALFLOW_FORGET_UNREACHABLE=true lets Pulumi forget what was in it.
 * @param what is left behind then, for the warning.
 */
export async function deleteAt(
  context: Context,
  what: string,
  use: (party: RelyingParty) => Promise<unknown>,
): Promise<void> {
  try {
    await withRelyingParty(context, use);
  } catch (error) {
    if (!(error instanceof ProviderError) || !GONE.has(error.code)) throw error;
    if (context.env[FORGET] !== "true") {
      const remedy = `If it is gone for good, set ${FORGET}=true to forget ${what}`;
      throw new ProviderError(error.code, `${error.message}. ${remedy}`, { cause: error });
    }
    context.log.warn(`forgets ${what}, since the relying party cannot be reached (${FORGET}=true)`);
  }
}
const GONE = new Set<string>(["RELYING_PARTY_UNREACHABLE", "RELYING_PARTY_UNKNOWN"]);

/** Written by `sealflow dev`, readable by this user only. Never an input. */
function adminToken(context: Context): string {
  const file = path.join(context.home, "dev", "admin-token");
  const token = readText(file)?.trim();
  if (token) return token;
  throw new ProviderError("RELYING_PARTY_UNKNOWN", `no admin token: ${file} does not exist or is empty. ${START}`);
}

/** Codes of the clients for "no answer". */
const SILENT = new Set(["UNREACHABLE", "TIMEOUT", "DOWN"]);

function explain(error: unknown, { kbsUrl }: Connection): unknown {
  const code = (error as { code?: unknown }).code;
  if (typeof code !== "string" || !SILENT.has(code)) return error;
  const message = `the relying party does not answer (${(error as Error).message}; key broker ${kbsUrl}). ${START}`;
  return new ProviderError("RELYING_PARTY_UNREACHABLE", message, { cause: error });
}
