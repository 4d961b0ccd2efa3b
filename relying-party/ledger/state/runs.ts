/** Runs: opened by a run key, ended by commits, failures, cancels, closing and expiry. */
import { jwsDigest, peekJws } from "../../../protocol/jws";
import { cancelRequest, type Descriptor, type RunRequest, runRequest } from "../../../protocol/messages";
import { type Context, RUN_REQUEST_SECONDS, SKEW_SECONDS } from "../context";
import type { Tx } from "../database/open";
import type { RunState, Tables } from "../database/tables";
import { LedgerError } from "../errors";
import { pipelineRow, requireFresh, requireOperator, verifySelfSigned } from "./authority";
import { append, logSize, rootAt } from "./log";
import { parsedDescriptor, versionState } from "./versions";

/** `POST /v1/runs`. @returns the run's state; repeated bytes find the run that they opened. */
export async function openRun(ctx: Context, token: string): Promise<{ run: string; state: RunState }> {
  const request = await verifySelfSigned("sealflow-run+jwt", token, runRequest, (u) => u.runKey);
  const run = jwsDigest(token);
  const known = await ctx.db.read((tx) => findRun(tx, run));
  if (known) return { run, state: stateNow(known, ctx.now()) };

  const d = await ctx.db.read((tx) => openVersion(tx, request, ctx.now()));
  requireTimes(ctx, request);
  requireContent(d, request);
  await requireSeenHead(ctx, request.head);
  await requireDatasets(ctx, d);

  const secret = Buffer.from(ctx.random(32));
  const state = await ctx.db.write(async (tx) => {
    const twin = await findRun(tx, run);
    if (twin) return stateNow(twin, ctx.now());
    await openVersion(tx, request, ctx.now());
    await insertRun(tx, { run, request: token, d, version: request.descriptor, secret, now: ctx.now() });
    return "open" as const;
  });
  ctx.feed.changed();
  return { run, state };
}

/** `POST /v1/runs/{run}/cancel`. A run that has ended stays as it ended. */
export async function cancelRun(ctx: Context, run: string, token: string): Promise<{ state: RunState }> {
  const c = await verifySelfSigned("sealflow-cancel+jwt", token, cancelRequest, (u) => u.by);
  if (c.run !== run) throw new LedgerError("FORBIDDEN", "cancel: the token is for another run");
  const digest = jwsDigest(token);
  const state = await ctx.db.write(async (tx) => {
    const row = await requireRun(tx, run, c.pipelineUid);
    await requireOperator(tx, c.pipelineUid, c.by);
    const known = await tx.selectFrom("cancels").select("digest").where("digest", "=", digest).executeTakeFirst();
    if (known) return stateNow(row, ctx.now());
    requireFresh(ctx, c.issuedAt, "cancel");
    if (!(await endRun(tx, run, "cancelled", ctx.now()))) return stateNow(row, ctx.now());
    // Nothing will read its edges again.
    await tx.updateTable("runs").set({ secret: null }).where("run", "=", run).execute();
    await tx.insertInto("cancels").values({ digest, run, token }).execute();
    await append(tx, { kind: "cancel", pipelineUid: c.pipelineUid, digest, run, at: ctx.now() });
    return "cancelled" as const;
  });
  await ctx.db.scrub();
  ctx.feed.changed();
  return { state };
}

/** Compare-and-set from open, which an expired run no longer is. @returns false when the run had ended already. */
export async function endRun(tx: Tx, run: string, state: RunState, now: number): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable("runs")
    .set({ state, ended_at: now })
    .where("run", "=", run)
    .where("state", "=", "open")
    .where("expires_at", ">", now)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

export const findRun = (tx: Tx, run: string) =>
  tx.selectFrom("runs").selectAll().where("run", "=", run).executeTakeFirst();

/** A run of another pipeline is as unknown as one that does not exist. */
export async function requireRun(tx: Tx, run: string, pipelineUid: string) {
  const row = await findRun(tx, run);
  if (!row || row.pipeline_uid !== pipelineUid) {
    throw new LedgerError("RUN_UNKNOWN", `run ${run}: this ledger has no such run of the pipeline`);
  }
  return row;
}

/** The state as it is, whether or not the sweep has been here since the deadline. */
export const stateNow = (run: Pick<Tables["runs"], "state" | "expires_at">, now: number): RunState =>
  run.state === "open" && run.expires_at <= now ? "expired" : run.state;

/** Reads the request of a stored run. */
export const storedRequest = (token: string): RunRequest => peekJws("sealflow-run+jwt", token, runRequest);

async function openVersion(tx: Tx, request: RunRequest, now: number): Promise<Descriptor> {
  const pipeline = await pipelineRow(tx, request.pipelineUid);
  const version = await tx
    .selectFrom("versions")
    .selectAll()
    .where("digest", "=", request.descriptor)
    .where("pipeline_uid", "=", request.pipelineUid)
    .executeTakeFirst();
  if (!version) throw new LedgerError("NOT_FOUND", `run request: the pipeline has no version ${request.descriptor}`);
  const d = parsedDescriptor(version.token);
  if (!d.runKeys.includes(request.runKey)) {
    throw new LedgerError("FORBIDDEN", "run request: not signed by a run key of its version");
  }
  const state = versionState(version, pipeline, now);
  if (state === "revoked") throw new LedgerError("REVOKED", `version ${d.sequence} of ${d.name} is revoked`);
  if (pipeline.closed_at !== null) throw new LedgerError("PIPELINE_CLOSED", `pipeline ${d.name} is closed for good`);
  if (state !== "open") {
    throw new LedgerError(
      "VERSION_CLOSED",
      `version ${d.sequence} of ${d.name} has a successor; use the newest version`,
    );
  }
  return d;
}

function requireTimes(ctx: Context, { issuedAt, expiresAt }: RunRequest): void {
  const now = ctx.now();
  requireFresh(ctx, issuedAt, "run request", RUN_REQUEST_SECONDS);
  if (expiresAt < now)
    throw new LedgerError("CLOCK", `run request: expired at ${expiresAt}, now is ${now}; sign again`);
  if (expiresAt > now + RUN_REQUEST_SECONDS + SKEW_SECONDS) {
    throw new LedgerError("CLOCK", `run request: expires more than ${RUN_REQUEST_SECONDS} seconds from now`);
  }
}

function requireContent(d: Descriptor, request: RunRequest): void {
  const problems: string[] = [];
  for (const [input, { digest }] of Object.entries(d.datasets)) {
    const found = request.inputs[input];
    if (found !== digest) problems.push(`inputs.${input}: expected ${digest}, found ${found ?? "nothing"}`);
  }
  for (const input of Object.keys(request.inputs)) {
    if (!Object.hasOwn(d.datasets, input)) problems.push(`inputs.${input}: not an input of this version`);
  }
  for (const step of Object.keys(request.parameters)) {
    if (!Object.hasOwn(d.steps, step)) problems.push(`parameters.${step}: not a step of this version`);
  }
  if (problems.length > 0) throw new LedgerError("INPUTS", `run request: ${problems.join("; ")}`);
}

/** The ledger notices its own rollback when somebody remembers more than it does. */
async function requireSeenHead(ctx: Context, token: string | null): Promise<void> {
  if (token === null) return;
  const seen = await ctx.signer.verifyHead(token);
  const fits = await ctx.db.read(
    async (tx) => seen.size <= (await logSize(tx)) && (await rootAt(tx, seen.size)) === seen.root,
  );
  if (!fits) {
    throw new LedgerError(
      "ROLLBACK",
      `run request: saw a log of ${seen.size} entries that this log does not extend; the ledger's database was restored`,
    );
  }
}

async function requireDatasets(ctx: Context, d: Descriptor): Promise<void> {
  for (const [input, { object, digest, size }] of Object.entries(d.datasets)) {
    const found = await ctx.store.stat(object);
    if (!found || found.digest !== digest || found.size !== size) {
      throw new LedgerError("OBJECT_MISSING", `inputs.${input}: ${object} is not in the object store; upload it again`);
    }
  }
}

interface NewRun {
  readonly run: string;
  readonly request: string;
  readonly d: Descriptor;
  readonly version: string;
  readonly secret: Uint8Array;
  readonly now: number;
}

async function insertRun(tx: Tx, { run, request, d, version, secret, now }: NewRun): Promise<void> {
  const steps = Object.entries(d.steps);
  await tx
    .insertInto("runs")
    .values({
      run,
      pipeline_uid: d.pipelineUid,
      version,
      request,
      state: "open",
      opened_at: now,
      expires_at: now + d.runSeconds,
      ended_at: null,
      secret,
      remaining: steps.reduce((n, [, s]) => n + s.limits.shards, 0),
      swept: 0,
    })
    .execute();
  for (const [step, { limits }] of steps) {
    await tx.insertInto("run_steps").values({ run, step, shards: limits.shards, committed: 0, assigned: 0 }).execute();
  }
  await append(tx, { kind: "run", pipelineUid: d.pipelineUid, digest: run, run, at: now });
}
