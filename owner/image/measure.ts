/** Digests of what a source holds, and the checks that need its content. */
import type { ImageSource } from "../../model/spec";
import { jcsDigest } from "../../protocol/canonical";
import { createDigests } from "../../protocol/digest";
import { wrongBytes } from "../oci/layout";
import { ImageError } from "./errors";
import { RunnerGuard } from "./guard";
import { LayerHeaders } from "./headers";
import { openSource, PLATFORM, type PlainImage, type PlainLayer } from "./source";

export interface ReadOptions {
  /** Called for every chunk, at most 1 MiB. @param layer from 1. @param bytes of this layer so far. */
  readonly onBytes?: (layer: number, layers: number, bytes: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Digest of what a source holds, hex: changes with any file, link, executable bit, base layer, or process setting of a
 * base. Reads all of it, so that a preview refuses what sealing would. Needs no key; it confirms guesses about the
 * content, so it stays with the owner.
 * @throws SourceError, OciError, ImageError.
 */
export async function digestSource(source: ImageSource, options: ReadOptions = {}): Promise<string> {
  const image = await openSource(source);
  const guard = new RunnerGuard();
  const digests: string[] = [];
  for (const [i, layer] of image.layers.entries()) {
    const headers = new LayerHeaders(guard.layer(layer.label), layer.label);
    const digest = await digestLayer(layer, (chunk) => headers.write(chunk), i, image.layers.length, options);
    headers.end();
    mustBeClaimed(layer, digest);
    digests.push(digest);
  }
  return sourceDigestOf(image, digests);
}

/**
 * Digest of every layer, hex, as far as it takes: what a layout says of its layers is believed, for whoever reads them
 * later and checks it then; a folder is read.
 */
export async function claimedDigests(image: PlainImage, options: ReadOptions = {}): Promise<string[]> {
  const digests: string[] = [];
  for (const [i, layer] of image.layers.entries())
    digests.push(layer.diffId ?? (await digestLayer(layer, () => {}, i, image.layers.length, options)));
  return digests;
}

export const sourceDigestOf = (image: PlainImage, layers: readonly string[]): string =>
  jcsDigest({ v: 1, ...PLATFORM, process: image.process, layers });

/** @param digest SHA-256 of the layer as it was read, hex. @throws OciError OCI_FORM; ImageError IMAGE_LAYER. */
export function mustBeClaimed(layer: PlainLayer, digest: string): void {
  if (layer.blob !== undefined && layer.blob.digest !== digest) throw wrongBytes(layer.blob.where);
  if (layer.diffId !== undefined && layer.diffId !== digest)
    throw new ImageError("IMAGE_LAYER", `${layer.label}: content is not what the image's config says. It is damaged`);
}

async function digestLayer(
  layer: PlainLayer,
  each: (chunk: Uint8Array) => void,
  index: number,
  layers: number,
  { signal, onBytes }: ReadOptions,
): Promise<string> {
  const digests = createDigests(layer.size, [{}]);
  let bytes = 0;
  try {
    for await (const chunk of layer.stream()) {
      signal?.throwIfAborted();
      digests.update(chunk);
      each(chunk);
      bytes += chunk.length;
      onBytes?.(index + 1, layers, bytes);
    }
    const [digest = ""] = await digests.digests();
    return digest;
  } finally {
    digests.close();
  }
}
