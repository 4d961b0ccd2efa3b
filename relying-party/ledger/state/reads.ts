/** Reads for owners and run keys: versions, status, the export that `verify` works from, events. */
import { hex } from "../../../protocol/bytes";
import { peekJws } from "../../../protocol/jws";
import { objectName } from "../../../protocol/keys";
import { commit, type Descriptor } from "../../../protocol/messages";
import type { RunContent } from "../../../protocol/opening";
import type { Context } from "../context";
import type { Tx } from "../database/open";
import type { RunState, ShardState } from "../database/tables";
import { fits } from "../store/types";
import { pipelineRow } from "./authority";
import { LOG } from "./graph";
import { currentHead } from "./log";
import { importObject, openingOf, openingText, RUN_FIELDS, type RunRow, requireRun, stateNow } from "./runs";
import { type VersionState, versionOf, versionState } from "./versions";

export interface VersionStatus {
  readonly digest: string;
  readonly sequence: number;
  readonly token: string;
  readonly state: VersionState;
}

export interface ShardStatus {
  readonly shard: number;
  readonly state: "waiting" | ShardState;
  /** The committed attempt, else the last one; 0 before the first. */
  readonly attempt: number;
  /** Attempts used up. */
  readonly attempts: number;
  readonly failures: { attempt: number; exitClass: string }[];
}

export interface StepStatus {
  /** `skipped`: its condition does not hold, or it waits for a step whose does not. */
  readonly state: "waiting" | "skipped" | ShardState;
  readonly shards: ShardStatus[];
}

export interface RunStatus {
  readonly run: string;
  readonly pipelineUid: string;
  readonly descriptor: string;
  readonly state: RunState;
  readonly openedAt: number;
  readonly endedAt: number | null;
  readonly steps: Record<string, StepStatus>;
}

/** How long the URLs of an export hold, seconds. */
const EXPORT_SECONDS = 6 * 3600;
const MAX_RUNS = 200;

export async function pipelineVersions(ctx: Context, uid: string): Promise<VersionStatus[]> {
  return ctx.db.read(async (tx) => {
    const pipeline = await pipelineRow(tx, uid);
    const rows = await tx
      .selectFrom("versions")
      .selectAll()
      .where("pipeline_uid", "=", uid)
      .orderBy("sequence")
      .execute();
    return rows.map((row) => ({
      digest: row.digest,
      sequence: row.sequence,
      token: row.token,
      state: versionState(row, pipeline, ctx.now()),
    }));
  });
}

export async function runStatus(ctx: Context, run: string, pipelineUid: string): Promise<RunStatus> {
  return ctx.db.read(async (tx) => statusOf(tx, await requireRun(tx, run, pipelineUid), ctx.now()));
}

/** The newest runs of a pipeline, newest first. */
export async function runsOf(ctx: Context, pipelineUid: string): Promise<RunStatus[]> {
  return ctx.db.read(async (tx) => {
    await pipelineRow(tx, pipelineUid);
    const rows = await tx
      .selectFrom("runs")
      .select(RUN_FIELDS)
      .where("pipeline_uid", "=", pipelineUid)
      .orderBy("opened_at", "desc")
      .orderBy("run")
      .limit(MAX_RUNS)
      .execute();
    const found: RunStatus[] = [];
    for (const row of rows) found.push(await statusOf(tx, row, ctx.now()));
    return found;
  });
}

async function statusOf(tx: Tx, row: RunRow, now: number): Promise<RunStatus> {
  const steps = await tx.selectFrom("run_steps").selectAll().where("run", "=", row.run).orderBy("step").execute();
  const shards = await tx.selectFrom("shards").selectAll().where("run", "=", row.run).orderBy("shard").execute();
  const failures = await tx
    .selectFrom("commits")
    .select(["step", "shard", "attempt", "exit_class"])
    .where("run", "=", row.run)
    .where("outcome", "=", "failed")
    .orderBy("attempt")
    .execute();
  const place = (step: string, shard: number): string => `${step}/${shard}`;
  const known = new Map(shards.map((s) => [place(s.step, s.shard), s]));
  const failed = new Map<string, ShardStatus["failures"]>();
  for (const { step, shard, attempt, exit_class: exitClass } of failures) {
    const at = place(step, shard);
    failed.set(at, [...(failed.get(at) ?? []), { attempt, exitClass }]);
  }
  const state = stateNow(row, now);
  const status: Record<string, StepStatus> = {};
  for (const { step, shards: count, skipped } of steps) {
    const list: ShardStatus[] = [];
    for (let shard = 0; shard < count; shard++) {
      const found = known.get(place(step, shard));
      list.push({
        shard,
        state: found?.state ?? "waiting",
        attempt: found?.committed_attempt ?? found?.attempts ?? 0,
        attempts: found?.attempts ?? 0,
        failures: failed.get(place(step, shard)) ?? [],
      });
    }
    status[step] = { state: skipped === 1 ? "skipped" : stepState(list), shards: list };
  }
  return {
    run: row.run,
    pipelineUid: row.pipeline_uid,
    descriptor: row.version,
    state,
    openedAt: row.opened_at,
    endedAt: row.ended_at ?? (state === "expired" ? row.expires_at : null),
    steps: status,
  };
}

function stepState(shards: ShardStatus[]): StepStatus["state"] {
  if (shards.every((s) => s.state === "committed")) return "committed";
  for (const state of ["running", "failed"] as const) if (shards.some((s) => s.state === state)) return state;
  return shards.some((s) => s.state === "committed") ? "running" : "waiting";
}

export interface RunLog {
  readonly descriptors: string[];
  readonly revocations: string[];
  readonly request: string;
  readonly commits: { commit: string; leaf: number }[];
  readonly failures: { commit: string; leaf: number }[];
  /** Every leaf of the log; `entry` (its canonical JSON) for this pipeline's. */
  readonly entries: { entry?: string; hash: string }[];
  /** Signed head of exactly these leaves. */
  readonly head: string;
  /** Digest of the ciphertext → where to read it. */
  readonly objects: Record<string, string>;
}

/** Everything that an offline verification of one run needs, from one snapshot. */
export async function exportRun(ctx: Context, runId: string, pipelineUid: string): Promise<RunLog> {
  const facts = await ctx.db.read(async (tx) => {
    const run = await requireRun(tx, runId, pipelineUid);
    const versions = await tx
      .selectFrom("versions")
      .select("token")
      .where("pipeline_uid", "=", pipelineUid)
      .orderBy("sequence")
      .execute();
    const revocations = await tx
      .selectFrom("revocations")
      .select("token")
      .where("pipeline_uid", "=", pipelineUid)
      .execute();
    const ends = await tx
      .selectFrom("commits")
      .select(["token", "leaf", "outcome"])
      .where("run", "=", runId)
      .orderBy("leaf")
      .execute();
    return {
      request: await openingText(tx, runId),
      d: (await versionOf(tx, run.version)).d,
      imports: (await openingOf(tx, runId)).content.imports,
      versions,
      revocations,
      ends,
      head: await currentHead(tx),
      entries: await allEntries(tx, pipelineUid),
    };
  });
  const of = (outcome: "ok" | "failed") =>
    facts.ends.filter((e) => e.outcome === outcome).map(({ token, leaf }) => ({ commit: token, leaf }));
  return {
    descriptors: facts.versions.map((v) => v.token),
    revocations: facts.revocations.map((r) => r.token),
    request: facts.request,
    commits: of("ok"),
    failures: of("failed"),
    entries: facts.entries,
    head: await ctx.signer.head(facts.head),
    objects: await objectUrls(
      ctx,
      facts.d,
      facts.ends.map((e) => e.token),
      facts.imports,
    ),
  };
}

async function allEntries(tx: Tx, pipelineUid: string): Promise<RunLog["entries"]> {
  const leaves = await tx.selectFrom("log_nodes").select("hash").where("level", "=", 0).orderBy("position").execute();
  const own = await tx
    .selectFrom("log_entries")
    .select(["seq", "entry"])
    .where("pipeline_uid", "=", pipelineUid)
    .execute();
  const texts = new Map(own.map((e) => [e.seq, e.entry]));
  return leaves.map(({ hash }, seq) => {
    const entry = texts.get(seq);
    return entry === undefined ? { hash: hex(hash) } : { entry, hash: hex(hash) };
  });
}

/** Objects that are still there; what a sweep has deleted is left out. */
async function objectUrls(
  ctx: Context,
  d: Descriptor,
  ends: string[],
  imports: RunContent["imports"],
): Promise<Record<string, string>> {
  const until = ctx.now() + EXPORT_SECONDS;
  const urls: Record<string, string> = {};
  const add = async (name: string, digest: string): Promise<void> => {
    const found = await ctx.store.stat(name);
    if (found && fits(found, { digest, size: found.size })) urls[digest] = await ctx.store.url("get", name, until);
  };
  for (const token of ends) {
    const c = peekJws("sealflow-commit+jwt", token, commit);
    for (const [output, { digest }] of [...Object.entries(c.outputs), [LOG, c.log] as const]) {
      await add(objectName(c.run, `${c.step}.${output}`, c.shard, c.attempt), digest);
    }
  }
  for (const { object, digest } of Object.values(d.datasets)) await add(object, digest);
  for (const { object } of Object.values(imports)) await add(importObject(object.digest), object.digest);
  return urls;
}

export interface LedgerEvent {
  /** Position in the log; grows. */
  readonly seq: number;
  readonly kind: string;
  readonly run: string | null;
  readonly step: string | null;
  readonly shard: number | null;
  readonly attempt: number | null;
  /** State of the run when the event was read; null for entries without one. */
  readonly state: RunState | null;
}

/** Status only: what happened, never what was in it. */
export async function eventsAfter(ctx: Context, pipelineUid: string, seq: number, limit = 500): Promise<LedgerEvent[]> {
  return ctx.db.read(async (tx) => {
    const rows = await tx
      .selectFrom("log_entries")
      .leftJoin("runs", "runs.run", "log_entries.run")
      .select(["log_entries.entry", "runs.state", "runs.expires_at"])
      .where("log_entries.pipeline_uid", "=", pipelineUid)
      .where("log_entries.seq", ">", seq)
      .orderBy("log_entries.seq")
      .limit(limit)
      .execute();
    return rows.map((row) => {
      const e = JSON.parse(row.entry) as Partial<LedgerEvent> & { seq: number; kind: string };
      return {
        seq: e.seq,
        kind: e.kind,
        run: e.run ?? null,
        step: e.step ?? null,
        shard: e.shard ?? null,
        attempt: e.attempt ?? null,
        state:
          row.state && row.expires_at !== null
            ? stateNow({ state: row.state, expires_at: row.expires_at }, ctx.now())
            : null,
      };
    });
  });
}
