/** Starts a workload's Jobs in the order of their edges, independent ones side by side, and again when they fail. */
import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type { JobEnd, NodeStage, SimulatedNode } from "../node";
import { readJob, readWorkload, type Workload, type WorkloadStep } from "./workload";

export interface StepEvent {
  readonly step: string;
  /** Index of the pod. Which shard it works on is the ledger's word. */
  readonly shard: number;
  /** Counts the starts of this pod, from 1. */
  readonly attempt: number;
  readonly stage: NodeStage | "committed" | "superseded" | "skipped" | "retrying" | "failed";
  readonly detail?: string;
}

export interface RunWorkloadOptions {
  /** `.sealflow/backend/<stack>/<pipeline>` */
  readonly folder: string;
  readonly node: SimulatedNode;
  /** Run id, given to every Job as a hint. */
  readonly run: string;
  /** Step → how many of its shards were committed in an earlier try: so many pods fewer are started. */
  readonly done?: ReadonlyMap<string, number>;
  /** Guests at the same time. Default: cores. */
  readonly parallel?: number;
  readonly onEvent?: (event: StepEvent) => void;
  /** Ends the guests that run and starts no other. */
  readonly signal?: AbortSignal;
}

export interface StepEnd {
  readonly step: string;
  readonly state: "committed" | "failed" | "skipped";
  readonly mode?: JobEnd["mode"];
  readonly reason?: string;
  /** Another attempt would be refused as well. */
  readonly final?: true;
}

/** Exit code of a runner whose attempt may not even have begun: relying party or store away, inputs not ready. */
const RETRYABLE = 10;
/** Freshness and refusals: another attempt is refused as well. */
const FINAL = new Set([20, 31]);
/**
 * The store failed longer than a runner waits, and each time an attempt was used. The last one is kept for a resume when
 * the store works again: without attempts the run would be over.
 */
const AWAY = new Set(["STORE_UNREACHABLE", "STORE_FULL"]);
/** Why a step did not run that the ledger calls skipped; its dependants need not ask. */
const CONDITION = "condition";
/** Starts beyond the step's own attempts that exit code 10 and lost guests may use up. */
const EXTRA_STARTS = 3;

/** @returns one end per step, in the order in which they ended. @throws BackendError, NodeError. */
export async function runWorkload(options: RunWorkloadOptions): Promise<StepEnd[]> {
  const workload = await readWorkload(options.folder);
  // Now: a deployment that replaces them must not change what a run on the way is made of.
  const jobs = new Map<string, unknown>();
  for (const [name, step] of Object.entries(workload.steps)) jobs.set(name, await readJob(options.folder, step));
  return new Schedule(workload, jobs, options).finish();
}

class Schedule {
  readonly #ends = new Map<string, StepEnd>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #slots: Slots;

  constructor(
    private readonly workload: Workload,
    private readonly jobs: ReadonlyMap<string, unknown>,
    private readonly options: RunWorkloadOptions,
  ) {
    this.#slots = new Slots(options.parallel ?? Math.max(1, availableParallelism()));
    for (const [step, { shards }] of Object.entries(workload.steps)) {
      if (this.#done(step) >= shards) this.#ends.set(step, { step, state: "committed" });
    }
  }

  async finish(): Promise<StepEnd[]> {
    for (;;) {
      this.#startReady();
      if (this.#running.size === 0) break;
      await Promise.race(this.#running.values());
    }
    return [...this.#ends.values()];
  }

  #done = (step: string): number => this.options.done?.get(step) ?? 0;

  #startReady(): void {
    for (const [name, step] of Object.entries(this.workload.steps)) {
      if (this.#ends.has(name) || this.#running.has(name)) continue;
      const states = step.after.map((dependency) => this.#ends.get(dependency)?.state);
      if (step.after.some((dependency) => this.#ends.get(dependency)?.reason === CONDITION)) {
        this.#ends.set(name, { step: name, state: "skipped", reason: CONDITION });
        this.options.onEvent?.({ step: name, shard: 0, attempt: 1, stage: "skipped" });
        this.#startReady();
        return;
      }
      if (this.options.signal?.aborted || states.some((state) => state === "failed" || state === "skipped")) {
        this.#ends.set(name, { step: name, state: "skipped", reason: "a step before it did not end well" });
        this.#startReady();
        return;
      }
      if (states.every((state) => state === "committed")) {
        this.#running.set(
          name,
          this.#runStep(name, step).finally(() => this.#running.delete(name)),
        );
      }
    }
  }

  async #runStep(name: string, step: WorkloadStep): Promise<void> {
    const job = this.jobs.get(name);
    // The ledger assigns the shards that are missing, whatever the pod's index. One pod too many would be a twin, and
    // a twin uses up an attempt.
    const missing = step.shards - this.#done(name);
    const pods = Array.from({ length: missing }, (_, pod) => this.#runPod(name, step, job, this.#done(name) + pod));
    const ends = await Promise.all(pods);
    const bad = ends.find((end) => end.state === "failed");
    this.#ends.set(name, bad ?? ends[0] ?? { step: name, state: "failed", reason: "no pods" });
  }

  /** Starts one pod until it has ended well, or may not be started again. */
  async #runPod(name: string, step: WorkloadStep, job: unknown, shard: number): Promise<StepEnd> {
    const { node, run, signal } = this.options;
    let failures = 0;
    let lost = 0;
    for (let attempt = 1; ; attempt++) {
      const tell = (stage: StepEvent["stage"], detail?: string) =>
        this.options.onEvent?.({ step: name, shard, attempt, stage, ...(detail === undefined ? {} : { detail }) });
      const end = await this.#slots.use(() =>
        node.runJob(job, { shard, runHint: run, onEvent: ({ stage }) => tell(stage), ...(signal ? { signal } : {}) }),
      );
      // A hidden exit class ends with 0 although its attempt failed; the runner's last word tells.
      if (end.exitCode === 0 && end.end === "skipped") {
        tell("skipped");
        return { step: name, state: "skipped", mode: end.mode, reason: CONDITION };
      }
      if (end.exitCode === 0 && end.end !== "recorded") {
        tell(end.end === "superseded" ? "superseded" : "committed");
        return { step: name, state: "committed", mode: end.mode };
      }
      if (end.exitCode !== RETRYABLE && !isLost(end)) failures += 1;
      if (AWAY.has(end.code ?? "")) lost += 1;
      const reason = reasonOf(end);
      const over =
        signal?.aborted ||
        FINAL.has(end.exitCode) ||
        failures > step.retryLimit ||
        (lost > 0 && lost + failures >= step.retryLimit) ||
        attempt > step.retryLimit + EXTRA_STARTS;
      if (over) {
        tell("failed", reason);
        const final = FINAL.has(end.exitCode) ? { final: true as const } : {};
        return { step: name, state: "failed", mode: end.mode, reason, ...final };
      }
      tell("retrying", reason);
      await sleep(backoffMs(step, attempt), undefined, signal ? { signal } : {}).catch(() => {});
    }
  }
}

/**
 * The guest or its runner was killed from outside. Nobody here knows whether it had claimed an attempt, so another is
 * started and the ledger, which does know, refuses when none is left.
 */
const isLost = ({ exitCode, code }: JobEnd): boolean => exitCode !== 0 && (code === undefined || code === "LOST");

const reasonOf = ({ exitCode, code, reason }: JobEnd): string =>
  [`exit ${exitCode}`, code, reason].filter((part) => part !== undefined).join(": ");

const backoffMs = ({ backoff }: WorkloadStep, attempt: number): number =>
  1000 * Math.min(backoff.seconds * Math.max(1, backoff.factor) ** (attempt - 1), backoff.maxSeconds);

/** At most n at a time, first come, first served. */
class Slots {
  readonly #waiting: (() => void)[] = [];
  constructor(private free: number) {}

  async use<T>(work: () => Promise<T>): Promise<T> {
    if (this.free > 0) this.free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.free += 1;
    }
  }
}
