/** Readings of a source before it is sealed: digests of what it holds, and the checks that need the content. */
import { once } from "node:events";
import { extract } from "tar-stream";
import type { ImageSource } from "../../model/spec";
import { jcsDigest } from "../../protocol/canonical";
import { equalBytes } from "../../protocol/crypto";
import { wrongBytes } from "../oci/layout";
import { beside, Equality } from "./equality";
import { ImageError } from "./errors";
import { RunnerGuard } from "./guard";
import { openSource, PLATFORM, type PlainImage, type PlainLayer } from "./source";

export interface ReadLayer {
  readonly layer: PlainLayer;
  /** SHA-256 of the source's own tar, hex. */
  readonly sourceDigest: string;
  /** Bytes of the same. */
  readonly sourceSize: number;
  /** Tells, when the layer is read again, whether it is still those bytes. */
  readonly tag: Uint8Array;
  readonly equality: Equality;
  /** `MeasuredLayer.digest`, when it was made in the same reading. */
  readonly salted?: string;
}

export interface MeasuredLayer extends ReadLayer {
  /** SHA-256 of the tar with the salt entry, hex: the exact bytes that are encrypted, and the layer's diff_id. */
  readonly digest: string;
  /** Bytes of the same. */
  readonly size: number;
}

export interface ReadOptions {
  /** Called for every chunk, at most 1 MiB. @param layer from 1. @param bytes of this layer so far. */
  readonly onBytes?: (layer: number, layers: number, bytes: number) => void;
  readonly signal?: AbortSignal;
}

/** Bytes that come before a layer's own. @param index from 0. */
export type Salts = (index: number) => Uint8Array;

export interface SourceOptions extends ReadOptions {
  /** Makes the digest with salt as well. */
  readonly salts?: Salts;
  /** Not for layers that are cheap to read again: perhaps nobody will ask for it. */
  readonly postpone?: boolean;
}

/** The first reading. @throws SourceError, OciError, ImageError. */
export async function readSource(image: PlainImage, options: SourceOptions = {}): Promise<ReadLayer[]> {
  const guard = new RunnerGuard();
  const equality = new Equality();
  const read: ReadLayer[] = [];
  for (const [i, layer] of image.layers.entries()) {
    const salt = options.postpone && layer.blob !== undefined ? undefined : options.salts?.(i);
    const lanes = [{}, ...(salt ? [{ before: salt }] : [])];
    const mac = equality.start();
    let sourceSize = 0;
    const checked = new HeaderCheck(guard, layer.label);
    // Each digest in a thread of its own, so that on two cores both take little more than the time of one.
    const [sourceDigest = "", salted] = await beside(layer.stream(), lanes, async (chunk) => {
      options.signal?.throwIfAborted();
      mac.update(chunk);
      sourceSize += chunk.length;
      await checked.write(chunk);
      options.onBytes?.(i + 1, image.layers.length, sourceSize);
    });
    await checked.end();
    if (layer.blob !== undefined && layer.blob.digest !== sourceDigest) throw wrongBytes(layer.blob.where);
    if (layer.diffId !== undefined && layer.diffId !== sourceDigest)
      throw new ImageError("IMAGE_LAYER", `${layer.label}: content is not what the image's config says. It is damaged`);
    const facts = { layer, sourceDigest, sourceSize, tag: mac.tag(), equality };
    read.push({ ...facts, ...(salted === undefined ? {} : { salted }) });
  }
  return read;
}

/** Makes up for digests that were postponed. @throws as `readSource`; ImageError IMAGE_CHANGED. */
export async function withSalt(
  read: readonly ReadLayer[],
  salts: Salts,
  options: ReadOptions = {},
): Promise<MeasuredLayer[]> {
  const measured: MeasuredLayer[] = [];
  for (const [i, one] of read.entries()) {
    const salt = salts(i);
    const size = salt.length + one.sourceSize;
    const { layer } = one;
    if (one.salted !== undefined) {
      measured.push({ ...one, digest: one.salted, size });
      continue;
    }
    const same = one.equality.again(one.tag);
    let bytes = 0;
    const [digest = ""] = await beside(
      layer.stream(true),
      [{ before: salt }],
      async (chunk) => {
        options.signal?.throwIfAborted();
        same.update(chunk);
        bytes += chunk.length;
        options.onBytes?.(i + 1, read.length, bytes);
      },
      size,
    );
    mustBeSame(one, same.tag(), bytes);
    measured.push({ ...one, digest, size });
  }
  return measured;
}

/** @throws ImageError IMAGE_CHANGED */
export function mustBeSame({ layer, tag, sourceSize }: ReadLayer, again: Uint8Array, bytes: number): void {
  if (!equalBytes(again, tag) || bytes !== sourceSize)
    throw new ImageError("IMAGE_CHANGED", `${layer.label}: changed while it was sealed. Try again`);
}

/**
 * Digest of what a source holds, hex: changes with any file, link, executable bit, base layer, or process setting of a
 * base. Needs no key; it confirms guesses about the content, so it stays with the owner.
 */
export async function digestSource(source: ImageSource, options: ReadOptions = {}): Promise<string> {
  const image = await openSource(source);
  return sourceDigestOf(image, await readSource(image, options));
}

export const sourceDigestOf = (image: PlainImage, layers: readonly ReadLayer[]): string =>
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
