/**
 * SHA-256 beside the cipher: a second thread hashes what the first one has sealed or is about to open, so that on two
 * cores an object takes the time of the slower of the two, not of both. Measured by `npm run bench -- edge`.
 */
import { createHash } from "node:crypto";
import { Worker } from "node:worker_threads";

export interface Digest {
  /** The bytes may be reused afterwards. May block for as long as it takes to hash SLOT_BYTES. */
  update(bytes: Uint8Array): void;
  /** Lower-case hex; once. */
  digest(): Promise<string>;
  /** Frees the thread; after `digest`, or instead of it. */
  close(): void;
}

/** Below this a thread costs more than it saves, bytes. */
const THREAD_FROM = 8 * 1024 * 1024;
/** Small enough to stay in the cores' caches on its way from one to the other. */
const SLOT_BYTES = 256 * 1024;
const SLOTS = 8;
/** A thread that hashes nothing for this long is dead, milliseconds. */
const PATIENCE_MS = 120_000;

/** @param size bytes to come, as far as is known; decides only how, never what. */
export const createDigest = (size: number): Digest => (size < THREAD_FROM ? inline() : new ThreadDigest());

function inline(): Digest {
  const hash = createHash("sha256");
  return { update: (bytes) => void hash.update(bytes), digest: async () => hash.digest("hex"), close: () => undefined };
}

/** Slots filled, slots hashed: counters that only grow, modulo 2^32. */
const FILLED = 0;
const HASHED = 1;
/** In place of a length: no more slots come. */
const END = -1;

/** Runs in the thread. As text, because the runner is one file. */
const LOOP = `
const { workerData: { counters, lengths, slots, slotBytes }, parentPort } = require("node:worker_threads");
const hash = require("node:crypto").createHash("sha256");
for (let at = 0, open = true; open; ) {
  Atomics.wait(counters, ${FILLED}, at);
  for (const filled = Atomics.load(counters, ${FILLED}); at !== filled; at = (at + 1) | 0) {
    const slot = (at >>> 0) % lengths.length;
    if (lengths[slot] === ${END}) { open = false; break; }
    hash.update(slots.subarray(slot * slotBytes, slot * slotBytes + lengths[slot]));
    Atomics.store(counters, ${HASHED}, (at + 1) | 0);
    Atomics.notify(counters, ${HASHED});
  }
}
parentPort.postMessage(hash.digest("hex"));
`;

/** A ring of slots in shared memory. Powers of two, so that the counters may overflow. */
class ThreadDigest implements Digest {
  readonly #counters = new Int32Array(new SharedArrayBuffer(8));
  readonly #lengths = new Int32Array(new SharedArrayBuffer(4 * SLOTS));
  readonly #slots = new Uint8Array(new SharedArrayBuffer(SLOT_BYTES * SLOTS));
  readonly #worker: Worker;
  readonly #result: Promise<string>;
  #fill = 0;

  constructor() {
    this.#worker = new Worker(LOOP, {
      eval: true,
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 },
      workerData: { counters: this.#counters, lengths: this.#lengths, slots: this.#slots, slotBytes: SLOT_BYTES },
    });
    this.#result = new Promise((resolve, reject) => {
      this.#worker.once("message", resolve);
      this.#worker.once("error", reject);
      this.#worker.once("exit", () => reject(new Error("digest: the thread ended early")));
    });
    // Whoever does not ask for the digest any more has an error of its own.
    this.#result.catch(() => undefined);
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

  digest(): Promise<string> {
    if (this.#fill > 0) this.#pass(this.#fill);
    this.#pass(END);
    return this.#result;
  }

  close(): void {
    void this.#worker.terminate();
  }

  get #filled(): number {
    return this.#counters[FILLED] as number;
  }

  get #slot(): number {
    return (this.#filled >>> 0) % SLOTS;
  }

  /** Hands the current slot over and waits until the next one is free. */
  #pass(length: number): void {
    this.#lengths[this.#slot] = length;
    this.#fill = 0;
    Atomics.store(this.#counters, FILLED, (this.#filled + 1) | 0);
    Atomics.notify(this.#counters, FILLED);
    for (;;) {
      const hashed = Atomics.load(this.#counters, HASHED);
      if (((this.#filled - hashed) | 0) < SLOTS) return;
      if (Atomics.wait(this.#counters, HASHED, hashed, PATIENCE_MS) === "timed-out") {
        throw new Error("digest: the thread does not answer");
      }
    }
  }
}
