/** Runs: opened by a run key or a slot of a schedule, ended by commits, failures, cancels, closing and expiry. */
import { jwsDigest, peekType } from "../../../protocol/jws";
import { cancelRequest, type Descriptor, type RunRequest, runRequest, schedule } from "../../../protocol/messages";
import {
  contentOf,
  dueSlotToken,
  type Opening,
  peekOpening,
  type RunContent,
  runIdOf,
} from "../../../protocol/opening";
import { isSlot } from "../../../protocol/slots";
import { splitTable, tableBehind } from "../../../protocol/table";
import { type Context, RUN_REQUEST_SECONDS, SKEW_SECONDS } from "../context";
import type { Tx } from "../database/open";
import { change, query } from "../database/query";
import type { RunState, Tables } from "../database/tables";
import { LedgerError } from "../errors";
import { fits } from "../store/types";
import { pipelineRow, requireFresh, requireOperator, verifySelfSigned } from "./authority";
import { importedInputs } from "./graph";
import { Kept } from "./kept";
import { append, extendsHead } from "./log";
import { versionOf, versionState } from "./versions";

/**
 * `POST /v1/runs`: a run request, a slot of a schedule, or a schedule alone, which opens its newest slot that is due.
 * @returns the run's state; repeated bytes find the run that they opened.
 */
export async function openRun(ctx: Context, token: string): Promise<{ run: string; state: RunState }> {
  const text = peekType(token) === "sealflow-schedule+jwt" && !token.includes("|") ? dueSlot(ctx, token) : token;
  const opening = await verifyOpening(text);
  const run = runIdOf(text);
  const known = await ctx.db.read((tx) => findRun(tx, run));
  if (known) return { run, state: stateNow(known, ctx.now()) };

  const { d } = await ctx.db.read((tx) => openVersion(tx, opening, ctx.now()));
  requireTime(opening, ctx.now());
  if (opening.kind === "request") {
    requireFresh(ctx, opening.request.issuedAt, "run request", RUN_REQUEST_SECONDS);
    requireContent(d, opening.request);
    await requireSeenHead(ctx, opening.request.head);
  }
  await requireDatasets(ctx, d, opening);

  const secret = Buffer.from(ctx.random(32));
  const state = await ctx.db.write(async (tx) => {
    const twin = await findRun(tx, run);
    const now = ctx.now();
    if (twin) return stateNow(twin, now);
    const { d, version } = await openVersion(tx, opening, now);
    // Again, at the second that the log will name: `verify` holds the two against each other.
    requireTime(opening, now);
    await insertRun(tx, { run, request: text, opening, d, version, secret, now });
    return "open" as const;
  });
  ctx.feed.changed();
  return { run, state };
}

function dueSlot(ctx: Context, token: string): string {
  const text = dueSlotToken(token, ctx.now());
  if (text === undefined) throw new LedgerError("SLOT_TIME", "schedule: none of its slots has come yet");
  return text;
}

/** Signed by the key that it names; whether that key is entitled, the version says. */
async function verifyOpening(text: string): Promise<Opening> {
  const opening = peekOpening(text);
  if (opening.kind === "request") {
    const { token } = opening;
    return { ...opening, request: await verifySelfSigned("sealflow-run+jwt", token, runRequest, (u) => u.runKey) };
  }
  const { token } = opening;
  const verified = await verifySelfSigned("sealflow-schedule+jwt", token, schedule, (u) => u.ownerPublicKey);
  return { ...opening, schedule: verified };
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

const closeRun = change((db, { run, state, now }: { run: string; state: RunState; now: number }) =>
  db
    .updateTable("runs")
    .set({ state, ended_at: now })
    .where("run", "=", run)
    .where("state", "=", "open")
    .where("expires_at", ">", now),
);

/** Compare-and-set from open, which an expired run no longer is. @returns false when the run had ended already. */
export const endRun = async (tx: Tx, run: string, state: RunState, now: number): Promise<boolean> =>
  (await closeRun(tx, { run, state, now })) === 1;

/** All but the text that opened it, which may be long: `openingOf`. */
export const RUN_FIELDS = [
  "runs.run",
  "runs.pipeline_uid",
  "runs.version",
  "runs.state",
  "runs.opened_at",
  "runs.expires_at",
  "runs.ended_at",
  "runs.secret",
  "runs.remaining",
  "runs.swept",
] as const;
export type RunRow = Omit<Tables["runs"], "request">;

const runRow = query((db, { run }: { run: string }) => db.selectFrom("runs").select(RUN_FIELDS).where("run", "=", run));
export const findRun = async (tx: Tx, run: string): Promise<RunRow | undefined> => (await runRow(tx, { run }))[0];

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

/** What opened a stored run. */
export interface StoredOpening {
  readonly content: RunContent;
  /** Its text with the row of this step only, or its neighbours' when it has none. */
  part(step: string): Promise<string>;
}

const openings = new Kept<StoredOpening>();

export const openingOf = (tx: Tx, run: string): Promise<StoredOpening> =>
  openings.of(run, async () => {
    const text = await openingText(tx, run);
    const opening = peekOpening(text);
    const { signed } = splitTable(opening.token);
    const table = await tableBehind(opening.token);
    const slot = opening.kind === "slot" ? `|${opening.slot}` : "";
    const part = async (step: string) => `${signed}${await table.some([step])}${slot}`;
    return { text, value: { content: contentOf(opening), part } };
  });

export const openingText = async (tx: Tx, run: string): Promise<string> =>
  (await tx.selectFrom("runs").select("request").where("run", "=", run).executeTakeFirstOrThrow()).request;

interface OpenVersion {
  readonly version: string;
  readonly d: Descriptor;
}

/** The version that the opening may use: the one its request names, or the newest one when it lists the schedule. */
async function openVersion(tx: Tx, opening: Opening, now: number): Promise<OpenVersion> {
  const pipeline = await pipelineRow(tx, contentOf(opening).pipelineUid);
  const found = opening.kind === "request" ? requestedVersion(tx, opening) : scheduledVersion(tx, opening, pipeline);
  const { row, d } = await found;
  const state = versionState(row, pipeline, now);
  if (state === "revoked") throw new LedgerError("REVOKED", `version ${d.sequence} of ${d.name} is revoked`);
  if (pipeline.closed_at !== null) throw new LedgerError("PIPELINE_CLOSED", `pipeline ${d.name} is closed for good`);
  if (state !== "open") {
    throw new LedgerError(
      "VERSION_CLOSED",
      `version ${d.sequence} of ${d.name} has a successor; use the newest version`,
    );
  }
  return { version: row.digest, d };
}

async function requestedVersion(tx: Tx, { request }: Opening & { kind: "request" }) {
  const row = await tx
    .selectFrom("versions")
    .select(["digest", "closes_at", "revoked_at"])
    .where("digest", "=", request.descriptor)
    .where("pipeline_uid", "=", request.pipelineUid)
    .executeTakeFirst();
  if (!row) throw new LedgerError("NOT_FOUND", `run request: the pipeline has no version ${request.descriptor}`);
  const { d } = await versionOf(tx, row.digest);
  if (!d.runKeys.includes(request.runKey)) {
    throw new LedgerError("FORBIDDEN", "run request: not signed by a run key of its version");
  }
  return { row, d };
}

async function scheduledVersion(tx: Tx, opening: Opening & { kind: "slot" }, pipeline: Tables["pipelines"]) {
  const { token, schedule } = opening;
  if (schedule.ownerPublicKey !== pipeline.owner) {
    throw new LedgerError("FORBIDDEN", "schedule: not signed by the owner of the pipeline");
  }
  const row = await tx
    .selectFrom("versions")
    .select(["digest", "closes_at", "revoked_at"])
    .where("pipeline_uid", "=", schedule.pipelineUid)
    .orderBy("sequence", "desc")
    .limit(1)
    .executeTakeFirstOrThrow();
  const { d } = await versionOf(tx, row.digest);
  const listed = d.schedules && Object.hasOwn(d.schedules, schedule.name) ? d.schedules[schedule.name] : undefined;
  if (listed !== jwsDigest(token)) {
    throw new LedgerError(
      "SCHEDULE",
      `version ${d.sequence} of ${d.name} does not list this schedule "${schedule.name}"; take it from the newest deployment`,
    );
  }
  return { row, d };
}

const requireTime = (opening: Opening, now: number): void =>
  opening.kind === "request" ? requireUnexpired(opening.request, now) : requireSlot(opening, now);

/** Not before its time by this ledger's clock, and not long after it. */
function requireSlot({ schedule: { name, cron, lateSeconds }, slot }: Opening & { kind: "slot" }, now: number): void {
  if (!isSlot(cron, slot))
    throw new LedgerError("SCHEDULE", `schedule "${name}": ${slot} is no slot of "${cron}" (UTC)`);
  if (now < slot) throw new LedgerError("SLOT_TIME", `schedule "${name}": slot ${slot} has not come, now is ${now}`);
  if (now > slot + lateSeconds) {
    throw new LedgerError(
      "SLOT_TIME",
      `schedule "${name}": slot ${slot} was open for ${lateSeconds} seconds, now is ${now}`,
    );
  }
}

function requireUnexpired({ expiresAt }: RunRequest, now: number): void {
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
  const wanted = importedInputs(d);
  const imports = Object.keys(request.imports ?? {});
  for (const input of wanted) if (!imports.includes(input)) problems.push(`imports.${input}: missing`);
  for (const input of imports) {
    if (!wanted.has(input)) problems.push(`imports.${input}: no step of this version imports it`);
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
  if (!(await ctx.db.read((tx) => extendsHead(tx, seen)))) {
    throw new LedgerError(
      "ROLLBACK",
      `run request: saw a log of ${seen.size} entries that this log does not extend; the ledger's database was restored`,
    );
  }
}

/** Name of the object that a run pins for an import: where datasets are, since it is content of this pipeline alike. */
export const importObject = (digest: string): string => `datasets/${digest}`;

async function requireDatasets(ctx: Context, d: Descriptor, opening: Opening): Promise<void> {
  const imports = Object.entries(contentOf(opening).imports).map(([input, { object }]) => [
    input,
    { ...object, object: importObject(object.digest) },
  ]) as [string, Descriptor["datasets"][string]][];
  for (const [input, { object, digest, size }] of [...Object.entries(d.datasets), ...imports]) {
    const found = await ctx.store.stat(object);
    if (!found || !fits(found, { digest, size })) {
      throw new LedgerError("OBJECT_MISSING", `inputs.${input}: ${object} is not in the object store; upload it again`);
    }
  }
}

interface NewRun {
  readonly run: string;
  readonly request: string;
  readonly opening: Opening;
  readonly d: Descriptor;
  readonly version: string;
  readonly secret: Uint8Array;
  readonly now: number;
}

async function insertRun(tx: Tx, { run, request, opening, d, version, secret, now }: NewRun): Promise<void> {
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
    await tx
      .insertInto("run_steps")
      .values({ run, step, shards: limits.shards, committed: 0, assigned: 0, skipped: 0 })
      .execute();
  }
  for (const { object } of Object.values(contentOf(opening).imports)) {
    await tx
      .insertInto("version_objects")
      .values({ object: importObject(object.digest), version })
      .onConflict((c) => c.doNothing())
      .execute();
  }
  const named = opening.kind === "slot" ? { version } : {};
  await append(tx, { kind: "run", pipelineUid: d.pipelineUid, digest: run, run, ...named, at: now });
}
