/**
 * The relying party that a resource talks to: its public reference is an input, or absent for the one of this machine,
 * `.sealflow/connection.json`, whose ports get into no state. Routes and the admin key never are inputs. What of a
 * relying party goes into an identity is covered by one digest.
 */
import * as path from "node:path";
import { guestDigest, type PolicyMode } from "../policy";
import { jcsDigest } from "../protocol/canonical";
import {
  type Connection,
  connection as connectionShape,
  type RelyingPartyReference,
  relyingPartyReference,
} from "../protocol/connection";
import { parse } from "../protocol/shape";
import { readRoutes } from "../relying-party/http/routes";
import { adminTokens, KbsAdmin } from "../relying-party/kbs-client";
import { LedgerClient } from "../relying-party/ledger-client";
import { readAdminKey } from "./admin-key";
import { readText } from "./files";
import type { Context } from "./server/context";
import type { InputField } from "./server/definition";
import { ProviderError } from "./server/errors";
import { UNKNOWN, type Value } from "./server/values";

const START = "Start it with `npx sealflow dev`, then run this command again";
const FORGET = "SEALFLOW_FORGET_UNREACHABLE";

export interface RelyingParty {
  readonly connection: Connection;
  readonly kbs: KbsAdmin;
  readonly ledger: LedgerClient;
}

/** The part of a resource's inputs that says where it lives. */
export interface AtRelyingParty {
  readonly relyingParty?: RelyingPartyReference;
}

/** Only helps to find it: what matters of it is in the computed fields below. */
export const relyingPartyField = {
  type: "object",
  optional: true,
  change: "none",
  about:
    "Public reference {kbsUrl, ledgerUrl, caPem, ledgerKey} of key broker and ledger. Default: those of this machine, by `npx sealflow dev`.",
} as const satisfies InputField;

/** Computed by Check: everything of the relying party that a guest is built for. */
export const relyingPartyDigestField = {
  type: "string",
  optional: true,
  computed: true,
  about: "Digest of the relying party's addresses and keys, and of the policy rules.",
} as const satisfies InputField;

/** Computed by Check, for what lives in the ledger's store: another ledger does not have it. */
export const ledgerKeyField = {
  type: "string",
  optional: true,
  computed: true,
  change: "replace",
  about: "Key of the ledger whose store has the object.",
} as const satisfies InputField;

/** Computed by Check, for what lies in the key broker under a name of its own: another key broker does not have it. */
export const brokerField = {
  type: "string",
  optional: true,
  computed: true,
  change: "replace",
  about: "Which key broker has it.",
} as const satisfies InputField;

/** What Check is called with, as far as it matters here. */
interface Checking {
  readonly context: Context;
  readonly news: AtRelyingParty;
  /** Names of inputs that are not known yet. */
  readonly pending: ReadonlySet<string>;
}

/** undefined: no relying party has run for this project. @throws ProviderError RELYING_PARTY_UNKNOWN when damaged. */
function readConnection(context: Context): Connection | undefined {
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

/** @param reference undefined: the one of this machine. @throws ProviderError RELYING_PARTY_UNKNOWN, INPUT */
export function needConnection(context: Context, reference: RelyingPartyReference | undefined): Connection {
  if (reference !== undefined) {
    try {
      return { version: 1, ...parse(relyingPartyReference, reference, "relyingParty") };
    } catch (cause) {
      throw new ProviderError("INPUT", `${(cause as Error).message}. Pass a RelyingParty's reference whole`, { cause });
    }
  }
  const found = readConnection(context);
  if (found) return found;
  const message = `no relying party: ${path.join(context.home, "connection.json")} does not exist. ${START}`;
  throw new ProviderError("RELYING_PARTY_UNKNOWN", message);
}

/**
 * For Check. A machine without a connection file keeps what was deployed; before the first deployment that is an error,
 * said before anything is done.
 */
function computed(checking: Checking, before: string | undefined, of: (connection: Connection) => string): Value {
  const { context, news, pending } = checking;
  if (pending.has("relyingParty")) return UNKNOWN;
  if (news.relyingParty === undefined && before !== undefined && !readConnection(context)) return before;
  return of(needConnection(context, news.relyingParty));
}

/** For `relyingPartyDigestField`. */
export const relyingPartyDigest = (checking: Checking, before: string | undefined): Value =>
  computed(checking, before, ({ kbsUrl, ledgerUrl, caPem, ledgerKey }) =>
    jcsDigest({ kbsUrl, ledgerUrl, caPem, ledgerKey, guest: guestOf(kbsUrl, caPem) }),
  );

/** Every step asks for the digest of the one relying party that they share. */
let lastGuest: { readonly of: string; readonly digest: string } | undefined;

function guestOf(kbsUrl: string, caPem: string): string {
  const of = `${kbsUrl} ${caPem}`;
  if (lastGuest?.of !== of) lastGuest = { of, digest: guestDigest({ kbsUrl, caPem }) };
  return lastGuest.digest;
}

/** For `ledgerKeyField`. */
export const ledgerKeyOf = (checking: Checking, before: string | undefined): Value =>
  computed(checking, before, ({ ledgerKey }) => ledgerKey);

/** For `brokerField`. The port of a local one differs from machine to machine, so its ledger's key names it. */
export const brokerOf = (checking: Checking, before: string | undefined): Value =>
  computed(checking, before, ({ kbsUrl, ledgerKey }) => (checking.news.relyingParty ? kbsUrl : `local ${ledgerKey}`));

/** @throws ProviderError RELYING_PARTY_UNKNOWN, RELYING_PARTY_UNREACHABLE; KbsError ADMIN_KEY */
export async function withRelyingParty<T>(
  context: Context,
  { relyingParty }: AtRelyingParty,
  use: (party: RelyingParty) => Promise<T>,
  more: { readonly mode?: PolicyMode } = {},
): Promise<T> {
  const connection = needConnection(context, relyingParty);
  const { kbsUrl, ledgerUrl, caPem, ledgerKey } = connection;
  const routes = readRoutes(context.home, context.env);
  const now = () => context.now().getTime();
  // Read at the first call: whoever only talks to the ledger needs no admin key.
  let tokens: (() => Promise<string>) | undefined;
  const token = async () => {
    tokens ??= adminTokens(readAdminKey(context, relyingParty), now);
    return tokens();
  };
  const kbs = new KbsAdmin({ url: kbsUrl, caPem, token, routes, share: true, ...more });
  const ledger = new LedgerClient({ url: ledgerUrl, caPem, ledgerKey, routes, share: true });
  try {
    return await use({ connection, kbs, ledger });
  } catch (error) {
    throw explain(error, connection, relyingParty === undefined);
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
  at: AtRelyingParty,
  what: string,
  use: (party: RelyingParty) => Promise<unknown>,
): Promise<void> {
  try {
    await withRelyingParty(context, at, use);
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

/** Codes of the clients for "no answer". */
const SILENT = new Set(["UNREACHABLE", "TIMEOUT", "DOWN"]);

function explain(error: unknown, { kbsUrl }: Connection, local: boolean): unknown {
  const code = (error as { code?: unknown }).code;
  if (typeof code !== "string" || !SILENT.has(code)) return error;
  const remedy = local
    ? START
    : "If it is reached from here by another way, such as a port-forward, name that in SEALFLOW_ROUTES";
  const message = `the relying party does not answer (${(error as Error).message}; key broker ${kbsUrl}). ${remedy}`;
  return new ProviderError("RELYING_PARTY_UNREACHABLE", message, { cause: error });
}
