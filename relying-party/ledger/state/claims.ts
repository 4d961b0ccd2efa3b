/** `POST /v1/claims`: which run, which shard, which attempt. Only `go` uses up an attempt. */
import { stepsBefore } from "../../../protocol/conditions";
import { publicKey } from "../../../protocol/crypto";
import { ProtocolError } from "../../../protocol/errors";
import { jwsDigest, type OpenedJws, openJws } from "../../../protocol/jws";
import { type Claim, type ClaimAnswer, claim, guestSeconds, type REFUSALS } from "../../../protocol/messages";
import type { Context } from "../context";
import type { Tx } from "../database/open";
import { change, query } from "../database/query";
import type { Tables } from "../database/tables";
import { LedgerError } from "../errors";
import { type Granted, goAnswer } from "./go";
import { append } from "./log";
import { endRun, findRun, RUN_FIELDS, type RunRow, stateNow } from "./runs";
import { type VersionState, versionOf, versionState } from "./versions";

type Refusal = (typeof REFUSALS)[number];
type Decision =
  | { status: "go"; granted: Granted }
  | { status: "wait"; detail: string }
  | { status: "superseded" }
  | { status: "skipped" }
  | { status: "refused"; refusal: Refusal; detail: string };

const RETRY_AFTER_MS = 300;
/** Open runs looked at for one claim without a hint. */
const MAX_CANDIDATES = 20;

/** @returns the signed answer. @throws ProtocolError or LedgerError when the claim itself does not hold. */
export async function postClaim(ctx: Context, token: string): Promise<string> {
  const opened = openJws("sealflow-claim+jwt", token, claim);
  const { unverified } = opened;
  const digest = jwsDigest(token);
  const c = await verifyClaim(ctx, opened);
  if (!c) return answer(ctx, digest, unknownProgram(unverified));
  const decision = await ctx.db.write((tx) => decide(ctx, tx, c.claim, digest, c.key));
  ctx.feed.changed();
  return answer(ctx, digest, decision, c.claim);
}

const unknownProgram = (c: Claim): Decision => ({
  status: "refused",
  refusal: "PIPELINE_UNKNOWN",
  detail: `no registered version of pipeline ${c.pipelineUid} has this program as step ${c.step}; run "up" again`,
});

interface VerifiedClaim {
  readonly claim: Claim;
  readonly key: string;
}

/** The key that verified a program's last claim. `decide` reads which versions have it, so it grants nothing by itself. */
const lastKeys = new Map<string, string>();
const MAX_LAST_KEYS = 5000;

/** @returns undefined when no version has this program. @throws LedgerError SIGNATURE. */
async function verifyClaim(ctx: Context, opened: OpenedJws<Claim>): Promise<VerifiedClaim | undefined> {
  const { unverified } = opened;
  const { pipelineUid, step, programId, bundle } = unverified;
  const name = [pipelineUid, step, programId, bundle].join("|");
  const last = lastKeys.get(name);
  const found = last === undefined ? undefined : await verifiedWith(last, opened);
  if (found) return found;
  const known = await ctx.db.read((tx) => versionsOf(tx, unverified, ctx.now()));
  if (known.length === 0) return undefined;
  for (const key of new Set(known.map((v) => v.publicKey))) {
    const verified = await verifiedWith(key, opened);
    if (!verified) continue;
    const [oldest] = lastKeys.keys();
    if (lastKeys.size >= MAX_LAST_KEYS && oldest !== undefined) lastKeys.delete(oldest);
    lastKeys.set(name, key);
    return verified;
  }
  throw new LedgerError("SIGNATURE", "claim: not signed by the key of this step and program");
}

async function verifiedWith(key: string, { verify }: OpenedJws<Claim>): Promise<VerifiedClaim | undefined> {
  try {
    return { claim: await verify(publicKey("Ed25519", key)), key };
  } catch (error) {
    if (error instanceof ProtocolError && error.code === "SIGNATURE") return undefined;
    throw error;
  }
}

interface KnownVersion {
  readonly digest: string;
  readonly publicKey: string;
  readonly state: VersionState;
}

type Asker = Pick<Claim, "programId" | "pipelineUid" | "step" | "bundle">;
const versionsFor = query((db, c: Asker) =>
  db
    .selectFrom("programs")
    .innerJoin("versions", "versions.digest", "programs.version")
    .innerJoin("pipelines", "pipelines.uid", "programs.pipeline_uid")
    .select(["versions.digest", "public_key", "closes_at", "revoked_at", "closed_at"])
    .where("programs.program_id", "=", c.programId)
    .where("programs.pipeline_uid", "=", c.pipelineUid)
    .where("programs.step", "=", c.step)
    .where("programs.bundle", "=", c.bundle)
    .orderBy("versions.sequence"),
);

/** Versions that have exactly this program and bundle as this step, oldest first. */
async function versionsOf(tx: Tx, c: Asker, now: number): Promise<KnownVersion[]> {
  const rows = await versionsFor(tx, c);
  return rows.map((row) => ({
    digest: row.digest,
    publicKey: row.public_key,
    state: versionState(row, row, now),
  }));
}

async function decide(ctx: Context, tx: Tx, c: Claim, digest: string, key: string): Promise<Decision> {
  const now = ctx.now();
  // Read here: whatever was looked at before, a newer version may have registered since.
  const versions = (await versionsOf(tx, c, now)).filter((v) => v.publicKey === key);
  if (versions.length === 0) return unknownProgram(c);
  const usable = versions.filter((v) => v.state === "open" || v.state === "draining").map((v) => v.digest);
  const repeated = await repeatedClaim(tx, digest, usable, now);
  if (repeated) return repeated;

  const runs =
    c.runHint === null
      ? await openRuns(tx, usable, c.step, now)
      : await hintedRun(tx, c.runHint, c.step, versions, now);
  if ("status" in runs) return runs;
  if (runs.length === 0) return noRun(tx, usable, versions, now);

  let waiting: Decision | undefined;
  for (const run of runs) {
    const missing = await missingProducer(tx, run, c.step);
    if (missing !== undefined) {
      waiting ??= { status: "wait", detail: `run ${run.run}: step ${missing} is not committed yet` };
      continue;
    }
    const granted = await assign(tx, run, c, digest, now);
    if (granted) return { status: "go", granted };
  }
  if (waiting) return waiting;
  return exhausted(tx, runs, c.step, now);
}

/**
 * Every candidate has used up its attempts. One that is out may still commit, so a twin that comes too late ends nothing:
 * a run fails here only when a guest has been silent for longer than any may live.
 */
async function exhausted(tx: Tx, runs: RunRow[], step: string, now: number): Promise<Decision> {
  const ends: string[] = [];
  for (const { run, version } of runs) {
    const patience = guestSeconds((await stepOf(tx, version, step)).limits);
    const silent = await tx
      .selectFrom("shards")
      .select("shard")
      .where("run", "=", run)
      .where("step", "=", step)
      .where("committed_attempt", "is", null)
      .where("claimed_at", "<=", now - patience)
      .limit(1)
      .executeTakeFirst();
    if (silent) await endRun(tx, run, "failed", now);
    ends.push(`run ${run} ${silent ? "has failed" : "waits for the attempts that are out"}`);
  }
  return {
    status: "refused",
    refusal: "ATTEMPTS_EXHAUSTED",
    detail: `step ${step} has no attempts left: ${ends.join(", ")}`,
  };
}

async function stepOf(tx: Tx, version: string, step: string) {
  const found = (await versionOf(tx, version)).d.steps[step];
  if (!found) throw new LedgerError("CORRUPT", `version ${version}: step ${step} is missing`);
  return found;
}

const attemptOfClaim = query((db, { digest }: { digest: string }) =>
  db.selectFrom("attempts").selectAll().where("claim", "=", digest),
);

/** The same bytes again get the same attempt, as long as it is still going on. */
async function repeatedClaim(tx: Tx, digest: string, usable: string[], now: number): Promise<Decision | undefined> {
  const [attempt] = await attemptOfClaim(tx, { digest });
  if (!attempt) return undefined;
  const run = await findRun(tx, attempt.run);
  if (!run || !usable.includes(run.version) || stateNow(run, now) !== "open" || attempt.ended !== 0) {
    return { status: "refused", refusal: "RUN_CLOSED", detail: "this claim's attempt has ended; claim anew" };
  }
  return { status: "go", granted: attempt };
}

const candidates = query((db, { step, now }: { step: string; now: number }, rows: readonly { version: string }[]) =>
  db
    .selectFrom("runs")
    .innerJoin("run_steps", "run_steps.run", "runs.run")
    .select(RUN_FIELDS)
    .where(
      "runs.version",
      "in",
      rows.map(({ version }) => version),
    )
    .where("runs.state", "=", "open")
    .where("runs.expires_at", ">", now)
    .where("run_steps.step", "=", step)
    .where("run_steps.skipped", "=", 0)
    .whereRef("run_steps.committed", "<", "run_steps.shards")
    .orderBy("runs.opened_at")
    .orderBy("runs.run")
    .limit(MAX_CANDIDATES),
);

async function openRuns(tx: Tx, versions: string[], step: string, now: number): Promise<RunRow[]> {
  if (versions.length === 0) return [];
  return candidates(
    tx,
    { step, now },
    versions.map((version) => ({ version })),
  );
}

/** The run that the engine meant, or why it cannot be. */
async function hintedRun(
  tx: Tx,
  hint: string,
  step: string,
  versions: KnownVersion[],
  now: number,
): Promise<RunRow[] | Decision> {
  const run = await findRun(tx, hint);
  const version = versions.find((v) => v.digest === run?.version);
  if (!run || !version) {
    return {
      status: "refused",
      refusal: "RUN_UNKNOWN",
      detail: `run ${hint}: not a run of a version with this program`,
    };
  }
  const row = await stepRow(tx, hint, step);
  if (row && row.committed === row.shards) return { status: "superseded" };
  if (row?.skipped === 1) return { status: "skipped" };
  if (version.state === "revoked") {
    return { status: "refused", refusal: "REVOKED", detail: `run ${hint}: its version is revoked` };
  }
  if (version.state === "closed") {
    return { status: "refused", refusal: "VERSION_CLOSED", detail: `run ${hint}: its version is closed` };
  }
  const state = stateNow(run, now);
  if (state !== "open") return { status: "refused", refusal: "RUN_CLOSED", detail: `run ${hint}: ${state}` };
  return [run];
}

async function noRun(tx: Tx, usable: string[], versions: KnownVersion[], now: number): Promise<Decision> {
  if (usable.length === 0) {
    const revoked = versions.at(-1)?.state === "revoked";
    return revoked
      ? { status: "refused", refusal: "REVOKED", detail: "the version is revoked" }
      : { status: "refused", refusal: "VERSION_CLOSED", detail: 'the version is closed; run "up" for a newer image' };
  }
  const open = await tx
    .selectFrom("runs")
    .select("run")
    .where("version", "in", usable)
    .where("state", "=", "open")
    .where("expires_at", ">", now)
    .limit(1)
    .executeTakeFirst();
  if (open) return { status: "superseded" };
  return { status: "refused", refusal: "NO_OPEN_RUN", detail: "no run of this version is open" };
}

type StepOfRun = Pick<Tables["run_steps"], "run" | "step">;
const stepOfRun = query((db, { run, step }: StepOfRun) =>
  db.selectFrom("run_steps").selectAll().where("run", "=", run).where("step", "=", step),
);
const stepRow = async (tx: Tx, run: string, step: string) => (await stepOfRun(tx, { run, step }))[0];

async function stepCommitted(tx: Tx, run: string, step: string): Promise<boolean> {
  const row = await stepRow(tx, run, step);
  return row !== undefined && row.committed === row.shards;
}

async function missingProducer(tx: Tx, run: RunRow, step: string): Promise<string | undefined> {
  const spec = await stepOf(tx, run.version, step);
  for (const producer of stepsBefore(spec)) if (!(await stepCommitted(tx, run.run, producer))) return producer;
  return undefined;
}

const insertAttempt = change((db, a: Omit<Tables["attempts"], "ended">) =>
  db.insertInto("attempts").values({
    run: a.run,
    step: a.step,
    shard: a.shard,
    attempt: a.attempt,
    claim: a.claim,
    program_id: a.program_id,
    ended: 0,
    at: a.at,
  }),
);

/** Takes a shard: a fresh one, else one that failed, else a twin of the one that runs longest. */
async function assign(tx: Tx, run: RunRow, c: Claim, digest: string, now: number): Promise<Granted | undefined> {
  const shard = (await freshShard(tx, run.run, c.step, now)) ?? (await usedShard(tx, run, c.step, now));
  if (!shard) return undefined;
  const place = { run: run.run, step: c.step, shard: shard.shard, attempt: shard.attempt };
  await insertAttempt(tx, { ...place, claim: digest, program_id: c.programId, at: now });
  await append(tx, { kind: "attempt", pipelineUid: c.pipelineUid, digest, ...place, at: now });
  return place;
}

const takeShard = query((db, { run, step }: StepOfRun) =>
  db
    .updateTable("run_steps")
    .set((e) => ({ assigned: e("assigned", "+", 1) }))
    .where("run", "=", run)
    .where("step", "=", step)
    .whereRef("assigned", "<", "shards")
    .returning("assigned"),
);
const insertShard = change((db, s: Pick<Tables["shards"], "run" | "step" | "shard" | "claimed_at">) =>
  db.insertInto("shards").values({
    run: s.run,
    step: s.step,
    shard: s.shard,
    state: "running",
    attempts: 1,
    running: 1,
    committed_attempt: null,
    claimed_at: s.claimed_at,
  }),
);

async function freshShard(tx: Tx, run: string, step: string, now: number) {
  const [taken] = await takeShard(tx, { run, step });
  if (!taken) return undefined;
  const shard = taken.assigned - 1;
  await insertShard(tx, { run, step, shard, claimed_at: now });
  return { shard, attempt: 1 };
}

async function usedShard(tx: Tx, run: RunRow, step: string, now: number) {
  const allowed = (await stepOf(tx, run.version, step)).limits.retryLimit + 1;
  const found = await tx
    .selectFrom("shards")
    .select(["shard", "attempts"])
    .where("run", "=", run.run)
    .where("step", "=", step)
    .where("committed_attempt", "is", null)
    .where("attempts", "<", allowed)
    // "failed" sorts before "running".
    .orderBy("state")
    .orderBy("claimed_at")
    .orderBy("shard")
    .limit(1)
    .executeTakeFirst();
  if (!found) return undefined;
  const { numUpdatedRows } = await tx
    .updateTable("shards")
    .set((e) => ({
      attempts: e("attempts", "+", 1),
      running: e("running", "+", 1),
      state: "running" as const,
      claimed_at: now,
    }))
    .where("run", "=", run.run)
    .where("step", "=", step)
    .where("shard", "=", found.shard)
    .where("attempts", "=", found.attempts)
    .where("committed_attempt", "is", null)
    .executeTakeFirst();
  if (numUpdatedRows !== 1n) throw new LedgerError("BUSY", "another claim took this attempt; retry");
  return { shard: found.shard, attempt: found.attempts + 1 };
}

async function answer(ctx: Context, digest: string, decision: Decision, c?: Claim): Promise<string> {
  const body: ClaimAnswer = { v: 1, claim: digest, status: decision.status };
  if (decision.status === "go" && c) {
    const go = await goAnswer(ctx, decision.granted, c, digest);
    if (go) body.go = go;
    else Object.assign(body, { status: "refused", refusal: "RUN_CLOSED", detail: "the run ended just now" });
  }
  if (decision.status === "wait") Object.assign(body, { retryAfterMs: RETRY_AFTER_MS, detail: decision.detail });
  if (decision.status === "refused") {
    Object.assign(body, { refusal: decision.refusal, detail: decision.detail.slice(0, 400) });
  }
  return ctx.signer.sign("sealflow-claim-answer+jwt", body);
}
