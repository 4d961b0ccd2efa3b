/** `POST /v1/commits`: the first valid commit of a shard counts, by compare-and-set. */

import { utf8 } from "../../../protocol/bytes";
import { jcs } from "../../../protocol/canonical";
import { skippedSteps } from "../../../protocol/conditions";
import { publicKey, sha256hex } from "../../../protocol/crypto";
import { ProtocolError } from "../../../protocol/errors";
import { jwsDigest, peekJws, verifyJws } from "../../../protocol/jws";
import { objectName } from "../../../protocol/keys";
import {
  attemptName,
  type Commit,
  type CommitAnswer,
  type CommitRefusal,
  commit,
  type Head,
  receiptDigest,
  type Statement,
} from "../../../protocol/messages";
import { edgeName } from "../../../protocol/names";
import type { Context } from "../context";
import type { Tx } from "../database/open";
import { LedgerError } from "../errors";
import { fits } from "../store/types";
import { pipelineRow } from "./authority";
import { countedCommit } from "./go";
import { LOG, shardsOfInput } from "./graph";
import { append, currentHead, extendsHead } from "./log";
import { checkReceipt } from "./receipts";
import { endRun, findRun, openingOf, stateNow } from "./runs";
import { versionOf, versionState } from "./versions";

type Status = CommitAnswer["status"];
/** What a commit and a request for places say about whose they are. */
type Attempt = Pick<Commit, "run" | "pipelineUid" | "step" | "shard" | "attempt" | "programId">;
type Outcome = { status: Exclude<Status, "refused"> } | { status: "refused"; refusal: CommitRefusal; detail: string };

/** Digest by which the log binds what the receipt does not hold. */
export const commitContent = (c: Commit): string =>
  sha256hex(utf8(jcs({ outputs: c.outputs, log: c.log, releases: c.releases })));

/** @returns the signed answer. @throws ProtocolError or LedgerError when the commit itself does not hold. */
export async function postCommit(ctx: Context, token: string): Promise<string> {
  const unverified = peekJws("sealflow-commit+jwt", token, commit);
  const place = await ctx.db.read((tx) => placeOf(tx, unverified));
  const c = await verifyJws("sealflow-commit+jwt", token, publicKey("Ed25519", place.step.publicKey), commit);
  const digest = jwsDigest(token);
  const outcome = await settle(ctx, c, place, token, digest);
  if (outcome.status !== "refused") ctx.feed.changed();

  const body: CommitAnswer = { v: 1, commit: digest, status: outcome.status };
  if (outcome.status === "refused") {
    Object.assign(body, { refusal: outcome.refusal, detail: outcome.detail.slice(0, 400) });
  } else {
    body.head = await ctx.signer.head(await ctx.db.read(currentHead));
  }
  return ctx.signer.sign("sealflow-commit-answer+jwt", body);
}

type Place = Awaited<ReturnType<typeof placeOf>>;

/** The run's version decides with which key the commit must be signed. */
export async function placeOf(tx: Tx, c: Pick<Commit, "run" | "pipelineUid" | "step">) {
  const run = await findRun(tx, c.run);
  if (!run || run.pipeline_uid !== c.pipelineUid) {
    throw new LedgerError("RUN_UNKNOWN", `attempt: this ledger has no run ${c.run} of that pipeline`);
  }
  const { d } = await versionOf(tx, run.version);
  const step = Object.hasOwn(d.steps, c.step) ? d.steps[c.step] : undefined;
  if (!step) throw new LedgerError("NOT_FOUND", `attempt: the run's version has no step ${c.step}`);
  return { run, d, step, version: run.version };
}

async function settle(ctx: Context, c: Commit, place: Place, token: string, digest: string): Promise<Outcome> {
  const before = await ctx.db.read((tx) => standing(tx, c, digest, place, ctx.now()));
  if (before) return before;
  const receipt = await checkAll(ctx, c, place);
  if ("status" in receipt) return receipt;
  const missing = await missingObject(ctx, c);
  if (missing) return missing;
  return ctx.db.write(async (tx) => {
    const now = ctx.now();
    return (await standing(tx, c, digest, place, now)) ?? record(tx, c, receipt, place, token, digest, now);
  });
}

const refused = (refusal: CommitRefusal, detail: string): Outcome => ({ status: "refused", refusal, detail });

/** Decides what needs no look at the receipt: repeated bytes, twins, ended runs and versions, unknown attempts. */
export async function standing(
  tx: Tx,
  c: Attempt,
  digest: string,
  place: Place,
  now: number,
): Promise<Outcome | undefined> {
  const known = await tx.selectFrom("commits").select("outcome").where("digest", "=", digest).executeTakeFirst();
  if (known) return { status: known.outcome === "ok" ? "committed" : "recorded" };
  const run = await findRun(tx, c.run);
  if (!run) return refused("RUN_CLOSED", "the run is gone");
  // All shards of a run that succeeded are committed, so this one is a twin.
  if (run.state === "succeeded") return { status: "superseded" };

  const version = await tx
    .selectFrom("versions")
    .select(["closes_at", "revoked_at"])
    .where("digest", "=", place.version)
    .executeTakeFirstOrThrow();
  const state = versionState(version, await pipelineRow(tx, c.pipelineUid), now);
  if (state === "revoked") return refused("REVOKED", "the run's version is revoked");
  if (state === "closed") return refused("VERSION_CLOSED", "the run's version is closed");
  const runState = stateNow(run, now);
  if (runState !== "open") return refused("RUN_CLOSED", `the run is ${runState}`);

  const attempt = await tx
    .selectFrom("attempts")
    .select(["program_id", "ended"])
    .where("run", "=", c.run)
    .where("step", "=", c.step)
    .where("shard", "=", c.shard)
    .where("attempt", "=", c.attempt)
    .executeTakeFirst();
  if (!attempt || attempt.program_id !== c.programId || attempt.program_id !== place.step.programId) {
    return refused("ATTEMPT_UNKNOWN", `${attemptName(c)}: was not granted to this program`);
  }
  if (attempt.ended !== 0) return refused("ATTEMPT_UNKNOWN", `${attemptName(c)}: has reported its end already`);
  if (await isCommitted(tx, c)) return { status: "superseded" };
  return undefined;
}

async function isCommitted(tx: Tx, c: Attempt): Promise<boolean> {
  const row = await tx
    .selectFrom("shards")
    .select("committed_attempt")
    .where("run", "=", c.run)
    .where("step", "=", c.step)
    .where("shard", "=", c.shard)
    .executeTakeFirst();
  return row !== undefined && row.committed_attempt !== null;
}

async function checkAll(ctx: Context, c: Commit, { d, step, version }: Place): Promise<Statement | Outcome> {
  const digests = await ctx.db.read((tx) => committedDigests(tx, c, d));
  const { content } = await ctx.db.read((tx) => openingOf(tx, c.run));
  const { receipt, problems } = checkReceipt({
    commit: c,
    version,
    d,
    step,
    content,
    committed: (producer, output, shard) => digests.get(`${producer}.${output}/${shard}`),
  });
  const mismatch = (what: string) => refused("RECEIPT_MISMATCH", `${attemptName(c)}: ${what}`);
  if (!receipt || problems.length > 0) return mismatch(problems.join("; "));
  let seen: Head;
  try {
    seen = await ctx.signer.verifyHead(receipt.predicate.head);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return mismatch("receipt.head is not a head of this ledger");
  }
  // Whoever reads this attempt's outputs asks for the proof that the log goes on from there.
  if (await ctx.db.read((tx) => extendsHead(tx, seen))) return receipt;
  return mismatch("receipt.head is of a log that this one does not extend; the ledger's database was restored");
}

/** `producer.output/shard` → digest, for all that this shard reads. */
async function committedDigests(tx: Tx, c: Commit, d: Place["d"]): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  for (const input of Object.values(d.steps[c.step]?.inputs ?? {})) {
    const source = shardsOfInput(d, input, c.shard);
    for (const shard of source?.shards ?? []) {
      const row = source && (await countedCommit(tx, c.run, source.producer, shard));
      const object = row?.commit.outputs[source?.output ?? ""];
      if (source && object) digests.set(`${source.producer}.${source.output}/${shard}`, object.digest);
    }
  }
  return digests;
}

async function missingObject(ctx: Context, c: Commit): Promise<Outcome | undefined> {
  for (const [output, { digest, size }] of [...Object.entries(c.outputs), [LOG, c.log] as const]) {
    const name = objectName(c.run, `${c.step}.${output}`, c.shard, c.attempt);
    await ctx.store.settle(name, size);
    const found = await ctx.store.stat(name);
    if (!found) return refused("OBJECT_MISSING", `${attemptName(c)}: output ${output} was not uploaded`);
    if (!fits(found, { digest, size })) {
      return refused("OBJECT_MISSING", `${attemptName(c)}: output ${output} was uploaded with other bytes`);
    }
  }
  return undefined;
}

async function record(
  tx: Tx,
  c: Commit,
  receipt: Statement,
  place: Place,
  token: string,
  digest: string,
  now: number,
): Promise<Outcome> {
  const ok = c.outcome === "ok";
  if (ok && !(await winShard(tx, c))) return { status: "superseded" };
  const leaf = await append(tx, {
    kind: ok ? "commit" : "failure",
    pipelineUid: c.pipelineUid,
    digest: receiptDigest(c.receipt),
    run: c.run,
    step: c.step,
    shard: c.shard,
    attempt: c.attempt,
    content: commitContent(c),
    at: now,
  });
  await tx
    .insertInto("commits")
    .values({
      digest,
      run: c.run,
      step: c.step,
      shard: c.shard,
      attempt: c.attempt,
      outcome: c.outcome,
      exit_class: receipt.predicate.exitClass,
      token,
      leaf,
    })
    .execute();
  await tx
    .updateTable("attempts")
    .set({ ended: 1 })
    .where("run", "=", c.run)
    .where("step", "=", c.step)
    .where("shard", "=", c.shard)
    .where("attempt", "=", c.attempt)
    .execute();
  if (ok) {
    if (receipt.predicate.declassified) await skipSteps(tx, c, place.d, receipt.predicate.declassified);
    await countShard(tx, c, now);
  } else await countFailure(tx, c, place.step.limits.retryLimit, now);
  return { status: ok ? "committed" : "recorded" };
}

/** The compare-and-set that makes a commit count. */
async function winShard(tx: Tx, c: Commit): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable("shards")
    .set((e) => ({ committed_attempt: c.attempt, state: "committed" as const, running: e("running", "-", 1) }))
    .where("run", "=", c.run)
    .where("step", "=", c.step)
    .where("shard", "=", c.shard)
    .where("committed_attempt", "is", null)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** The bits of this commit decide for good: what is skipped now is never granted, and the run does not wait for it. */
async function skipSteps(tx: Tx, c: Commit, d: Place["d"], bits: Readonly<Record<string, boolean>>): Promise<void> {
  const known = new Map(Object.entries(bits).map(([output, bit]) => [edgeName(c.step, output), bit]));
  for (const step of skippedSteps(d.steps, known)) {
    const row = await tx
      .updateTable("run_steps")
      .set({ skipped: 1 })
      .where("run", "=", c.run)
      .where("step", "=", step)
      .where("skipped", "=", 0)
      .returning("shards")
      .executeTakeFirst();
    if (!row) continue;
    await tx
      .updateTable("runs")
      .set((e) => ({ remaining: e("remaining", "-", row.shards) }))
      .where("run", "=", c.run)
      .execute();
  }
}

async function countShard(tx: Tx, c: Commit, now: number): Promise<void> {
  await tx
    .updateTable("run_steps")
    .set((e) => ({ committed: e("committed", "+", 1) }))
    .where("run", "=", c.run)
    .where("step", "=", c.step)
    .execute();
  const { remaining } = await tx
    .updateTable("runs")
    .set((e) => ({ remaining: e("remaining", "-", 1) }))
    .where("run", "=", c.run)
    .returning("remaining")
    .executeTakeFirstOrThrow();
  if (remaining === 0) await endRun(tx, c.run, "succeeded", now);
}

/** The run fails with the last attempt that is allowed, once no other is still going on. */
async function countFailure(tx: Tx, c: Commit, retryLimit: number, now: number): Promise<void> {
  const shard = await tx
    .updateTable("shards")
    .set((e) => ({ running: e("running", "-", 1) }))
    .where("run", "=", c.run)
    .where("step", "=", c.step)
    .where("shard", "=", c.shard)
    .returning(["running", "attempts"])
    .executeTakeFirstOrThrow();
  if (shard.running > 0) return;
  await tx
    .updateTable("shards")
    .set({ state: "failed" })
    .where("run", "=", c.run)
    .where("step", "=", c.step)
    .where("shard", "=", c.shard)
    .execute();
  if (shard.attempts > retryLimit) await endRun(tx, c.run, "failed", now);
}
