/** `POST /v1/pipelines/{uid}/revoke`: ends a version, or the pipeline for good. */
import { jwsDigest } from "../../../protocol/jws";
import { revoke } from "../../../protocol/messages";
import type { Context } from "../context";
import { LedgerError } from "../errors";
import { pipelineRow, requireThisLedger, verifySelfSigned } from "./authority";
import { append } from "./log";
import { settleVersion } from "./versions";

export async function postRevoke(ctx: Context, uid: string, token: string): Promise<void> {
  const r = await verifySelfSigned("sealflow-revoke+jwt", token, revoke, (u) => u.ownerPublicKey);
  requireThisLedger(ctx, r.ledgerKey, "revocation");
  const digest = jwsDigest(token);
  await ctx.db.write(async (tx) => {
    const pipeline = await pipelineRow(tx, uid);
    if (r.pipelineUid !== uid || r.ownerPublicKey !== pipeline.owner) {
      throw new LedgerError("FORBIDDEN", `pipeline ${uid}: only its owner may revoke, with a token made for it`);
    }
    const known = await tx.selectFrom("revocations").select("digest").where("digest", "=", digest).executeTakeFirst();
    if (known) return;
    let versions = tx.selectFrom("versions").select(["digest", "revoked_at"]).where("pipeline_uid", "=", uid);
    if (r.descriptor !== null) versions = versions.where("digest", "=", r.descriptor);
    const found = await versions.orderBy("sequence").execute();
    if (r.descriptor !== null && found.length === 0) {
      throw new LedgerError("NOT_FOUND", `pipeline ${uid}: has no version ${r.descriptor}`);
    }

    const now = ctx.now();
    await tx.insertInto("revocations").values({ digest, pipeline_uid: uid, token }).execute();
    await append(tx, { kind: "revoke", pipelineUid: uid, digest, at: now });
    if (r.descriptor === null) {
      await tx
        .updateTable("pipelines")
        .set({ closed_at: now })
        .where("uid", "=", uid)
        .where("closed_at", "is", null)
        .execute();
    } else {
      await tx
        .updateTable("versions")
        .set({ revoked_at: now })
        .where("digest", "=", r.descriptor)
        .where("revoked_at", "is", null)
        .execute();
    }
    for (const version of found) await settleVersion(tx, version.digest, uid, now);
    if (r.descriptor === null && r.deleteObjects) {
      await tx.updateTable("runs").set({ swept: PURGE, secret: null }).where("pipeline_uid", "=", uid).execute();
    }
  });
  await ctx.db.scrub();
  ctx.feed.changed();
}

/** `runs.swept`: every object of the run is to be deleted, releases too. */
export const PURGE = 2;
