/** Runs in a thread: seals one layer of a layout after the other into files without a name. */
import { parentPort } from "node:worker_threads";
import { TempFile } from "../oci";
import type { EntryHeader } from "./guard";
import { type LayerJob, type SealedLayer, sealLayer } from "./layer-sealing";
import { type LayerSource, layoutLayer } from "./source";

export interface ThreadJob extends LayerJob {
  readonly source: LayerSource;
  /** Where the file is made. */
  readonly folder: string;
}

export type ThreadAnswer =
  | { readonly bytes: number }
  /** Encrypted, not yet on the disk: the thread takes another job. */
  | { readonly ready: true }
  | { readonly made: SealedLayer; readonly entries: readonly EntryHeader[]; readonly file: string }
  | { readonly error: { readonly name: string; readonly code?: string; readonly message: string } };

const PROGRESS_EVERY = 16 * 1024 * 1024;

async function seal(job: ThreadJob, answer: (answer: ThreadAnswer) => void): Promise<void> {
  const entries: EntryHeader[] = [];
  const check = ({ name, type, linkname }: EntryHeader) =>
    void entries.push({ name, type, linkname: linkname ?? null });
  let next = 0;
  const onBytes = (bytes: number) => {
    if (bytes < next) return;
    next = bytes + PROGRESS_EVERY;
    answer({ bytes });
  };
  const file = await TempFile.create(job.folder);
  let finished = false;
  try {
    const made = await sealLayer(layoutLayer(job.source), job, file, { check, onBytes, threads: false });
    answer({ ready: true });
    await file.finish();
    finished = true;
    answer({ made, entries, file: file.path });
  } finally {
    if (!finished) await file.discard();
  }
}

parentPort?.on("message", ({ id, job }: { id: number; job: ThreadJob }) => {
  const answer = (given: ThreadAnswer) => parentPort?.postMessage({ id, ...given });
  seal(job, answer).catch((error: Error & { code?: string }) => {
    const { name, message, code } = error;
    answer({ error: { name, message, ...(code === undefined ? {} : { code }) } });
  });
});
