/** Who may do what: the owner of a pipeline, and the run keys of its newest version. */
import { publicKey } from "../../../protocol/crypto";
import { type JwsType, peekJws, verifyJws } from "../../../protocol/jws";
import { readToken } from "../../../protocol/messages";
import type { Shape } from "../../../protocol/shape";
import { type Context, REQUEST_SECONDS, SKEW_SECONDS } from "../context";
import type { Tx } from "../database/open";
import { query } from "../database/query";
import { LedgerError } from "../errors";
import { versionOf } from "./versions";

/**
 * Verifies a request with a key that it names itself; whether that key is entitled is the caller's next question.
 * @throws ProtocolError SHAPE, TYPE, KEY or SIGNATURE.
 */
export async function verifySelfSigned<T>(
  typ: JwsType,
  token: string,
  shape: Shape<T>,
  keyOf: (unverified: T) => string,
): Promise<T> {
  const key = publicKey("Ed25519", keyOf(peekJws(typ, token, shape)));
  return verifyJws(typ, token, key, shape);
}

/** Whoever has seen a token elsewhere gets nowhere with it here. @throws LedgerError LEDGER_KEY. */
export function requireThisLedger({ signer }: Context, ledgerKey: string, what: string): void {
  if (ledgerKey === signer.ledgerKey) return;
  throw new LedgerError("LEDGER_KEY", `${what}: is for the ledger ${ledgerKey}, and this is ${signer.ledgerKey}`);
}

const pipelineOf = query((db, { uid }: { uid: string }) =>
  db.selectFrom("pipelines").selectAll().where("uid", "=", uid),
);

export async function pipelineRow(tx: Tx, uid: string) {
  const [row] = await pipelineOf(tx, { uid });
  if (!row) throw new LedgerError("PIPELINE_UNKNOWN", `pipeline ${uid}: not registered; run "up" first`);
  return row;
}

/** @throws LedgerError FORBIDDEN when `by` is neither the owner nor a run key of the newest version. */
export async function requireOperator(tx: Tx, uid: string, by: string): Promise<void> {
  const { owner } = await pipelineRow(tx, uid);
  if (by === owner) return;
  const newest = await tx
    .selectFrom("versions")
    .select("digest")
    .where("pipeline_uid", "=", uid)
    .orderBy("sequence", "desc")
    .limit(1)
    .executeTakeFirst();
  if (newest && (await versionOf(tx, newest.digest)).d.runKeys.includes(by)) return;
  throw new LedgerError(
    "FORBIDDEN",
    `pipeline ${uid}: the key is neither its owner's nor a run key of its newest version`,
  );
}

/** @throws LedgerError CLOCK. */
export function requireFresh(ctx: Context, issuedAt: number, what: string, seconds = REQUEST_SECONDS): void {
  const now = ctx.now();
  if (issuedAt > now + SKEW_SECONDS || issuedAt < now - seconds - SKEW_SECONDS) {
    throw new LedgerError(
      "CLOCK",
      `${what}: issued at ${issuedAt}, the ledger's clock says ${now}; correct the clock, or sign again`,
    );
  }
}

export interface Reader {
  readonly pipelineUid: string;
  /** Last second in which the token is taken, of the ledger's clock. */
  readonly until: number;
}

/**
 * The pipeline that a bearer token may read.
 * @throws LedgerError TOKEN_MISSING, SIGNATURE, CLOCK or FORBIDDEN.
 */
export async function requireReader(ctx: Context, token: string | undefined): Promise<Reader> {
  if (token === undefined) {
    throw new LedgerError("TOKEN_MISSING", "reads need a token: Authorization: Bearer <sealflow-read+jwt>");
  }
  const read = await verifySelfSigned("sealflow-read+jwt", token, readToken, (t) => t.by);
  requireThisLedger(ctx, read.ledgerKey, "read token");
  requireFresh(ctx, read.issuedAt, "read token");
  if (read.expiresAt - read.issuedAt > REQUEST_SECONDS) {
    throw new LedgerError("CLOCK", `read token: valid for more than ${REQUEST_SECONDS} seconds; sign a shorter one`);
  }
  const until = read.expiresAt + SKEW_SECONDS;
  if (until < ctx.now()) throw new LedgerError("CLOCK", "read token: expired; sign a new one");
  await ctx.db.read((tx) => requireOperator(tx, read.pipelineUid, read.by));
  return { pipelineUid: read.pipelineUid, until };
}

/** When only some owners may use this ledger. @throws LedgerError FORBIDDEN. */
export function requireKnownOwner(ctx: Context, owner: string): void {
  if (ctx.owners && !ctx.owners.has(owner)) {
    throw new LedgerError("FORBIDDEN", "this ledger serves a fixed list of owners, and the signer is not on it");
  }
}
