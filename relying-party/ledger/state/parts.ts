/** `POST /v1/parts`: places for one object of a running attempt, for stores that are not the ledger itself. */
import { publicKey } from "../../../protocol/crypto";
import { jwsDigest, openJws } from "../../../protocol/jws";
import { objectName } from "../../../protocol/keys";
import { attemptName, type PartsAnswer, partsRequest } from "../../../protocol/messages";
import type { Context } from "../context";
import { LedgerError } from "../errors";
import { placeOf, standing } from "./commits";
import { LOG } from "./graph";

/** Places live this long and are asked for anew, seconds: credentials of a store may end early anyway. */
const PLACE_SECONDS = 3600;
/** 5 TiB, what the stores take. */
const MAX_SIZE = 5 * 1024 ** 4;

/** @returns the signed answer. @throws ProtocolError or LedgerError when the attempt has no business to upload. */
export async function postParts(ctx: Context, token: string): Promise<string> {
  const { unverified, verify } = openJws("sealflow-parts+jwt", token, partsRequest);
  const request = jwsDigest(token);
  const { place, ended } = await ctx.db.read(async (tx) => {
    const place = await placeOf(tx, unverified);
    return { place, ended: await standing(tx, unverified, request, place, ctx.now()) };
  });
  // Nothing of what was read is said before this.
  const r = await verify(publicKey("Ed25519", place.step.publicKey));
  if (r.output !== LOG && !Object.hasOwn(place.step.outputs, r.output)) {
    throw new LedgerError("NOT_FOUND", `${attemptName(r)}: the step has no output ${r.output}`);
  }
  if (r.size < 1 || r.size > MAX_SIZE) {
    throw new LedgerError("TOO_LARGE", `${attemptName(r)}: output ${r.output} of ${r.size} bytes, at most ${MAX_SIZE}`);
  }
  if (ended) {
    const why = ended.status === "refused" ? ended.detail : "another attempt was committed";
    throw new LedgerError("RUN_CLOSED", `${attemptName(r)}: takes no objects any more: ${why}`);
  }
  const object = objectName(r.run, `${r.step}.${r.output}`, r.shard, r.attempt);
  const parts = await ctx.store.parts(object, r.size, Math.min(place.run.expires_at, ctx.now() + PLACE_SECONDS));
  const answer: PartsAnswer = { v: 1, request, parts };
  return ctx.signer.sign("sealflow-parts-answer+jwt", answer);
}
