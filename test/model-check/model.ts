/**
 * The run state machine, as docs/protocol describes it, without signatures, storage or time of its own.
 *
 * `apply` is a pure function: it copies the state, changes the copy and returns it with the answer that a caller gets.
 * All versions of one generation of keys have the same programs, so a claim without a hint may end in a run of any open
 * version of its generation; another generation is other programs.
 */

export interface StepSpec {
  /** Steps that must be committed, all shards, before this one is granted. */
  readonly after: readonly string[];
  readonly shards: number;
  readonly retryLimit: number;
  /** Commits carry a bit that everybody learns. Has one shard. */
  readonly declassifies?: true;
  /** Runs only when that step's bit is this. */
  readonly when?: { readonly from: string; readonly equals: boolean };
}

export interface Spec {
  readonly steps: Readonly<Record<string, StepSpec>>;
  /** Seconds from the opening of a run to its expiry. */
  readonly runSeconds: number;
  /** Seconds that a guest may live: a silent one keeps a run open for as long, when no attempt is left. */
  readonly patience: number;
  /** Every version lists a schedule with a slot at each multiple of `every`, open for `late` seconds. */
  readonly slots?: { readonly every: number; readonly late: number };
}

export type RunState = "open" | "succeeded" | "failed" | "cancelled" | "expired" | "closed";

export interface Attempt {
  /** How it was reported to end, if it was and that was recorded. */
  end: "ok" | "failed" | null;
  /** Of an attempt that ended "ok" and declassifies. */
  bit?: boolean;
}

export interface Shard {
  attempts: Attempt[];
  /** Number of the one counted attempt, from 1; null until then. */
  committed: number | null;
  /** "failed": no attempt is going on; the next claim takes it before a twin is made. */
  state: "running" | "failed" | "committed";
  /** Order of the last grant: the shard that has run longest gets the twin. */
  claimedAt: number;
}

export interface Run {
  readonly id: string;
  readonly version: number;
  state: RunState;
  readonly openedAt: number;
  readonly expiresAt: number;
  /** Step → the shards handed out so far, in order. */
  readonly steps: Record<string, Shard[]>;
  /** Whether the run secret still exists. */
  secret: boolean;
  /** Steps that a committed bit lets nobody run any more. */
  skipped: string[];
  /** The slot that opened it. */
  readonly slot?: number;
}

export interface Version {
  /** Of its keys. */
  readonly generation: number;
  closesAt: number | null;
  revoked: boolean;
  /** Its open runs have been ended. */
  settled: boolean;
}

export interface State {
  now: number;
  destroyed: boolean;
  readonly versions: Version[];
  readonly runs: Run[];
}

export type Action =
  /** `rotate`: the generation counts up by it; -1 is an owner's mistake. */
  | { readonly kind: "register"; readonly drain: number; readonly rotate: -1 | 0 | 1 }
  | { readonly kind: "open"; readonly version: number; readonly id: string }
  /** Anybody asks for a slot of the schedule. */
  | { readonly kind: "slot"; readonly slot: number; readonly id: string }
  /** By a guest of that generation. */
  | { readonly kind: "claim"; readonly step: string; readonly hint: string | null; readonly generation: number }
  /** The same bytes as the claim that was granted this attempt. */
  | ({ readonly kind: "reclaim" } & Place)
  | ({ readonly kind: "commit"; readonly outcome: "ok" | "failed"; readonly bit?: boolean } & Place)
  | { readonly kind: "cancel"; readonly run: string }
  /** null: the pipeline, for good. */
  | { readonly kind: "revoke"; readonly version: number | null }
  | { readonly kind: "pass"; readonly seconds: number }
  | { readonly kind: "sweep" };

export interface Place {
  readonly run: string;
  readonly step: string;
  readonly shard: number;
  readonly attempt: number;
}

export type Answer = { readonly status: string; readonly code?: string; readonly place?: Place };

export const start = (): State => ({
  now: 0,
  destroyed: false,
  versions: [{ generation: 1, closesAt: null, revoked: false, settled: false }],
  runs: [],
});

export type VersionState = "open" | "draining" | "closed" | "revoked";

export function versionState(state: State, version: Version): VersionState {
  if (version.revoked) return "revoked";
  if (state.destroyed) return "closed";
  if (version.closesAt === null) return "open";
  return state.now < version.closesAt ? "draining" : "closed";
}

/** Expiry holds from the second on, whether or not anybody has written it down. */
export const runState = (state: State, run: Run): RunState =>
  run.state === "open" && run.expiresAt <= state.now ? "expired" : run.state;

const usable = (state: State, run: Run): boolean =>
  ["open", "draining"].includes(versionState(state, state.versions[run.version] as Version));

export const stepCommitted = (spec: Spec, run: Run, step: string): boolean =>
  (run.steps[step] ?? []).filter((s) => s.committed !== null).length === spec.steps[step]?.shards;

/** Steps that must be committed before a step. */
export const before = ({ after, when }: StepSpec): string[] => (when ? [...after, when.from] : [...after]);

export const stepDone = (spec: Spec, run: Run, step: string): boolean =>
  run.skipped.includes(step) || stepCommitted(spec, run, step);

/** A step is skipped when its condition does not hold, or one that it waits for is skipped. */
function skip(spec: Spec, run: Run, decider: string, bit: boolean): void {
  const off = new Set(run.skipped);
  const all = Object.entries(spec.steps);
  for (const [name, { when }] of all) if (when?.from === decider && when.equals !== bit) off.add(name);
  for (let size = -1; size !== off.size; ) {
    size = off.size;
    for (const [name, step] of all) if (before(step).some((b) => off.has(b))) off.add(name);
  }
  run.skipped = [...off].sort();
}

export function apply(spec: Spec, before: State, action: Action): { state: State; answer: Answer } {
  // Faster than structuredClone by far, and the state is plain data.
  const state: State = JSON.parse(JSON.stringify(before));
  return { state, answer: act(spec, state, action) };
}

function act(spec: Spec, state: State, action: Action): Answer {
  switch (action.kind) {
    case "register":
      return register(state, action.drain, action.rotate);
    case "open":
      return open(spec, state, action.version, action.id);
    case "slot":
      return openSlot(spec, state, action.slot, action.id);
    case "claim":
      return claim(spec, state, action);
    case "reclaim":
      return reclaim(state, action);
    case "commit":
      return commit(spec, state, action, action.outcome, action.bit);
    case "cancel":
      return cancel(state, action.run);
    case "revoke":
      return revoke(state, action.version);
    case "pass":
      state.now += action.seconds;
      return { status: "ok" };
    case "sweep":
      sweep(state);
      return { status: "ok" };
  }
}

function register(state: State, drain: number, rotate: number): Answer {
  if (state.destroyed) return { status: "error", code: "PIPELINE_CLOSED" };
  if (rotate < 0) return { status: "error", code: "GENERATION" };
  const generation = newestGeneration(state) + rotate;
  for (const [index, version] of state.versions.entries()) {
    if (version.settled) continue;
    version.closesAt = Math.min(version.closesAt ?? Number.POSITIVE_INFINITY, state.now + drain);
    if (version.closesAt <= state.now) settle(state, index);
  }
  state.versions.push({ generation, closesAt: null, revoked: false, settled: false });
  return { status: "ok" };
}

export const newestGeneration = ({ versions }: State): number => versions.at(-1)?.generation ?? 1;

function open(spec: Spec, state: State, version: number, id: string): Answer {
  const known = state.runs.find((r) => r.id === id);
  if (known) return { status: runState(state, known) };
  const v = versionState(state, state.versions[version] as Version);
  if (v === "revoked") return { status: "error", code: "REVOKED" };
  if (state.destroyed) return { status: "error", code: "PIPELINE_CLOSED" };
  if (v !== "open") return { status: "error", code: "VERSION_CLOSED" };
  return begin(spec, state, version, id);
}

/** Of the newest version; once, whoever asks; in its time by the ledger's clock. */
function openSlot(spec: Spec, state: State, slot: number, id: string): Answer {
  const known = state.runs.find((r) => r.slot === slot);
  if (known) return { status: runState(state, known) };
  const version = state.versions.length - 1;
  if (state.versions[version]?.revoked) return { status: "error", code: "REVOKED" };
  if (state.destroyed) return { status: "error", code: "PIPELINE_CLOSED" };
  const { late = 0 } = spec.slots ?? {};
  if (state.now < slot || state.now > slot + late) return { status: "error", code: "SLOT_TIME" };
  return begin(spec, state, version, id, slot);
}

function begin(spec: Spec, state: State, version: number, id: string, slot?: number): Answer {
  const steps = Object.fromEntries(Object.keys(spec.steps).map((step) => [step, []]));
  const expiresAt = state.now + spec.runSeconds;
  const named = slot === undefined ? {} : { slot };
  state.runs.push({
    id,
    version,
    state: "open",
    openedAt: state.now,
    expiresAt,
    steps,
    secret: true,
    skipped: [],
    ...named,
  });
  return { status: "open" };
}

const refused = (code: string): Answer => ({ status: "refused", code });

function claim(spec: Spec, state: State, { step, hint, generation }: Extract<Action, { kind: "claim" }>): Answer {
  const candidates =
    hint === null ? openRuns(spec, state, step, generation) : hinted(spec, state, step, hint, generation);
  if ("status" in candidates) return candidates;
  let waits = false;
  for (const run of candidates) {
    if (before(spec.steps[step] as StepSpec).some((producer) => !stepCommitted(spec, run, producer))) {
      waits = true;
      continue;
    }
    const place = assign(spec, state, run, step);
    if (place) return { status: "go", place };
  }
  if (waits) return { status: "wait" };
  // What is out may still commit, unless it has been silent for longer than a guest may live.
  for (const run of candidates) {
    const over = (s: Shard) => s.committed === null && s.claimedAt + spec.patience <= state.now;
    if (run.steps[step]?.some(over)) run.state = "failed";
  }
  return refused("ATTEMPTS_EXHAUSTED");
}

const generationOf = (state: State, run: Run): number => (state.versions[run.version] as Version).generation;

function openRuns(spec: Spec, state: State, step: string, generation: number): Run[] | Answer {
  const open = state.runs.filter(
    (r) => usable(state, r) && runState(state, r) === "open" && generationOf(state, r) === generation,
  );
  const needing = open.filter((r) => !stepDone(spec, r, step));
  if (needing.length > 0) {
    return needing.sort((a, b) => a.openedAt - b.openedAt || (a.id < b.id ? -1 : 1));
  }
  const versions = state.versions.filter((v) => v.generation === generation).map((v) => versionState(state, v));
  if (!versions.some((v) => v === "open" || v === "draining")) {
    return refused(versions.at(-1) === "revoked" ? "REVOKED" : "VERSION_CLOSED");
  }
  return open.length > 0 ? { status: "superseded" } : refused("NO_OPEN_RUN");
}

function hinted(spec: Spec, state: State, step: string, hint: string, generation: number): Run[] | Answer {
  const run = state.runs.find((r) => r.id === hint);
  if (!run || generationOf(state, run) !== generation) return refused("RUN_UNKNOWN");
  if (stepCommitted(spec, run, step)) return { status: "superseded" };
  if (run.skipped.includes(step)) return { status: "skipped" };
  const version = versionState(state, state.versions[run.version] as Version);
  if (version === "revoked") return refused("REVOKED");
  if (version === "closed") return refused("VERSION_CLOSED");
  return runState(state, run) === "open" ? [run] : refused("RUN_CLOSED");
}

/** A fresh shard, else one whose attempts all failed, else a twin of the one that has run longest. */
function assign(spec: Spec, state: State, run: Run, step: string): Place | undefined {
  const { shards: count, retryLimit } = spec.steps[step] as StepSpec;
  const shards = run.steps[step] as Shard[];
  if (shards.length < count) {
    shards.push({ attempts: [{ end: null }], committed: null, state: "running", claimedAt: state.now });
    return { run: run.id, step, shard: shards.length - 1, attempt: 1 };
  }
  const [next] = shards
    .map((shard, index) => ({ shard, index }))
    .filter(({ shard }) => shard.committed === null && shard.attempts.length <= retryLimit)
    .sort(
      (a, b) =>
        Number(a.shard.state !== "failed") - Number(b.shard.state !== "failed") ||
        a.shard.claimedAt - b.shard.claimedAt ||
        a.index - b.index,
    );
  if (!next) return undefined;
  next.shard.attempts.push({ end: null });
  next.shard.state = "running";
  next.shard.claimedAt = state.now;
  return { run: run.id, step, shard: next.index, attempt: next.shard.attempts.length };
}

function reclaim(state: State, place: Place): Answer {
  const { run, attempt } = find(state, place);
  const going = run && attempt && usable(state, run) && runState(state, run) === "open" && attempt.end === null;
  return going
    ? { status: "go", place: { run: place.run, step: place.step, shard: place.shard, attempt: place.attempt } }
    : refused("RUN_CLOSED");
}

function find(state: State, p: Place): { run?: Run; shard?: Shard; attempt?: Attempt } {
  const run = state.runs.find((r) => r.id === p.run);
  const shard = run?.steps[p.step]?.[p.shard];
  const attempt = shard?.attempts[p.attempt - 1];
  return { ...(run ? { run } : {}), ...(shard ? { shard } : {}), ...(attempt ? { attempt } : {}) };
}

function commit(spec: Spec, state: State, place: Place, outcome: "ok" | "failed", bit?: boolean): Answer {
  const { run, shard, attempt } = find(state, place);
  if (!run) return { status: "error", code: "RUN_UNKNOWN" };
  if (attempt?.end === outcome && attempt.bit === bit) return { status: outcome === "ok" ? "committed" : "recorded" };
  if (run.state === "succeeded") return { status: "superseded" };
  const version = versionState(state, state.versions[run.version] as Version);
  if (version === "revoked") return refused("REVOKED");
  if (version === "closed") return refused("VERSION_CLOSED");
  if (runState(state, run) !== "open") return refused("RUN_CLOSED");
  if (!shard || !attempt || attempt.end !== null) return refused("ATTEMPT_UNKNOWN");
  if (shard.committed !== null) return { status: "superseded" };

  attempt.end = outcome;
  if (outcome === "ok") {
    shard.committed = place.attempt;
    shard.state = "committed";
    if (bit !== undefined) {
      attempt.bit = bit;
      skip(spec, run, place.step, bit);
    }
    if (Object.keys(spec.steps).every((step) => stepDone(spec, run, step))) run.state = "succeeded";
    return { status: "committed" };
  }
  if (shard.attempts.every((a) => a.end !== null)) {
    shard.state = "failed";
    if (shard.attempts.length > (spec.steps[place.step] as StepSpec).retryLimit) run.state = "failed";
  }
  return { status: "recorded" };
}

function cancel(state: State, id: string): Answer {
  const run = state.runs.find((r) => r.id === id);
  if (!run) return { status: "error", code: "RUN_UNKNOWN" };
  if (runState(state, run) === "open") {
    run.state = "cancelled";
    run.secret = false;
  }
  return { status: runState(state, run) };
}

function revoke(state: State, version: number | null): Answer {
  if (version === null) state.destroyed = true;
  else (state.versions[version] as Version).revoked = true;
  for (const index of state.versions.keys()) if (version === null || version === index) settle(state, index);
  return { status: "ok" };
}

/**
 * Ends the open runs of a version that allows no more work, and deletes the secrets of all. One that has expired stays
 * expired, and a sweep deletes its secret.
 */
function settle(state: State, version: number): void {
  for (const run of state.runs) {
    if (run.version !== version) continue;
    if (runState(state, run) === "open") run.state = "closed";
    if (run.state !== "open") run.secret = false;
  }
  (state.versions[version] as Version).settled = true;
}

function sweep(state: State): void {
  for (const [index, version] of state.versions.entries()) {
    if (!version.settled && version.closesAt !== null && version.closesAt <= state.now) settle(state, index);
  }
  for (const run of state.runs) {
    if (run.expiresAt > state.now) continue;
    run.state = runState(state, run);
    run.secret = false;
  }
}

/** What could happen next. Bounds keep the number of states finite. */
export interface Bounds {
  readonly runs: number;
  readonly versions: number;
  readonly seconds: number;
  readonly drain: number;
  /** Whether the keys rotate. @default false */
  readonly rotate?: boolean;
}

export function* actions(spec: Spec, state: State, bounds: Bounds): Generator<Action> {
  if (state.runs.length < bounds.runs) {
    for (const version of state.versions.keys()) yield { kind: "open", version, id: `run${state.runs.length}` };
  }
  if (spec.slots) {
    const last = bounds.seconds + spec.slots.every;
    for (let slot = 0; slot <= last; slot += spec.slots.every) {
      const known = state.runs.some((r) => r.slot === slot);
      if (known || state.runs.length < bounds.runs) yield { kind: "slot", slot, id: `slot${slot}` };
    }
  }
  for (const step of Object.keys(spec.steps)) {
    for (const generation of new Set(state.versions.map((v) => v.generation))) {
      yield { kind: "claim", step, hint: null, generation };
      for (const run of state.runs) yield { kind: "claim", step, hint: run.id, generation };
    }
  }
  for (const run of state.runs) {
    yield { kind: "cancel", run: run.id };
    for (const [step, shards] of Object.entries(run.steps)) {
      for (const [shard, { attempts }] of shards.entries()) {
        for (const index of attempts.keys()) {
          const place = { run: run.id, step, shard, attempt: index + 1 };
          if (spec.steps[step]?.declassifies) {
            for (const bit of [true, false]) yield { kind: "commit", ...place, outcome: "ok", bit };
          } else yield { kind: "commit", ...place, outcome: "ok" };
          yield { kind: "commit", ...place, outcome: "failed" };
          yield { kind: "reclaim", ...place };
        }
      }
    }
  }
  for (const version of state.versions.keys()) yield { kind: "revoke", version };
  yield { kind: "revoke", version: null };
  if (state.versions.length < bounds.versions) {
    for (const drain of [0, bounds.drain]) {
      yield { kind: "register", drain, rotate: 0 };
      if (bounds.rotate) yield { kind: "register", drain, rotate: 1 };
    }
    if (newestGeneration(state) > 1) yield { kind: "register", drain: 0, rotate: -1 };
  }
  if (state.now < bounds.seconds) yield { kind: "pass", seconds: 1 };
  yield { kind: "sweep" };
}
