/** Seals the layers of a layout side by side, each from one end to the other in a thread of its own. */
import * as path from "node:path";
import { Worker } from "node:worker_threads";
import { OciError } from "../../protocol/oci";
import { DiskError, SourceError } from "../oci";
import { ImageError } from "./errors";
import type { EntryHeader } from "./guard";
import type { SealedLayer } from "./layer-sealing";
import type { ThreadAnswer, ThreadJob } from "./layer-thread";

/** Beside this file, and of its kind: compiled it is JavaScript. */
const PROGRAM = path.join(__dirname, `layer-thread${path.extname(__filename)}`);
const ERRORS = { ImageError, OciError, SourceError, DiskError };

export interface ThreadResult {
  readonly made: SealedLayer;
  /** Nobody has checked them. */
  readonly entries: readonly EntryHeader[];
  /** On the disk, to be given its name or deleted. */
  readonly file: string;
}

interface Waiting {
  readonly job: ThreadJob;
  readonly onBytes: (bytes: number) => void;
  readonly resolve: (result: ThreadResult) => void;
  readonly reject: (error: unknown) => void;
}

export class LayerThreads {
  readonly #workers: Worker[] = [];
  readonly #idle: Worker[] = [];
  readonly #queue: number[] = [];
  readonly #waiting = new Map<number, Waiting>();
  #next = 0;
  #failed: unknown;

  /** @param count of threads. */
  constructor(count: number) {
    for (let i = 0; i < count; i++) {
      const worker = new Worker(PROGRAM, { env: {}, resourceLimits: { maxYoungGenerationSizeMb: 8 } });
      worker.on("message", (answer: { id: number } & ThreadAnswer) => this.#answered(worker, answer));
      worker.on("error", (error) => this.fail(error));
      worker.on("exit", () => this.fail(new Error("sealing: the thread ended early")));
      this.#workers.push(worker);
      this.#idle.push(worker);
    }
  }

  /** @throws what `sealLayer` does; errors of the file system. */
  seal(job: ThreadJob, onBytes: (bytes: number) => void): Promise<ThreadResult> {
    const made = new Promise<ThreadResult>((resolve, reject) => {
      if (this.#failed !== undefined) return reject(this.#failed);
      const id = this.#next++;
      this.#waiting.set(id, { job, onBytes, resolve, reject });
      this.#queue.push(id);
      this.#start();
    });
    // It is waited for in the order of layers, perhaps after another one's error.
    made.catch(() => undefined);
    return made;
  }

  /** Rejects whatever is not done. */
  fail(error: unknown): void {
    this.#failed ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#failed);
    this.#waiting.clear();
    this.#queue.length = 0;
  }

  /** Files without a name are left where a thread was at work. */
  async close(): Promise<void> {
    this.fail(new Error("sealing: given up"));
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #start(): void {
    for (;;) {
      const worker = this.#idle[0];
      const id = this.#queue[0];
      if (worker === undefined || id === undefined) return;
      this.#idle.shift();
      this.#queue.shift();
      worker.postMessage({ id, job: this.#waiting.get(id)?.job });
    }
  }

  #answered(worker: Worker, { id, ...answer }: { id: number } & ThreadAnswer): void {
    if ("ready" in answer) {
      this.#idle.push(worker);
      this.#start();
      return;
    }
    const waiting = this.#waiting.get(id);
    if ("bytes" in answer) {
      waiting?.onBytes(answer.bytes);
      return;
    }
    this.#waiting.delete(id);
    if ("made" in answer) waiting?.resolve(answer);
    else waiting?.reject(revived(answer.error));
  }
}

/** An error of a thread, of its own class again. */
function revived({ name, code, message }: { name: string; code?: string; message: string }): Error {
  const Known = ERRORS[name as keyof typeof ERRORS] as (new (code: string, message: string) => Error) | undefined;
  if (Known && code !== undefined) return new Known(code, message);
  return Object.assign(new Error(message), code === undefined ? {} : { code });
}
