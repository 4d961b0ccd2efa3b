/** Ends what is due: drained versions, expired runs with their secrets, and objects that nobody can open any more. */
import { objectName } from "../../../protocol/keys";
import { parseEdgeName } from "../../../protocol/names";
import type { Context } from "../context";
import type { Tx } from "../database/open";
import { append } from "./log";
import { PURGE } from "./revocations";
import { settleVersion, versionOf } from "./versions";

/** Runs handled per transaction. */
const BATCH = 100;

/** Safe to repeat, to interrupt at any place and to run in several processes. */
export async function sweep(ctx: Context): Promise<{ versions: number; expired: number; erased: number }> {
  const versions = await ctx.db.write((tx) => settleDrained(tx, ctx.now()));
  const expired = await ctx.db.write((tx) => expireRuns(tx, ctx.now()));
  if (versions + expired > 0) {
    await ctx.db.scrub();
    ctx.feed.changed();
  }
  return { versions, expired, erased: await eraseObjects(ctx) };
}

async function settleDrained(tx: Tx, now: number): Promise<number> {
  const due = await tx
    .selectFrom("versions")
    .select(["digest", "pipeline_uid"])
    .where("settled", "=", 0)
    .where("closes_at", "<=", now)
    .limit(BATCH)
    .execute();
  for (const { digest, pipeline_uid } of due) await settleVersion(tx, digest, pipeline_uid, now);
  return due.length;
}

/** A run's deadline holds for its secret whatever became of the run. */
async function expireRuns(tx: Tx, now: number): Promise<number> {
  const due = await tx
    .selectFrom("runs")
    .select(["run", "pipeline_uid", "state"])
    .where("swept", "=", 0)
    .where("expires_at", "<=", now)
    .where("secret", "is not", null)
    .limit(BATCH)
    .execute();
  for (const { run, pipeline_uid, state } of due) {
    await tx
      .updateTable("runs")
      .set(state === "open" ? { secret: null, state: "expired", ended_at: now } : { secret: null })
      .where("run", "=", run)
      .execute();
    await append(tx, { kind: "expire", pipelineUid: pipeline_uid, digest: run, run, at: now });
  }
  return due.length;
}

async function eraseObjects(ctx: Context): Promise<number> {
  const due = await ctx.db.read((tx) =>
    tx
      .selectFrom("runs")
      .select(["runs.run", "runs.swept", "runs.version"])
      .where("runs.secret", "is", null)
      .where((e) =>
        e.or([e("runs.swept", "=", PURGE), e.and([e("runs.swept", "=", 0), e("runs.expires_at", "<=", ctx.now())])]),
      )
      .limit(BATCH)
      .execute(),
  );
  for (const { run, swept, version } of due) {
    const keep = swept === PURGE ? new Set<string>() : await ctx.db.read((tx) => releasedObjects(tx, run, version));
    await ctx.store.deleteRun(run, keep);
    await ctx.db.write((tx) => tx.updateTable("runs").set({ swept: 1 }).where("run", "=", run).execute());
  }
  return due.length;
}

/** Released outputs stay readable after the secret is gone: their keys were wrapped for the recipients. */
async function releasedObjects(tx: Tx, run: string, version: string): Promise<Set<string>> {
  const keep = new Set<string>();
  for (const { from } of Object.values((await versionOf(tx, version)).d.releases)) {
    const shards = await tx
      .selectFrom("shards")
      .select(["shard", "committed_attempt"])
      .where("run", "=", run)
      .where("step", "=", parseEdgeName(from).step)
      .where("committed_attempt", "is not", null)
      .execute();
    for (const s of shards) keep.add(objectName(run, from, s.shard, s.committed_attempt as number));
  }
  return keep;
}
