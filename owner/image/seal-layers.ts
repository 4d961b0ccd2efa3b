/**
 * Encrypts the layers of an image in one reading: the cipher here, the digests of what goes in and what comes out in a
 * thread each, writing beside.
 */
import { fromHex, release } from "../../protocol/bytes";
import { createDigests, type Digests } from "../../protocol/digest";
import { layerKey, type Root } from "../../protocol/keys";
import { MEDIA } from "../../protocol/oci";
import { LayerCipher } from "../../protocol/ocicrypt";
import { type LayoutWriter, type TempFile, WRITTEN_AT_ONCE } from "../oci";
import { ImageError } from "./errors";
import { RunnerGuard } from "./guard";
import { LayerHeaders } from "./headers";
import { mustBeClaimed } from "./measure";
import { progressOf } from "./progress";
import { saltEntry } from "./salt";
import type { PlainLayer } from "./source";

/**
 * Bytes that are encrypted at once. The cipher gives a new buffer every time: of this size the allocator keeps it when it
 * is released, larger ones come from the system page by page, which takes longer than the cipher. Measured by
 * `npm run bench -- run`.
 */
const PIECE = 256 * 1024;

export interface LayerOptions {
  /** Of the image. */
  readonly name: string;
  readonly root: Root;
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

/** A layer on the disk whose key is not wrapped yet. */
export interface SealedLayer {
  /** SHA-256 of the bytes that were encrypted, hex: the layer with its salt entry. Also its diff_id. */
  readonly plain: string;
  /** SHA-256 of the ciphertext, hex. */
  readonly digest: string;
  /** Bytes of either. */
  readonly size: number;
  readonly hmac: Uint8Array;
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
}

/**
 * @param claimed SHA-256 of each layer, hex. Other bytes under its key would be encrypted with a key stream that is in
 * use already: they never get a name, and what was written of them is deleted.
 * @throws ImageError, SourceError, OciError; errors of the file system.
 */
export async function sealLayers(
  options: LayerOptions,
  writer: LayoutWriter,
  layers: readonly PlainLayer[],
  claimed: readonly string[],
): Promise<SealedLayer[]> {
  const guard = new RunnerGuard();
  const sealed: SealedLayer[] = [];
  /** The layer before goes to the disk while the next is encrypted; one at a time, for the memory it takes. */
  let committing: Promise<void> = Promise.resolve();
  try {
    for (const [i, layer] of layers.entries()) {
      const onBytes = progressOf("encrypting", options.onProgress);
      const sealing = new LayerSealing(options, layer, i, claimed[i] as string, guard);
      const { made, file } = await sealing.run(writer, (bytes) => onBytes(i + 1, layers.length, bytes));
      const before = committing;
      committing = (async () => {
        try {
          await before;
          await writer.commit(file, made.digest);
        } finally {
          await file.discard();
        }
      })();
      // It is waited for below, also when another layer fails first.
      committing.catch(() => undefined);
      sealed.push(made);
    }
  } finally {
    await committing;
  }
  return sealed;
}

/** One layer on its way. */
class LayerSealing {
  readonly #key;
  readonly #cipher: LayerCipher;
  readonly #headers: LayerHeaders;
  readonly #salt: Uint8Array;
  readonly #plain: Digests;
  readonly #sealed: Digests;
  /** The piece before; its error is thrown where it is waited for. */
  #writing: Promise<void> = Promise.resolve();

  constructor(
    private readonly options: LayerOptions,
    private readonly layer: PlainLayer,
    index: number,
    private readonly claimed: string,
    guard: RunnerGuard,
  ) {
    const { root, name } = options;
    this.#key = layerKey(root, name, index, claimed, MEDIA.layer);
    this.#cipher = new LayerCipher(this.#key.key, this.#key.nonce);
    this.#headers = new LayerHeaders(guard, layer.label);
    this.#salt = saltEntry(root, name, index);
    this.#plain = createDigests(layer.size, [{}]);
    this.#sealed = createDigests(layer.size, [{}, { key: this.#key.key }]);
  }

  async run(writer: LayoutWriter, onBytes: (bytes: number) => void): Promise<{ made: SealedLayer; file: TempFile }> {
    const { signal } = this.options;
    const file = await writer.newBlob();
    try {
      let bytes = 0;
      for await (const chunk of this.layer.stream()) {
        signal?.throwIfAborted();
        const entries = await this.#headers.write(chunk);
        await this.#add(file, chunk.subarray(0, entries));
        if (entries !== undefined) {
          await this.#addSalt(file);
          await this.#add(file, chunk.subarray(entries));
        }
        bytes += chunk.length;
        onBytes(bytes);
      }
      if (!(await this.#headers.end())) await this.#addSalt(file);
      await this.#writing;
      this.#cipher.final();
      const [source = "", plain = ""] = await this.#plain.digests();
      if (source !== this.claimed) {
        mustBeClaimed(this.layer, source);
        throw new ImageError("IMAGE_CHANGED", `${this.layer.label}: changed while it was sealed. Try again`);
      }
      const [digest = "", hmac = ""] = await this.#sealed.digests();
      return { made: { plain, digest, size: this.#cipher.size, hmac: fromHex(hmac), ...this.#key }, file };
    } catch (error) {
      await this.#writing.catch(() => undefined);
      await file.discard();
      throw error;
    } finally {
      this.#plain.close();
      this.#sealed.close();
    }
  }

  async #add(file: TempFile, plain: Uint8Array): Promise<void> {
    if (plain.length > 0) this.#plain.update(plain);
    await this.#encrypt(file, plain);
  }

  async #addSalt(file: TempFile): Promise<void> {
    this.#plain.insert(this.#salt);
    await this.#encrypt(file, this.#salt);
  }

  async #encrypt(file: TempFile, plain: Uint8Array): Promise<void> {
    for (let at = 0; at < plain.length; at += PIECE) {
      const piece = this.#cipher.update(plain.subarray(at, at + PIECE));
      this.#sealed.update(piece);
      await this.#writing;
      this.#writing = file.write(piece).then(() => releaseWritten(piece));
      this.#writing.catch(() => undefined);
    }
  }
}

/** Small pieces are kept by the file for a while. */
const releaseWritten = (chunk: Uint8Array): void => {
  if (chunk.length >= WRITTEN_AT_ONCE) release(chunk);
};
