/** First pass over a source: digests of what will be sealed, and the checks that need the content. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { extract } from "tar-stream";
import type { ImageSource } from "../../model/spec";
import { jcsDigest } from "../../protocol/canonical";
import { wrongBytes } from "../oci/layout";
import { beside, Equality } from "./equality";
import { ImageError } from "./errors";
import { RunnerGuard } from "./guard";
import { openSource, PLATFORM, type PlainImage, type PlainLayer } from "./source";

export interface MeasuredLayer {
  readonly layer: PlainLayer;
  /** SHA-256 of the source's own tar, hex. */
  readonly sourceDigest: string;
  /** SHA-256 of the tar with the salt entry, hex: the exact bytes that are encrypted, and the layer's diff_id. */
  readonly digest: string;
  /** Bytes of the same. */
  readonly size: number;
  /** Tells, when the layer is read again, whether it is still those bytes. */
  readonly tag: Uint8Array;
  readonly equality: Equality;
}

export interface MeasureOptions {
  /** Bytes that come before the layer's own; default none. @param index from 0. */
  readonly before?: (index: number) => Uint8Array;
  /** Called for every chunk, at most 1 MiB. @param layer from 1. @param bytes of this layer so far. */
  readonly onBytes?: (layer: number, layers: number, bytes: number) => void;
  readonly signal?: AbortSignal;
}

export async function measure(image: PlainImage, options: MeasureOptions = {}): Promise<MeasuredLayer[]> {
  const guard = new RunnerGuard();
  const equality = new Equality();
  const measured: MeasuredLayer[] = [];
  for (const [i, layer] of image.layers.entries()) {
    const before = options.before?.(i) ?? new Uint8Array(0);
    const salted = createHash("sha256").update(before);
    const mac = equality.start();
    mac.update(before);
    let size = before.length;
    const checked = new HeaderCheck(guard, layer.label);
    // Two digests of the same bytes: one in a thread, so that on two cores both take the time of one.
    const own = await beside(layer.stream(), async (chunk) => {
      options.signal?.throwIfAborted();
      salted.update(chunk);
      mac.update(chunk);
      size += chunk.length;
      await checked.write(chunk);
      options.onBytes?.(i + 1, image.layers.length, size);
    });
    await checked.end();
    const sourceDigest = own;
    if (layer.blob !== undefined && layer.blob.digest !== sourceDigest) throw wrongBytes(layer.blob.where);
    if (layer.diffId !== undefined && layer.diffId !== sourceDigest)
      throw new ImageError("IMAGE_LAYER", `${layer.label}: content is not what the image's config says. It is damaged`);
    measured.push({ layer, sourceDigest, digest: salted.digest("hex"), size, tag: mac.tag(), equality });
  }
  return measured;
}

/**
 * Digest of what a source holds, hex: changes with any file, link, executable bit, base layer, or process setting of a
 * base. Needs no key; it confirms guesses about the content, so it stays with the owner.
 */
export async function digestSource(
  source: ImageSource,
  options: Pick<MeasureOptions, "onBytes" | "signal"> = {},
): Promise<string> {
  const image = await openSource(source);
  return sourceDigestOf(image, await measure(image, options));
}

export const sourceDigestOf = (image: PlainImage, layers: readonly MeasuredLayer[]): string =>
  jcsDigest({ v: 1, ...PLATFORM, process: image.process, layers: layers.map((l) => l.sourceDigest) });

/** Reads the headers of a tar that flows by. */
class HeaderCheck {
  readonly #extract = extract({});
  #failed: unknown;
  readonly #closed: Promise<void>;

  constructor(guard: RunnerGuard, label: string) {
    this.#closed = new Promise((resolve) => this.#extract.on("close", () => resolve()));
    this.#extract.on("error", (error) => {
      this.#failed ??= new ImageError("IMAGE_LAYER", `${label}: is no intact tar archive (${error.message})`);
    });
    this.#extract.on("entry", (header, stream, next) => {
      try {
        guard.check({ name: header.name, type: header.type ?? "file", linkname: header.linkname }, label);
      } catch (error) {
        this.#failed ??= error;
      }
      stream.on("error", () => {}); // the archive has the same error
      stream.on("end", () => next());
      stream.resume();
    });
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.#failed) throw this.#failed;
    if (!this.#extract.write(chunk)) {
      await Promise.race([once(this.#extract, "drain").catch(() => {}), this.#closed]);
    }
    if (this.#failed) throw this.#failed;
  }

  async end(): Promise<void> {
    this.#extract.end(undefined);
    await this.#closed;
    if (this.#failed) throw this.#failed;
  }
}
