/** One layer on its way: checked, digested, encrypted and digested again, in one reading. */
import { fromHex, release } from "../../protocol/bytes";
import { createDigests, type Digests } from "../../protocol/digest";
import { LayerCipher } from "../../protocol/ocicrypt";
import { type TempFile, WRITTEN_AT_ONCE } from "../oci";
import { ImageError } from "./errors";
import { type CheckEntry, LayerHeaders } from "./headers";
import { mustBeClaimed } from "./measure";
import type { PlainLayer } from "./source";

/**
 * Bytes that are encrypted at once. The cipher gives a new buffer every time: of this size the allocator keeps it when it
 * is released, larger ones come from the system page by page, which takes longer than the cipher. Measured by
 * `npm run bench -- run`.
 */
const PIECE = 256 * 1024;

/** What a layer is encrypted with; plain data, so that a thread can be given it. */
export interface LayerJob {
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
  /** The entry that is added. */
  readonly salt: Uint8Array;
  /** SHA-256 of the source's layer, hex, to which the key is bound. */
  readonly claimed: string;
}

/** A layer whose key is not wrapped yet. */
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

export interface SealingOptions {
  /** Gets every entry of the layer, in order; throws for those that must not be. */
  readonly check: CheckEntry;
  /** Bytes of the layer so far. */
  readonly onBytes: (bytes: number) => void;
  /** Whether digests of a large layer have threads of their own; where many layers are on their way they have not. */
  readonly threads: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Writes the ciphertext to `file`, which the caller gives its name or discards.
 * @throws ImageError IMAGE_CHANGED and IMAGE_LAYER, OciError OCI_FORM: the layer is not what was claimed. Other bytes
 * under its key would be encrypted with a key stream that is in use already: they must never get a name.
 */
export async function sealLayer(
  layer: PlainLayer,
  job: LayerJob,
  file: TempFile,
  options: SealingOptions,
): Promise<SealedLayer> {
  const sealing = new LayerSealing(layer, job, file, options);
  try {
    return await sealing.run();
  } finally {
    await sealing.close();
  }
}

class LayerSealing {
  readonly #cipher: LayerCipher;
  readonly #headers: LayerHeaders;
  readonly #plain: Digests;
  readonly #sealed: Digests;
  /** The piece before; its error is thrown where it is waited for. */
  #writing: Promise<void> = Promise.resolve();

  constructor(
    private readonly layer: PlainLayer,
    private readonly job: LayerJob,
    private readonly file: TempFile,
    private readonly options: SealingOptions,
  ) {
    this.#cipher = new LayerCipher(job.key, job.nonce);
    this.#headers = new LayerHeaders(options.check, layer.label);
    const size = options.threads ? layer.size : 0;
    this.#plain = createDigests(size, [{}]);
    this.#sealed = createDigests(size, [{}, { key: job.key }]);
  }

  async run(): Promise<SealedLayer> {
    const { layer, job, options } = this;
    let bytes = 0;
    for await (const chunk of layer.stream()) {
      options.signal?.throwIfAborted();
      const entries = this.#headers.write(chunk);
      await this.#add(chunk.subarray(0, entries));
      if (entries !== undefined) {
        await this.#addSalt();
        await this.#add(chunk.subarray(entries));
      }
      bytes += chunk.length;
      options.onBytes(bytes);
    }
    if (!this.#headers.end()) await this.#addSalt();
    await this.#writing;
    this.#cipher.final();
    const [source = "", plain = ""] = await this.#plain.digests();
    if (source !== job.claimed) {
      mustBeClaimed(layer, source);
      throw new ImageError("IMAGE_CHANGED", `${layer.label}: changed while it was sealed. Try again`);
    }
    const [digest = "", hmac = ""] = await this.#sealed.digests();
    return { plain, digest, size: this.#cipher.size, hmac: fromHex(hmac), key: job.key, nonce: job.nonce };
  }

  async close(): Promise<void> {
    await this.#writing.catch(() => undefined);
    this.#plain.close();
    this.#sealed.close();
  }

  async #add(plain: Uint8Array): Promise<void> {
    for (let at = 0; at < plain.length; at += PIECE) {
      const piece = plain.subarray(at, at + PIECE);
      this.#plain.update(piece);
      await this.#encrypt(piece);
    }
  }

  async #addSalt(): Promise<void> {
    this.#plain.insert(this.job.salt);
    await this.#encrypt(this.job.salt);
  }

  async #encrypt(plain: Uint8Array): Promise<void> {
    const piece = this.#cipher.update(plain);
    this.#sealed.update(piece);
    await this.#writing;
    this.#writing = this.file.write(piece).then(() => releaseWritten(piece));
    this.#writing.catch(() => undefined);
  }
}

/** Small pieces are kept by the file for a while. */
const releaseWritten = (chunk: Uint8Array): void => {
  if (chunk.length >= WRITTEN_AT_ONCE) release(chunk);
};
