/** `POST /v1/commits`: the first valid commit of a shard counts, by compare-and-set. */

import { jcs } from "../../../protocol/canonical";
import { skippedSteps } from "../../../protocol/conditions";
import { publicKey, sha256hex } from "../../../protocol/crypto";
import { ProtocolError } from "../../../protocol/errors";
import { jwsDigest, openJws } from "../../../protocol/jws";
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
import { change, only, query } from "../database/query";
import type { Tables } from "../database/tables";
import { LedgerError } from "../errors";
import { fits } from "../store/types";
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
  sha256hex(jcs({ outputs: c.outputs, log: c.log, releases: c.releases }));

/** @returns the signed answer. @throws ProtocolError or LedgerError when the commit itself does not hold. */
export async function postCommit(ctx: Context, token: string): Promise<string> {
  const { unverified, verify } = openJws("sealflow-commit+jwt", token, commit);
  const digest = jwsDigest(token);
  const facts = await ctx.db.read(async (tx) => {
    const place = await placeOf(tx, unverified);
    const before = await standing(tx, unverified, digest, place, ctx.now());
    return before ? { place, before } : { place, bound: await boundBy(tx, unverified, place) };
  });
  const { place } = facts;
  // Nothing of what was read is said before this.
  const c = await verify(publicKey("Ed25519", place.step.publicKey));
  const outcome = facts.before ?? (await settle(ctx, c, place, facts.bound, token, digest));
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

async function settle(
  ctx: Context,
  c: Commit,
  place: Place,
  bound: Bound,
  token: string,
  digest: string,
): Promise<Outcome> {
  const receipt = await checkAll(ctx, c, place, bound);
  if ("status" in receipt) return receipt;
  const missing = await missingObject(ctx, c);
  if (missing) return missing;
  return ctx.db.write(async (tx) => {
    const now = ctx.now();
    return (await standing(tx, c, digest, place, now)) ?? record(tx, c, receipt, place, token, digest, now);
  });
}

const refused = (refusal: CommitRefusal, detail: string): Outcome => ({ status: "refused", refusal, detail });

const reported = query((db, { digest }: { digest: string }) =>
  db.selectFrom("commits").select("outcome").where("digest", "=", digest),
);
const runAndVersion = query((db, { run }: { run: string }) =>
  db
    .selectFrom("runs")
    .innerJoin("versions", "versions.digest", "runs.version")
    .innerJoin("pipelines", "pipelines.uid", "versions.pipeline_uid")
    .select(["runs.state", "runs.expires_at", "closes_at", "revoked_at", "closed_at"])
    .where("runs.run", "=", run),
);
/** Where a row is in tables of attempts. */
type AttemptKey = Pick<Tables["attempts"], "run" | "step" | "shard" | "attempt">;
const attemptAndShard = query((db, { run, step, shard, attempt }: AttemptKey) =>
  db
    .selectFrom("attempts")
    .innerJoin("shards", (j) =>
      j
        .onRef("shards.run", "=", "attempts.run")
        .onRef("shards.step", "=", "attempts.step")
        .onRef("shards.shard", "=", "attempts.shard"),
    )
    .select(["attempts.program_id", "attempts.ended", "shards.committed_attempt"])
    .where("attempts.run", "=", run)
    .where("attempts.step", "=", step)
    .where("attempts.shard", "=", shard)
    .where("attempts.attempt", "=", attempt),
);

/** Decides what needs no look at the receipt: repeated bytes, twins, ended runs and versions, unknown attempts. */
export async function standing(
  tx: Tx,
  c: Attempt,
  digest: string,
  place: Place,
  now: number,
): Promise<Outcome | undefined> {
  const [known] = await reported(tx, { digest });
  if (known) return { status: known.outcome === "ok" ? "committed" : "recorded" };
  const [run] = await runAndVersion(tx, { run: c.run });
  if (!run) return refused("RUN_CLOSED", "the run is gone");
  // All shards of a run that succeeded are committed, so this one is a twin.
  if (run.state === "succeeded") return { status: "superseded" };

  const state = versionState(run, run, now);
  if (state === "revoked") return refused("REVOKED", "the run's version is revoked");
  if (state === "closed") return refused("VERSION_CLOSED", "the run's version is closed");
  const runState = stateNow(run, now);
  if (runState !== "open") return refused("RUN_CLOSED", `the run is ${runState}`);

  const [attempt] = await attemptAndShard(tx, c);
  if (!attempt || attempt.program_id !== c.programId || attempt.program_id !== place.step.programId) {
    return refused("ATTEMPT_UNKNOWN", `${attemptName(c)}: was not granted to this program`);
  }
  if (attempt.ended !== 0) return refused("ATTEMPT_UNKNOWN", `${attemptName(c)}: has reported its end already`);
  return attempt.committed_attempt === null ? undefined : { status: "superseded" };
}

/** What the receipt must repeat of what was committed before, and of what opened the run. */
const boundBy = async (tx: Tx, c: Commit, { d }: Place) => ({
  digests: await committedDigests(tx, c, d),
  content: (await openingOf(tx, c.run)).content,
});

type Bound = Awaited<ReturnType<typeof boundBy>>;

async function checkAll(
  ctx: Context,
  c: Commit,
  { d, step, version }: Place,
  { digests, content }: Bound,
): Promise<Statement | Outcome> {
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

const insertCommit = change((db, c: Tables["commits"]) =>
  db.insertInto("commits").values({
    digest: c.digest,
    run: c.run,
    step: c.step,
    shard: c.shard,
    attempt: c.attempt,
    outcome: c.outcome,
    exit_class: c.exit_class,
    token: c.token,
    leaf: c.leaf,
  }),
);
const endAttempt = change((db, { run, step, shard, attempt }: AttemptKey) =>
  db
    .updateTable("attempts")
    .set({ ended: 1 })
    .where("run", "=", run)
    .where("step", "=", step)
    .where("shard", "=", shard)
    .where("attempt", "=", attempt),
);

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
  const { run, step, shard, attempt, outcome } = c;
  const exit_class = receipt.predicate.exitClass;
  await insertCommit(tx, { digest, run, step, shard, attempt, outcome, exit_class, token, leaf });
  await endAttempt(tx, c);
  if (ok) {
    if (receipt.predicate.declassified) await skipSteps(tx, c, place.d, receipt.predicate.declassified);
    await countShard(tx, c, now);
  } else await countFailure(tx, c, place.step.limits.retryLimit, now);
  return { status: ok ? "committed" : "recorded" };
}

const commitShard = change((db, { run, step, shard, attempt }: AttemptKey) =>
  db
    .updateTable("shards")
    .set((e) => ({ committed_attempt: attempt, state: "committed" as const, running: e("running", "-", 1) }))
    .where("run", "=", run)
    .where("step", "=", step)
    .where("shard", "=", shard)
    .where("committed_attempt", "is", null),
);

/** The compare-and-set that makes a commit count. */
const winShard = async (tx: Tx, c: Commit): Promise<boolean> => (await commitShard(tx, c)) === 1;

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

const countInStep = change((db, { run, step }: Pick<Commit, "run" | "step">) =>
  db
    .updateTable("run_steps")
    .set((e) => ({ committed: e("committed", "+", 1) }))
    .where("run", "=", run)
    .where("step", "=", step),
);
const countInRun = query((db, { run }: Pick<Commit, "run">) =>
  db
    .updateTable("runs")
    .set((e) => ({ remaining: e("remaining", "-", 1) }))
    .where("run", "=", run)
    .returning("remaining"),
);

async function countShard(tx: Tx, c: Commit, now: number): Promise<void> {
  await countInStep(tx, c);
  const { remaining } = only(await countInRun(tx, c), `run ${c.run}`);
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
