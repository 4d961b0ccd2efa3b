/** `POST /v1/pipelines`: a version registers, its predecessor drains. */
import { jwsDigest } from "../../../protocol/jws";
import { pipelineUid } from "../../../protocol/keys";
import { type Descriptor, descriptor } from "../../../protocol/messages";
import type { Context } from "../context";
import type { Tx } from "../database/open";
import { LedgerError } from "../errors";
import { requireKnownOwner, verifySelfSigned } from "./authority";
import { graphProblems } from "./graph";
import { append } from "./log";
import { settleVersion, versionOf } from "./versions";

export async function registerDescriptor(ctx: Context, token: string) {
  const d = await verifySelfSigned("sealflow-descriptor+jwt", token, descriptor, (u) => u.ownerPublicKey);
  if (pipelineUid(d.ownerPublicKey, d.stackUuid, d.name) !== d.pipelineUid) {
    throw new LedgerError("FORBIDDEN", "descriptor: pipelineUid is not the one of this owner key, stack and name");
  }
  requireKnownOwner(ctx, d.ownerPublicKey);
  if (d.ledgerKey !== ctx.signer.ledgerKey) {
    throw new LedgerError("LEDGER_KEY", "descriptor: signed for a ledger with another key; check the connection file");
  }
  const problems = graphProblems(d);
  if (problems.length > 0) throw new LedgerError("DESCRIPTOR", `descriptor: ${problems.join("; ")}`);

  const digest = jwsDigest(token);
  const closed = await ctx.db.write((tx) => register(tx, d, digest, token, ctx.now()));
  if (closed) await ctx.db.scrub();
  ctx.feed.changed();
  return { pipelineUid: d.pipelineUid, descriptor: digest, sequence: d.sequence };
}

/** @returns whether runs may have ended with it, and lost their secrets. */
async function register(tx: Tx, d: Descriptor, digest: string, token: string, now: number): Promise<boolean> {
  const uid = d.pipelineUid;
  const known = await tx.selectFrom("versions").select("digest").where("digest", "=", digest).executeTakeFirst();
  if (known) return false;

  const pipeline = await tx.selectFrom("pipelines").selectAll().where("uid", "=", uid).executeTakeFirst();
  if (pipeline && pipeline.closed_at !== null) {
    throw new LedgerError("PIPELINE_CLOSED", `pipeline ${d.name}: closed for good by its owner; give it a new name`);
  }
  const last = await tx
    .selectFrom("versions")
    .select(["digest", "sequence"])
    .where("pipeline_uid", "=", uid)
    .orderBy("sequence", "desc")
    .limit(1)
    .executeTakeFirst();
  const sequence = (last?.sequence ?? 0) + 1;
  const predecessor = last?.digest ?? null;
  if (d.sequence !== sequence || d.predecessor !== predecessor) {
    throw new LedgerError(
      "SEQUENCE",
      `pipeline ${d.name}: next is sequence ${sequence} after ${predecessor ?? "nothing"}, ` +
        `found ${d.sequence} after ${d.predecessor ?? "nothing"}; read the newest version and sign again`,
    );
  }

  const generation = last ? (await versionOf(tx, last.digest)).d.generation : 0;
  if (d.generation < generation) {
    throw new LedgerError(
      "GENERATION",
      `pipeline ${d.name}: its keys are of generation ${generation}, found ${d.generation}; keys never go back`,
    );
  }

  if (!pipeline) await tx.insertInto("pipelines").values({ uid, owner: d.ownerPublicKey, closed_at: null }).execute();
  await tx
    .insertInto("versions")
    .values({
      digest,
      pipeline_uid: uid,
      sequence,
      token,
      registered_at: now,
      closes_at: null,
      revoked_at: null,
      settled: 0,
    })
    .execute();
  for (const [step, s] of Object.entries(d.steps)) {
    await tx
      .insertInto("programs")
      .values({
        version: digest,
        step,
        pipeline_uid: uid,
        program_id: s.programId,
        bundle: s.bundle,
        public_key: s.publicKey,
      })
      .execute();
  }
  for (const object of new Set(Object.values(d.datasets).map((s) => s.object))) {
    await tx.insertInto("version_objects").values({ object, version: digest }).execute();
  }
  await append(tx, { kind: "descriptor", pipelineUid: uid, digest, at: now });
  return last !== undefined && (await closePredecessors(tx, uid, sequence, now, d.drainSeconds));
}

/**
 * The newest drain limit wins for every older version, and never lengthens one that was already set.
 * @returns whether one is closed now.
 */
async function closePredecessors(tx: Tx, uid: string, sequence: number, now: number, drain: number): Promise<boolean> {
  let closed = false;
  const older = await tx
    .selectFrom("versions")
    .select(["digest", "closes_at"])
    .where("pipeline_uid", "=", uid)
    .where("sequence", "<", sequence)
    .where("settled", "=", 0)
    .execute();
  for (const version of older) {
    const closesAt = Math.min(version.closes_at ?? Number.MAX_SAFE_INTEGER, now + drain);
    await tx.updateTable("versions").set({ closes_at: closesAt }).where("digest", "=", version.digest).execute();
    if (closesAt > now) continue;
    await settleVersion(tx, version.digest, uid, now);
    closed = true;
  }
  return closed;
}
