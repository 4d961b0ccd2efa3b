/** `POST /v1/objects`: owners upload and delete the ciphertext of datasets. */
import { type ObjectParts, type UploadRequest, uploadRequest } from "../../../protocol/messages";
import type { Context } from "../context";
import { LedgerError } from "../errors";
import {
  pipelineRow,
  requireFresh,
  requireKnownOwner,
  requireOperator,
  requireThisLedger,
  verifySelfSigned,
} from "./authority";
import { versionState } from "./versions";

const UPLOAD_SECONDS = 24 * 3600;

export interface UploadAnswer {
  readonly object: string;
  readonly present: boolean;
  /** Where all of it goes in one PUT. */
  readonly url?: string;
  /** Where it goes in parts, instead of `url`; the same request again says whether it has arrived. */
  readonly parts?: ObjectParts;
}

export async function postUpload(ctx: Context, token: string): Promise<UploadAnswer> {
  const u = await verifySelfSigned("sealflow-upload+jwt", token, uploadRequest, (t) => t.by ?? t.ownerPublicKey);
  requireThisLedger(ctx, u.ledgerKey, "upload request");
  await requireUploader(ctx, u);
  requireKnownOwner(ctx, u.ownerPublicKey);
  requireFresh(ctx, u.issuedAt, "upload request");
  const object = `datasets/${u.digest}`;
  const owner = u.ownerPublicKey;
  if (u.action === "delete") {
    await deleteDataset(ctx, object, owner);
    return { object, present: false };
  }
  await ctx.db.write((tx) =>
    tx
      .insertInto("object_owners")
      .values({ object, owner })
      .onConflict((c) => c.doNothing())
      .execute(),
  );
  await ctx.store.settle(object, u.size);
  const found = await ctx.store.stat(object);
  if (found?.digest !== undefined && found.digest !== u.digest) {
    // Put there by somebody who knew the name: a store of its own takes any bytes.
    await ctx.store.delete(object);
  } else if (found) {
    if (found.size !== u.size) {
      throw new LedgerError("OBJECT_CONFLICT", `${object}: has ${found.size} bytes, the request says ${u.size}`);
    }
    return { object, present: true };
  }
  const parts = await ctx.store.parts(object, u.size, ctx.now() + UPLOAD_SECONDS);
  const [url] = parts.urls;
  // Whoever uploads whole objects only needs no more than that.
  return url !== undefined && parts.from === 0 && parts.partSize >= u.size && !parts.urls[1]
    ? { object, present: false, url }
    : { object, present: false, parts };
}

/** A run key may add what its runs import, on behalf of the pipeline's owner. @throws LedgerError FORBIDDEN. */
async function requireUploader(
  ctx: Context,
  { by, pipelineUid, ownerPublicKey, action }: UploadRequest,
): Promise<void> {
  if (by === undefined) return;
  if (action !== "put" || pipelineUid === undefined) {
    throw new LedgerError("FORBIDDEN", "upload request: a run key may only add objects, for a pipeline that it names");
  }
  await ctx.db.read(async (tx) => {
    await requireOperator(tx, pipelineUid, by);
    if ((await pipelineRow(tx, pipelineUid)).owner === ownerPublicKey) return;
    throw new LedgerError("FORBIDDEN", "upload request: names another owner than its pipeline's");
  });
}

/** Not there is fine. @throws LedgerError FORBIDDEN or OBJECT_IN_USE. */
async function deleteDataset(ctx: Context, object: string, owner: string): Promise<void> {
  const last = await ctx.db.write(async (tx) => {
    const owners = await tx.selectFrom("object_owners").select("owner").where("object", "=", object).execute();
    if (owners.length === 0) return false;
    if (!owners.some((o) => o.owner === owner)) {
      throw new LedgerError("FORBIDDEN", `${object}: was uploaded by another owner`);
    }
    const readers = await tx
      .selectFrom("version_objects")
      .innerJoin("versions", "versions.digest", "version_objects.version")
      .innerJoin("pipelines", "pipelines.uid", "versions.pipeline_uid")
      .select(["versions.closes_at", "versions.revoked_at", "pipelines.closed_at", "versions.pipeline_uid"])
      .where("version_objects.object", "=", object)
      .execute();
    const user = readers.find((r) => ["open", "draining"].includes(versionState(r, r, ctx.now())));
    if (user) {
      throw new LedgerError("OBJECT_IN_USE", `${object}: an open version of pipeline ${user.pipeline_uid} reads it`);
    }
    await tx.deleteFrom("object_owners").where("object", "=", object).where("owner", "=", owner).execute();
    return owners.length === 1;
  });
  if (last) await ctx.store.delete(object);
}
