/**
 * SHA-256 beside the cipher: other threads hash what the first one has sealed or is about to open, so that on two
 * cores an object takes the time of the slower of the two, not of both. Several digests of one stream have a thread
 * each. Measured by `npm run bench -- edge` and `run`.
 */
import { createHash, createHmac, type Hash, type Hmac } from "node:crypto";
import { Worker } from "node:worker_threads";

export interface Digest {
  /** The bytes may be reused afterwards. May block for as long as it takes to hash SLOT_BYTES. */
  update(bytes: Uint8Array): void;
  /** Lower-case hex; once. */
  digest(): Promise<string>;
  /** Frees the thread; after `digest`, or instead of it. */
  close(): void;
}

/** One digest of a stream. */
export interface Lane {
  /** HMAC-SHA256 under this key; without one, SHA-256. */
  readonly key?: Uint8Array;
}

export interface Digests extends Omit<Digest, "digest"> {
  /**
   * From here on every lane without a key makes a second digest, of a stream that has these bytes at this place; once.
   * @param bytes at most SLOT_BYTES.
   */
  insert(bytes: Uint8Array): void;
  /** Lower-case hex, one for each lane, in their order, then the second ones; once. */
  digests(): Promise<string[]>;
}

/** Below this a thread costs more than it saves, bytes. */
export const THREAD_FROM = 8 * 1024 * 1024;
/** Small enough to stay in the cores' caches on its way from one to the other. */
const SLOT_BYTES = 256 * 1024;
const SLOTS = 8;
/** Waking a thread costs as much as hashing a part of a slot: who waits for free slots is woken for several at once. */
const WAKE_EVERY = SLOTS / 2;
/** A thread that hashes nothing for this long is dead, milliseconds. */
const PATIENCE_MS = 120_000;

/** @param size bytes to come, as far as is known; decides only how, never what. */
export function createDigest(size: number): Digest {
  const one = createDigests(size, [{}]);
  return {
    update: (bytes) => one.update(bytes),
    digest: async () => (await one.digests())[0] as string,
    close: () => one.close(),
  };
}

/** @param size as for `createDigest`. @param lanes at least one. */
export const createDigests = (size: number, lanes: readonly Lane[]): Digests =>
  size < THREAD_FROM ? inline(lanes) : new ThreadDigests(lanes);

function inline(lanes: readonly Lane[]): Digests {
  const hashes: (Hash | Hmac)[] = lanes.map(({ key }) => (key ? createHmac("sha256", key) : createHash("sha256")));
  return {
    update: (bytes) => {
      for (const hash of hashes) hash.update(bytes);
    },
    insert: (bytes) => {
      const copied = lanes.flatMap(({ key }, i) => (key ? [] : [(hashes[i] as Hash).copy().update(bytes)]));
      hashes.push(...copied);
    },
    digests: async () => hashes.map((hash) => hash.digest("hex")),
    close: () => undefined,
  };
}

/** Slots filled; then, at FIRST + lane, slots that this lane has hashed: counters that only grow, modulo 2^32. */
const FILLED = 0;
const FIRST = 1;
/** In place of a length: no more slots come. */
const END = -1;
/** In place of a length, INSERTED - length: the slot is for `insert`. */
const INSERTED = -2;

/** Runs in a thread, for one lane after the other. As text, because the runner is one file. */
const LOOP = `
const { parentPort } = require("node:worker_threads");
const { createHash, createHmac } = require("node:crypto");
parentPort.on("message", ({ counters, lengths, slots, slotBytes, hashed, key }) => {
  const hash = key ? createHmac("sha256", key) : createHash("sha256");
  let second;
  for (let at = 0, open = true; open; ) {
    Atomics.wait(counters, ${FILLED}, at);
    for (const filled = Atomics.load(counters, ${FILLED}); at !== filled; at = (at + 1) | 0) {
      const slot = (at >>> 0) % lengths.length;
      const length = lengths[slot];
      if (length === ${END}) { open = false; break; }
      const inserted = length < ${END};
      const bytes = slots.subarray(slot * slotBytes, slot * slotBytes + (inserted ? ${INSERTED} - length : length));
      if (!inserted) {
        hash.update(bytes);
        second?.update(bytes);
      } else if (!key) {
        second = hash.copy().update(bytes);
      }
      Atomics.store(counters, hashed, (at + 1) | 0);
      if ((at + 1) % ${WAKE_EVERY} === 0) Atomics.notify(counters, hashed);
    }
  }
  parentPort.postMessage([hash, second].map((made) => made?.digest("hex")));
});
`;

/** Threads that have nothing to do: starting one costs as much as hashing 50 MiB. */
const idle: Thread[] = [];
const MAX_IDLE = 3;

class Thread {
  readonly #worker = new Worker(LOOP, {
    eval: true,
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 },
  });
  #resolve: (digests: (string | undefined)[]) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  constructor() {
    this.#worker.on("message", (digests: (string | undefined)[]) => this.#resolve(digests));
    this.#worker.on("error", (error) => this.#lost(error));
    this.#worker.on("exit", () => this.#lost(new Error("digest: the thread ended early")));
  }

  static take(): Thread {
    const known = idle.pop();
    if (known) known.#worker.ref();
    return known ?? new Thread();
  }

  /** @returns the lane's digest and its second one. */
  run(lane: object): Promise<(string | undefined)[]> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#worker.postMessage(lane);
    });
  }

  /** When its stream has ended. An idle thread holds up nobody who wants to leave. */
  giveBack(): void {
    this.#worker.unref();
    if (idle.length < MAX_IDLE) idle.push(this);
    else this.terminate();
  }

  terminate(): void {
    void this.#worker.terminate();
  }

  #lost(error: Error): void {
    const at = idle.indexOf(this);
    if (at >= 0) idle.splice(at, 1);
    this.#reject(error);
  }
}

/** A ring of slots in shared memory that every lane reads. Powers of two, so that the counters may overflow. */
class ThreadDigests implements Digests {
  readonly #counters: Int32Array;
  readonly #lengths = new Int32Array(new SharedArrayBuffer(4 * SLOTS));
  readonly #slots = new Uint8Array(new SharedArrayBuffer(SLOT_BYTES * SLOTS));
  readonly #threads: Thread[] = [];
  readonly #results: Promise<(string | undefined)[][]>;
  #fill = 0;
  #ended = false;

  constructor(lanes: readonly Lane[]) {
    this.#counters = new Int32Array(new SharedArrayBuffer(4 * (FIRST + lanes.length)));
    this.#results = Promise.all(lanes.map((lane, i) => this.#start(lane, FIRST + i)));
    // Whoever does not ask for the digests any more has an error of its own.
    this.#results.catch(() => undefined);
  }

  #start({ key }: Lane, hashed: number): Promise<(string | undefined)[]> {
    const thread = Thread.take();
    this.#threads.push(thread);
    const shared = { counters: this.#counters, lengths: this.#lengths, slots: this.#slots, slotBytes: SLOT_BYTES };
    // A copy: what a thread is given takes along all of the buffer that it is a part of.
    return thread.run({ ...shared, key: key && new Uint8Array(key), hashed });
  }

  update(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + SLOT_BYTES - this.#fill);
      this.#slots.set(part, this.#slot * SLOT_BYTES + this.#fill);
      this.#fill += part.length;
      at += part.length;
      if (this.#fill === SLOT_BYTES) this.#pass(SLOT_BYTES);
    }
  }

  insert(bytes: Uint8Array): void {
    if (bytes.length > SLOT_BYTES) throw new RangeError(`${bytes.length} bytes to insert, at most ${SLOT_BYTES}`);
    if (this.#fill > 0) this.#pass(this.#fill);
    this.#slots.set(bytes, this.#slot * SLOT_BYTES);
    this.#pass(INSERTED - bytes.length);
  }

  async digests(): Promise<string[]> {
    if (this.#fill > 0) this.#pass(this.#fill);
    this.#pass(END);
    const results = await this.#results;
    this.#ended = true;
    const second = results.flatMap(([, digest]) => (digest === undefined ? [] : [digest]));
    return [...results.map(([digest]) => digest as string), ...second];
  }

  close(): void {
    // A thread whose stream has not ended waits for more of it.
    for (const thread of this.#threads.splice(0)) {
      if (this.#ended) thread.giveBack();
      else thread.terminate();
    }
  }

  get #filled(): number {
    return this.#counters[FILLED] as number;
  }

  get #slot(): number {
    return (this.#filled >>> 0) % SLOTS;
  }

  /** Hands the current slot over and waits until the next one is free: until the slowest lane has hashed it. */
  #pass(length: number): void {
    this.#lengths[this.#slot] = length;
    this.#fill = 0;
    Atomics.store(this.#counters, FILLED, (this.#filled + 1) | 0);
    Atomics.notify(this.#counters, FILLED);
    for (let lane = FIRST; lane < this.#counters.length; lane++) this.#await(lane);
  }

  #await(lane: number): void {
    for (;;) {
      const hashed = Atomics.load(this.#counters, lane);
      if (((this.#filled - hashed) | 0) < SLOTS) return;
      if (Atomics.wait(this.#counters, lane, hashed, PATIENCE_MS) === "timed-out") {
        throw new Error("digest: the thread does not answer");
      }
    }
  }
}
