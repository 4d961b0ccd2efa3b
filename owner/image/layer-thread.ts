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
  /** Once for each job, when it is encrypted or has failed: the thread takes another, while this one goes to the disk. */
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
  let ready = () => {
    ready = () => undefined;
    answer({ ready: true });
  };
  let file: TempFile | undefined;
  try {
    file = await TempFile.create(job.folder);
    const made = await sealLayer(layoutLayer(job.source), job, file, { check, onBytes, threads: false });
    ready();
    await file.finish();
    answer({ made, entries, file: file.path });
  } catch (error) {
    await file?.discard();
    const { name, message, code } = error as Error & { code?: string };
    answer({ error: { name, message, ...(code === undefined ? {} : { code }) } });
  } finally {
    ready();
  }
}

parentPort?.on("message", ({ id, job }: { id: number; job: ThreadJob }) =>
  seal(job, (given) => parentPort?.postMessage({ id, ...given })),
);
