import {
  type Action,
  type Answer,
  actions,
  apply,
  type Bounds,
  type Run,
  runState,
  type Spec,
  type State,
  start,
  stepCommitted,
  stepDone,
  before as stepsBefore,
  versionState,
} from "./model";

/**
 * Every state that can be reached, in every order of events, within the bounds; each step on the way is checked.
 * @returns how many states and steps there were.
 */
function explore(spec: Spec, bounds: Bounds): { states: number; steps: number } {
  const first = start();
  const seen = new Set([JSON.stringify(first)]);
  let frontier = [first];
  let steps = 0;
  while (frontier.length > 0) {
    const next: State[] = [];
    for (const state of frontier) {
      check(`after ${steps} steps`, invariants(spec, state), state);
      check("no way to success", stuck(spec, state), state);
      for (const action of actions(spec, state, bounds)) {
        const { state: after, answer } = apply(spec, state, action);
        steps++;
        check(JSON.stringify(action), transition(spec, state, action, answer, after), state);
        const key = JSON.stringify(after);
        if (seen.has(key)) continue;
        seen.add(key);
        next.push(after);
      }
    }
    frontier = next;
  }
  return { states: seen.size, steps };
}

function check(what: string, problem: string | undefined, state: State): void {
  if (problem !== undefined) throw new Error(`${what}: ${problem}\nin ${JSON.stringify(state, null, 1)}`);
}

function invariants(spec: Spec, state: State): string | undefined {
  for (const [i, { generation }] of state.versions.entries()) {
    if (generation < (state.versions[i - 1]?.generation ?? 1)) return "keys went back";
  }
  const slots = state.runs.flatMap(({ slot }) => (slot === undefined ? [] : [slot]));
  if (new Set(slots).size !== slots.length) return "a slot opened two runs";
  for (const { slot, openedAt } of state.runs) {
    if (slot !== undefined && (openedAt < slot || openedAt > slot + (spec.slots?.late ?? 0)))
      return "a slot out of its time";
  }
  for (const run of state.runs) {
    const all = Object.keys(spec.steps).every((step) => stepDone(spec, run, step));
    if (all !== (run.state === "succeeded")) return "a run succeeds exactly when every shard is committed or skipped";
    if (run.secret && ["cancelled", "closed"].includes(run.state)) return "the secret outlives the run";
    if (run.secret && run.state !== "open" && state.versions[run.version]?.settled)
      return "the secret outlives the version";
    for (const [name, shards] of Object.entries(run.steps)) {
      const step = spec.steps[name] as Spec["steps"][string];
      if (shards.length > step.shards) return "more shards than the step has";
      for (const shard of shards) {
        if (shard.attempts.length > step.retryLimit + 1) return "more attempts than allowed";
        const counted = shard.attempts.filter((a) => a.end === "ok").length;
        if (counted !== (shard.committed === null ? 0 : 1)) return "not exactly one counted commit";
      }
      const started = shards.length > 0;
      if (started && stepsBefore(step).some((p) => !stepCommitted(spec, run, p)))
        return "granted before its producers ended";
      if (started && run.skipped.includes(name)) return "a skipped step was granted";
      const bit = step.when && run.steps[step.when.from]?.[0]?.attempts.find((a) => a.end === "ok")?.bit;
      if (started && step.when && bit !== step.when.equals) return "granted against its condition";
    }
  }
  return undefined;
}

const FINAL = new Set(["succeeded", "failed", "cancelled", "expired", "closed"]);

/** Some shard has no attempt left, and none that is out can be expected to end. */
const hopeless = (spec: Spec, run: Run, now: number): boolean =>
  Object.entries(run.steps).some(([step, shards]) =>
    shards.some(
      ({ committed, attempts, claimedAt }) =>
        committed === null &&
        attempts.length > (spec.steps[step]?.retryLimit ?? 0) &&
        (claimedAt + spec.patience <= now || attempts.every(({ end }) => end === "failed")),
    ),
  );

function transition(spec: Spec, before: State, action: Action, answer: Answer, after: State): string | undefined {
  for (const [index, run] of before.runs.entries()) {
    const then = after.runs[index] as Run;
    const was = runState(before, run);
    if (FINAL.has(was) && runState(after, then) !== was) return `a run that was ${was} became ${runState(after, then)}`;
    if (!run.secret && then.secret) return "a deleted secret came back";
    if (run.skipped.some((step) => !then.skipped.includes(step))) return "a skipped step came back";
    for (const [step, shards] of Object.entries(run.steps)) {
      for (const [i, shard] of shards.entries()) {
        const later = then.steps[step]?.[i];
        if (shard.committed !== null && later?.committed !== shard.committed) return "a counted commit changed";
        if ((later?.attempts.length ?? 0) < shard.attempts.length) return "an attempt vanished";
      }
    }
    if (FINAL.has(was) && JSON.stringify(run.steps) !== JSON.stringify(then.steps)) return "work on an ended run";
    const version = versionState(before, before.versions[run.version] as State["versions"][number]);
    const dead = version === "revoked" || version === "closed";
    if (dead && JSON.stringify(run.steps) !== JSON.stringify(then.steps)) return "work on a closed version";
    if (was === "open" && runState(after, then) === "failed" && !hopeless(spec, then, after.now)) {
      return "a run failed while an attempt could still commit";
    }
  }
  if (answer.status === "go") {
    const run = after.runs.find((r) => r.id === answer.place?.run);
    if (!run?.secret) return "granted without a secret";
    if (runState(after, run) !== "open") return "granted in a run that is not open";
    if (action.kind === "claim" && action.hint !== null && action.hint !== run.id) return "granted in another run";
    const version = after.versions[run.version] as State["versions"][number];
    if (action.kind === "claim" && version.generation !== action.generation)
      return "granted to keys of another version";
  }
  const before_ = JSON.stringify({ ...before, now: 0 });
  if (answer.status === "wait" && before_ !== JSON.stringify({ ...after, now: 0 })) return "a wait changed something";
  if (action.kind === "open" && answer.status === "open") {
    const version = before.versions[action.version] as State["versions"][number];
    if (versionState(before, version) !== "open") return "a run opened on a version that is not the newest";
  }
  return undefined;
}

/** An open run can always still succeed: whatever was lost, some attempt is out or allowed. */
function stuck(spec: Spec, state: State): string | undefined {
  for (const run of state.runs) {
    const version = versionState(state, state.versions[run.version] as State["versions"][number]);
    if (runState(state, run) !== "open" || version === "closed" || version === "revoked") continue;
    let now = state;
    for (const [step, { shards }] of Object.entries(spec.steps)) {
      for (let shard = 0; shard < shards; shard++) now = finish(spec, now, run.id, step, shard);
    }
    if (now.runs.find((r) => r.id === run.id)?.state !== "succeeded") return `run ${run.id} is open but cannot succeed`;
  }
  return undefined;
}

function finish(spec: Spec, state: State, run: string, step: string, shard: number): State {
  let now = state;
  const { version = 0 } = state.runs.find((r) => r.id === run) ?? {};
  const generation = state.versions[version]?.generation ?? 1;
  for (;;) {
    const found = now.runs.find((r) => r.id === run)?.steps[step]?.[shard];
    if (found && found.committed !== null) return now;
    const out = found?.attempts.findIndex((a) => a.end === null) ?? -1;
    if (out >= 0) {
      const bit = spec.steps[step]?.declassifies ? { bit: true } : {};
      now = apply(spec, now, { kind: "commit", run, step, shard, attempt: out + 1, outcome: "ok", ...bit }).state;
      continue;
    }
    const { state: after, answer } = apply(spec, now, { kind: "claim", step, hint: run, generation });
    if (answer.status !== "go") return now;
    now = after;
  }
}

const one = (shards: number, retryLimit: number, after: string[] = []) => ({ after, shards, retryLimit });

describe("in every order of events", () => {
  it.each<[string, Spec, Bounds]>([
    [
      "one step, two runs, two versions",
      { steps: { a: one(1, 0) }, runSeconds: 1, patience: 1 },
      { runs: 2, versions: 2, seconds: 1, drain: 1 },
    ],
    [
      "keys that rotate",
      { steps: { a: one(1, 0) }, runSeconds: 1, patience: 1 },
      { runs: 1, versions: 2, seconds: 1, drain: 1, rotate: true },
    ],
    [
      "one step whose guest falls silent",
      { steps: { a: one(1, 1) }, runSeconds: 3, patience: 1 },
      { runs: 1, versions: 1, seconds: 3, drain: 1 },
    ],
    [
      "one step, two shards, one retry",
      { steps: { a: one(2, 1) }, runSeconds: 1, patience: 1 },
      { runs: 1, versions: 1, seconds: 1, drain: 1 },
    ],
    [
      "a chain of two with a retry, two versions",
      { steps: { a: one(1, 1), b: one(1, 0, ["a"]) }, runSeconds: 2, patience: 1 },
      { runs: 1, versions: 2, seconds: 2, drain: 1 },
    ],
    [
      "a fan-out of two shards, collected",
      { steps: { a: one(2, 0), b: one(1, 0, ["a"]) }, runSeconds: 2, patience: 1 },
      { runs: 1, versions: 1, seconds: 2, drain: 1 },
    ],
    [
      "a condition, with a twin that would decide otherwise",
      {
        steps: { a: { ...one(1, 1), declassifies: true }, b: { ...one(1, 0), when: { from: "a", equals: true } } },
        runSeconds: 1,
        patience: 1,
      },
      { runs: 1, versions: 1, seconds: 1, drain: 1 },
    ],
    [
      "a condition, and a step behind the one that has it",
      {
        steps: {
          a: { ...one(1, 0), declassifies: true },
          b: { ...one(1, 0), when: { from: "a", equals: false } },
          c: one(1, 0, ["b"]),
        },
        runSeconds: 1,
        patience: 1,
      },
      { runs: 1, versions: 1, seconds: 1, drain: 1 },
    ],
    [
      "slots of a schedule, in their time and out of it",
      { steps: { a: one(1, 0) }, runSeconds: 1, patience: 1, slots: { every: 1, late: 1 } },
      { runs: 2, versions: 1, seconds: 2, drain: 1 },
    ],
    [
      "a diamond",
      {
        steps: { a: one(1, 0), b: one(1, 0, ["a"]), c: one(1, 0, ["a"]), d: one(1, 0, ["b", "c"]) },
        runSeconds: 1,
        patience: 1,
      },
      { runs: 1, versions: 1, seconds: 1, drain: 1 },
    ],
  ])(
    "%s: nothing counts twice, nothing ends twice, nothing is stuck",
    (_name, spec, bounds) => {
      const { states, steps } = explore(spec, bounds);
      expect(states).toBeGreaterThan(100);
      expect(steps).toBeGreaterThan(1000);
    },
    120_000,
  );
});
