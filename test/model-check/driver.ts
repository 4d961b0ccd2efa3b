/**
 * Drives a real ledger and the model through the same history and compares every answer and every status.
 *
 * A history is a list of numbers, which choose among the actions that the model offers. Some actions are sent at the
 * same time: then some order of them must explain all answers and the state afterwards.
 */
import { isDeepStrictEqual } from "node:util";
import * as fc from "fast-check";
import { jwsDigest, peekJws } from "../../protocol/jws";
import { claim, guestSeconds } from "../../protocol/messages";
import { runIdOf, slotToken } from "../../protocol/opening";
import { createLedger, type LedgerOptions } from "../../relying-party/ledger";
import { caller } from "../support/ledger-caller";
import { createWorld, nextVersion, type StepPlan, type World } from "../support/ledger-world";
import {
  type Action,
  type Answer,
  actions,
  apply,
  type Bounds,
  type Place,
  type Run,
  runState,
  type Spec,
  type State,
  start,
} from "./model";

/** Seconds of the ledger's clock for one of the model's: an hour, the shortest time between slots, is two of them. */
const SCALE = 1800;
const BOUNDS: Bounds = { runs: 3, versions: 3, seconds: 6, drain: 1, rotate: true };
const PATIENCE = 2;
/** So that a guest lives for exactly that long. */
const LIMITS = {
  timeoutSeconds: PATIENCE * SCALE - guestSeconds({ timeoutSeconds: 0, waitSeconds: 60 }),
  waitSeconds: 60,
};

/** How often each kind of action is chosen. Work is common, ends are rare, or nothing would ever get far. */
const WEIGHTS: Record<Action["kind"], number> = {
  claim: 30,
  commit: 30,
  open: 10,
  slot: 8,
  reclaim: 6,
  pass: 5,
  register: 4,
  sweep: 3,
  cancel: 2,
  revoke: 1,
};

const SPECS: readonly Spec[] = [
  { steps: { a: step(1, 1), b: step(1, 0, "a") }, runSeconds: 3, patience: PATIENCE, slots: { every: 2, late: 2 } },
  { steps: { a: step(3, 1), b: step(1, 1, "a") }, runSeconds: 3, patience: PATIENCE },
  {
    steps: {
      a: { ...step(1, 1), declassifies: true },
      b: { ...step(2, 0), when: { from: "a", equals: true } },
      c: { ...step(1, 1, "a"), when: { from: "a", equals: false } },
      d: step(1, 0, "b"),
    },
    runSeconds: 4,
    patience: PATIENCE,
    slots: { every: 2, late: 2 },
  },
  {
    steps: { a: step(1, 0), b: step(2, 1, "a"), c: step(1, 0, "a"), d: step(1, 2, "b", "c") },
    runSeconds: 4,
    patience: PATIENCE,
  },
];

function step(shards: number, retryLimit: number, ...after: string[]) {
  return { shards, retryLimit, after };
}

export interface Turn {
  /** Each picks a kind and one action of it; more than one are sent at once. */
  readonly picks: readonly { readonly kind: number; readonly which: number }[];
}

export interface History {
  readonly spec: number;
  readonly turns: readonly Turn[];
}

const pick = fc.record({ kind: fc.nat(), which: fc.nat() });
export const histories: fc.Arbitrary<History> = fc.record({
  spec: fc.nat({ max: SPECS.length - 1 }),
  turns: fc.array(fc.record({ picks: fc.array(pick, { minLength: 1, maxLength: 3 }) }), {
    minLength: 5,
    maxLength: 30,
    size: "max",
  }),
});

export interface Driver {
  /** @throws Error that shows the history up to the first answer that no order explains. */
  play(history: History): Promise<void>;
  close(): Promise<void>;
}

/** One ledger for all histories; each has a pipeline of its own. */
export async function createDriver(dir: string, database: Pick<LedgerOptions, "postgresUrl">): Promise<Driver> {
  let clock = 1_800_000_000_000;
  const ledger = await createLedger({
    dir,
    publicUrl: "https://ledger.test",
    now: () => clock,
    sweepMs: 0,
    ...database,
  });
  const now = () => Math.floor(clock / 1000);
  const pass = (seconds: number) => {
    clock += seconds * 1000;
  };
  return {
    play: async (history) => {
      const spec = SPECS[history.spec] as Spec;
      // The model's time begins at a slot.
      pass((2 * SCALE - (now() % (2 * SCALE))) % (2 * SCALE));
      const world = await createWorld({
        ledgerKey: ledger.ledgerKey,
        steps: plansOf(spec),
        runSeconds: spec.runSeconds * SCALE,
        limits: LIMITS,
        ...(spec.slots ? { schedules: { tick: "0 * * * *" }, lateSeconds: spec.slots.late * SCALE } : {}),
        now,
      });
      const call = caller(ledger);
      await call.deploy(world);
      await new Player(spec, call, world, { pass, base: now() }, () => ledger.sweep()).play(history.turns);
    },
    close: () => ledger.close(),
  };
}

const plansOf = (spec: Spec): Record<string, StepPlan> =>
  Object.fromEntries(
    Object.entries(spec.steps).map(([name, { after, shards, retryLimit, declassifies, when }]) => [
      name,
      {
        ...(declassifies ? { declassify: ["data"] } : {}),
        ...(when ? { when: { from: `${when.from}.data`, equals: when.equals } } : {}),
        inputs: Object.fromEntries(after.map((from) => [from, { from: `${from}.data`, collect: true as const }])),
        outputs: { data: "json" as const },
        shards,
        retryLimit,
      },
    ]),
  );

type Call = ReturnType<typeof caller>;
type Go = Awaited<ReturnType<Call["go"]>>;
/** What is known of an attempt that was granted: enough to repeat its claim and to report its end. */
interface Held {
  readonly claim: string;
  readonly go: Go;
  readonly outputs: Record<string, Uint8Array>;
  readonly commits: Map<string, string>;
}

const nameOf = (p: Place): string => `${p.run}/${p.step}/${p.shard}/${p.attempt}`;

class Player {
  #state = start();
  readonly #worlds: World[];
  readonly #held = new Map<string, Held>();
  readonly #story: string[] = [];

  constructor(
    private readonly spec: Spec,
    private readonly call: Call,
    world: World,
    private readonly clock: { readonly pass: (seconds: number) => void; readonly base: number },
    private readonly sweep: () => Promise<void>,
  ) {
    this.#worlds = [world];
  }

  async play(turns: readonly Turn[]): Promise<void> {
    for (const turn of turns) {
      const chosen = this.#choose(turn);
      const prepared = [];
      for (const action of chosen) prepared.push(await this.#prepare(action));
      const answers = await Promise.all(prepared.map((p) => p.send()));
      const sent = prepared.map((p) => p.action);
      this.#story.push(sent.map((a, i) => `${JSON.stringify(a)} -> ${JSON.stringify(answers[i])}`).join("\n   with "));
      const status = await this.#status();
      const explained = permutations(sent.map((_, i) => i)).some((order) =>
        this.#explains(order, sent, answers, status),
      );
      this.#forgetRefused(sent, answers);
      if (!explained) throw new Error(`no order explains the last step of:\n${this.#story.join("\n")}\n${status}`);
    }
  }

  /** A version that the ledger did not take is none. */
  #forgetRefused(sent: readonly Action[], answers: readonly Answer[]): void {
    const at = sent.findIndex((a) => a.kind === "register");
    if (at >= 0 && answers[at]?.status !== "ok") this.#worlds.pop();
  }

  #ofGeneration(generation: number): World {
    return this.#worlds.find((w) => w.root.generation === generation) as World;
  }

  #choose({ picks }: Turn): Action[] {
    const chosen = picks.map((p) => this.#pick(p, picks.length > 1)).filter((a) => a !== undefined);
    // A second version needs the first one's digest.
    const first = chosen.findIndex((a) => a.kind === "register");
    return chosen.filter((a, i) => a.kind !== "register" || i === first);
  }

  #pick({ kind, which }: Turn["picks"][number], together: boolean): Action | undefined {
    const offered = [...actions(this.spec, this.#state, BOUNDS)].filter(
      (a) =>
        // Time passes for all or for none. An attempt whose answer told of the run's end is known to nobody.
        !(together && (a.kind === "pass" || a.kind === "sweep")) &&
        !((a.kind === "commit" || a.kind === "reclaim") && !this.#held.has(nameOf(a))),
    );
    const kinds = [...new Set(offered.map((a) => a.kind))];
    let at = kind % kinds.reduce((sum, k) => sum + WEIGHTS[k], 0);
    const found = kinds.find((k) => {
      at -= WEIGHTS[k];
      return at < 0;
    });
    const list = offered.filter((a) => a.kind === found);
    return list[which % list.length];
  }

  /** Everything that is signed beforehand, so that actions of one turn really meet. */
  async #prepare(action: Action): Promise<{ action: Action; send: () => Promise<Answer> }> {
    const { call } = this;
    const newest = this.#worlds.at(-1) as World;
    switch (action.kind) {
      case "register": {
        const root = { ...newest.root, generation: newest.root.generation + action.rotate };
        const world = await nextVersion(newest, { root, drainSeconds: action.drain * SCALE });
        this.#worlds.push(world);
        return { action, send: async () => plain(await call.post("/v1/pipelines", world.descriptor)) };
      }
      case "open": {
        const { token, run } = await (this.#worlds[action.version] as World).runRequest();
        const send = async () => stateOf(await call.post("/v1/runs", token));
        return { action: { ...action, id: run }, send };
      }
      case "slot": {
        const token = slotToken(newest.schedules.tick as string, this.clock.base + action.slot * SCALE);
        const send = async () => stateOf(await call.post("/v1/runs", token));
        return { action: { ...action, id: runIdOf(token) }, send };
      }
      case "claim": {
        const { token } = await this.#ofGeneration(action.generation).claim(action.step, action.hint);
        return { action, send: () => this.#claim(token) };
      }
      case "reclaim":
        return { action, send: () => this.#claim((this.#held.get(nameOf(action)) as Held).claim) };
      case "commit": {
        const token = await this.#commitToken(action);
        return {
          action,
          send: async () => {
            const { status, refusal } = await call.commit(token);
            return refusal === undefined ? { status } : { status, code: refusal };
          },
        };
      }
      case "cancel": {
        const token = await newest.cancel(action.run, {}, "owner");
        return { action, send: async () => stateOf(await call.post(`/v1/runs/${action.run}/cancel`, token)) };
      }
      case "revoke": {
        const digest = action.version === null ? null : (this.#worlds[action.version] as World).digest;
        const token = await newest.revoke(digest);
        const send = async () => plain(await call.post(`/v1/pipelines/${newest.pipelineUid}/revoke`, token));
        return { action, send };
      }
      case "pass":
        return {
          action,
          send: async () => {
            this.clock.pass(action.seconds * SCALE);
            return { status: "ok" };
          },
        };
      case "sweep":
        return {
          action,
          send: async () => {
            await this.sweep();
            return { status: "ok" };
          },
        };
    }
  }

  async #claim(token: string): Promise<Answer> {
    const answer = await this.call.claim({ token, digest: jwsDigest(token), open: neverOpened });
    if (!answer.go) return answer.refusal ? { status: answer.status, code: answer.refusal } : { status: answer.status };
    const { go } = answer;
    const { step } = peekJws("sealflow-claim+jwt", token, claim);
    const place: Place = { run: go.run, step, shard: go.shard, attempt: go.attempt };
    if (!this.#held.has(nameOf(place))) {
      const outputs = await this.call.upload(go);
      this.#held.set(nameOf(place), { claim: token, go, outputs, commits: new Map() });
    }
    return { status: "go", place };
  }

  /** The same end of the same attempt is the same bytes. */
  async #commitToken(action: Extract<Action, { kind: "commit" }>): Promise<string> {
    const held = this.#held.get(nameOf(action)) as Held;
    const end = `${action.outcome} ${action.bit}`;
    const known = held.commits.get(end);
    if (known) return known;
    const run = this.#state.runs.find((r) => r.id === action.run) as Run;
    const { outcome } = action;
    const made = await (this.#worlds[run.version] as World).commit(
      action.step,
      held.go,
      outcome === "ok" ? held.outputs : {},
      { outcome, ...(action.bit === undefined ? {} : { bits: { data: action.bit } }) },
    );
    held.commits.set(end, made);
    return made;
  }

  /** What the ledger says of every run of the pipeline, in the model's terms. */
  async #status(): Promise<string> {
    const world = this.#worlds.at(-1) as World;
    const { body } = await this.call.get(`/v1/runs?pipeline=${world.pipelineUid}`, await world.readToken({}, "owner"));
    if (!body.runs) throw new Error(JSON.stringify(body));
    const runs = (body.runs as RealRun[]).map((r) => [
      r.run,
      r.state,
      // A slot that meets a registration may be of either version, and its answer does not tell.
      this.#worlds.findIndex(({ digest }) => digest === r.descriptor),
      Object.fromEntries(
        Object.entries(r.steps).map(([name, { shards }]) => [
          name,
          shards
            .filter((s) => s.state !== "waiting")
            .map((s) => [s.state, s.attempts, s.state === "committed" ? s.attempt : null, s.failures.length]),
        ]),
      ),
    ]);
    return JSON.stringify(runs.sort());
  }

  #explains(order: number[], sent: Action[], answers: Answer[], status: string): boolean {
    let state = this.#state;
    const expected: Answer[] = [];
    for (const i of order) {
      const { state: after, answer } = apply(this.spec, state, sent[i] as Action);
      state = after;
      expected[i] = answer;
    }
    if (!sent.every((_, i) => sameAnswer(state, expected[i] as Answer, answers[i] as Answer))) return false;
    if (modelStatus(this.spec, state) !== status) return false;
    this.#state = state;
    return true;
  }
}

interface RealRun {
  readonly run: string;
  readonly state: string;
  readonly descriptor: string;
  readonly steps: Record<
    string,
    { shards: { state: string; attempts: number; attempt: number; failures: readonly unknown[] }[] }
  >;
}

function modelStatus(spec: Spec, state: State): string {
  const runs = state.runs.map((run) => [
    run.id,
    runState(state, run),
    run.version,
    Object.fromEntries(
      Object.keys(spec.steps).map((name) => [
        name,
        (run.steps[name] ?? []).map((s) => [
          s.state,
          s.attempts.length,
          s.committed,
          s.attempts.filter((a) => a.end === "failed").length,
        ]),
      ]),
    ),
  ]);
  return JSON.stringify(runs.sort());
}

function sameAnswer(after: State, expected: Answer, found: Answer): boolean {
  if (isDeepStrictEqual(expected, found)) return true;
  // Granted, and the run ended before the answer was made: the answer says so, the attempt is spent.
  const run = after.runs.find((r) => r.id === expected.place?.run);
  return (
    expected.status === "go" && found.code === "RUN_CLOSED" && run !== undefined && runState(after, run) !== "open"
  );
}

const neverOpened = () => Promise.reject(new Error("run secrets are not looked at here"));

type RealAnswer = Awaited<ReturnType<Call["post"]>>;
const plain = ({ code }: RealAnswer): Answer => (code === undefined ? { status: "ok" } : { status: "error", code });
const stateOf = ({ code, body }: RealAnswer): Answer =>
  code === undefined ? { status: body.state } : { status: "error", code };

function permutations(items: number[]): number[][] {
  if (items.length <= 1) return [items];
  return items.flatMap((first) => permutations(items.filter((i) => i !== first)).map((rest) => [first, ...rest]));
}
