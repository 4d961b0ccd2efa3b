/** Encrypts the layers of an image. Several large ones of a layout go side by side, others one after the other. */
import { availableParallelism } from "node:os";
import { THREAD_FROM } from "../../protocol/digest";
import { layerKey, type Root } from "../../protocol/keys";
import { MEDIA } from "../../protocol/oci";
import type { LayoutWriter } from "../oci";
import { RunnerGuard } from "./guard";
import { type LayerJob, type SealedLayer, sealLayer } from "./layer-sealing";
import { progressOf } from "./progress";
import { saltEntry } from "./salt";
import type { PlainLayer } from "./source";
import { LayerThreads, type ThreadResult } from "./threads";

/** Each takes about 20 MiB, and a disk is no faster for more of them. */
const MAX_THREADS = 4;

export interface LayerOptions {
  /** Of the image. */
  readonly name: string;
  readonly root: Root;
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * @param claimed SHA-256 of each layer, hex. @returns the layers, on the disk under their digests.
 * @throws ImageError, SourceError, OciError; errors of the file system. No layer is left behind then.
 */
export async function sealLayers(
  options: LayerOptions,
  writer: LayoutWriter,
  layers: readonly PlainLayer[],
  claimed: readonly string[],
): Promise<SealedLayer[]> {
  const onBytes = progressOf("encrypting", options.onProgress);
  const jobs = claimed.map((digest, i) => jobOf(options, i, digest));
  const beside = threadsFor(layers, availableParallelism());
  const stop = () => beside?.fail(options.signal?.reason);
  options.signal?.addEventListener("abort", stop);
  try {
    options.signal?.throwIfAborted();
    const begun = layers.map(({ source, size }, i) =>
      beside && source && size >= THREAD_FROM
        ? beside.seal({ ...(jobs[i] as LayerJob), source, folder: writer.blobs }, (bytes) =>
            onBytes(i + 1, layers.length, bytes),
          )
        : undefined,
    );
    return await inOrder(options, writer, layers, jobs, begun, onBytes);
  } finally {
    options.signal?.removeEventListener("abort", stop);
    await beside?.close();
    // What has no name by now belongs to a layer that was given up.
    await writer.sweep();
  }
}

function jobOf({ root, name }: LayerOptions, index: number, claimed: string): LayerJob {
  return { ...layerKey(root, name, index, claimed, MEDIA.layer), salt: saltEntry(root, name, index), claimed };
}

/** One layer alone is faster with its digests in threads; so is any on one core. */
function threadsFor(layers: readonly PlainLayer[], cores: number): LayerThreads | undefined {
  const large = layers.filter(({ source, size }) => source !== undefined && size >= THREAD_FROM).length;
  return large > 1 && cores > 1 ? new LayerThreads(Math.min(large, cores, MAX_THREADS)) : undefined;
}

/** Entries are checked in the order of layers, since those above see through the links of those below. */
async function inOrder(
  { signal }: LayerOptions,
  writer: LayoutWriter,
  layers: readonly PlainLayer[],
  jobs: readonly LayerJob[],
  begun: readonly (Promise<ThreadResult> | undefined)[],
  onBytes: (layer: number, layers: number, bytes: number) => void,
): Promise<SealedLayer[]> {
  const guard = new RunnerGuard();
  const sealed: { readonly made: SealedLayer; readonly file: string }[] = [];
  for (const [i, layer] of layers.entries()) {
    const check = guard.layer(layer.label);
    const thread = begun[i];
    if (thread !== undefined) {
      const { made, entries, file } = await thread;
      for (const entry of entries) check(entry);
      sealed.push({ made, file });
      continue;
    }
    const file = await writer.newBlob();
    try {
      const made = await sealLayer(layer, jobs[i] as LayerJob, file, {
        check,
        onBytes: (bytes) => onBytes(i + 1, layers.length, bytes),
        threads: true,
        ...(signal ? { signal } : {}),
      });
      await file.finish();
      sealed.push({ made, file: file.path });
    } catch (error) {
      await file.discard();
      throw error;
    }
  }
  for (const { made, file } of sealed) await writer.adopt(file, made.digest);
  return sealed.map(({ made }) => made);
}
