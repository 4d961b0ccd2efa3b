/** Encrypts the layers of an image: cipher here, HMAC and digest of the ciphertext in a thread each, writing beside. */
import { fromHex, release } from "../../protocol/bytes";
import { fingerprint, kek, layerKey, namespaceOf, type Root, wrapIv } from "../../protocol/keys";
import { imageKeyPath } from "../../protocol/names";
import { type Descriptor, ENCRYPTED, MEDIA } from "../../protocol/oci";
import { kidOf, LayerCipher, wrapLayer } from "../../protocol/ocicrypt";
import { type LayoutWriter, type TempFile, WRITTEN_AT_ONCE } from "../oci";
import { beside } from "./equality";
import { type MeasuredLayer, mustBeSame } from "./measure";
import { progressOf } from "./progress";
import { saltEntry } from "./salt";

/**
 * Bytes that are encrypted at once. The cipher gives a new buffer every time: of this size the allocator keeps it when it
 * is released, larger ones come from the system page by page, which takes longer than the cipher. Measured by
 * `npm run bench -- run`.
 */
const PIECE = 256 * 1024;

export interface LayerOptions {
  readonly name: string;
  readonly root: Root;
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

/** @param id names the key of the image. @returns descriptors of the sealed layers. @throws ImageError IMAGE_CHANGED. */
export async function sealLayers(
  options: LayerOptions,
  writer: LayoutWriter,
  layers: readonly MeasuredLayer[],
  id: string,
): Promise<Descriptor[]> {
  const sealed: Descriptor[] = [];
  /** The layer before goes to the disk while the next is encrypted; one at a time, for the memory it takes. */
  let committing: Promise<void> = Promise.resolve();
  try {
    for (const [i, layer] of layers.entries()) {
      const { descriptor, file } = await sealLayer(options, writer, layer, i, layers.length, id);
      const before = committing;
      committing = (async () => {
        try {
          await before;
          await writer.commit(file, descriptor.digest);
        } finally {
          await file.discard();
        }
      })();
      // It is waited for below, also when another layer fails first.
      committing.catch(() => undefined);
      sealed.push(descriptor);
    }
  } finally {
    await committing;
  }
  return sealed;
}

async function sealLayer(
  { root, name, signal, onProgress }: LayerOptions,
  writer: LayoutWriter,
  measured: MeasuredLayer,
  index: number,
  layers: number,
  id: string,
): Promise<{ descriptor: Descriptor; file: TempFile }> {
  const { layer, digest, size, tag, equality } = measured;
  const { key, nonce } = layerKey(root, digest, MEDIA.layer);
  const cipher = new LayerCipher(key, nonce);
  const onBytes = progressOf("encrypting", onProgress);
  const same = equality.again(tag);
  let bytes = 0;
  async function* sealedChunks(): AsyncGenerator<Uint8Array> {
    yield cipher.update(saltEntry(root, name, index));
    for await (const chunk of layer.stream(true)) {
      signal?.throwIfAborted();
      same.update(chunk);
      for (let at = 0; at < chunk.length; at += PIECE) yield cipher.update(chunk.subarray(at, at + PIECE));
      bytes += chunk.length;
      onBytes(index + 1, layers, bytes);
    }
  }
  const file = await writer.newBlob();
  try {
    let writing: Promise<void> = Promise.resolve();
    const [sealedDigest = "", hmac = ""] = await beside(
      sealedChunks(),
      [{}, { key }],
      async (chunk) => {
        await writing;
        writing = file.write(chunk).then(() => releaseWritten(chunk));
        // Its error is thrown where it is waited for.
        writing.catch(() => undefined);
      },
      size,
    );
    await writing;
    cipher.final();
    // Other bytes under this key would be encrypted with a key stream that is in use already: they never get a name.
    mustBeSame(measured, same.tag(), bytes);
    const annotations = wrapLayer({
      key,
      nonce,
      digest,
      hmac: fromHex(hmac),
      kid: kidOf(imageKeyPath(namespaceOf(fingerprint(root)), id)),
      kek: kek(root, id),
      iv: (optionsDigest) => wrapIv(root, id, optionsDigest),
    });
    return { descriptor: { mediaType: `${MEDIA.layer}${ENCRYPTED}`, digest: sealedDigest, size, annotations }, file };
  } catch (error) {
    await file.discard();
    throw error;
  }
}

/** Small pieces are kept by the file for a while. */
const releaseWritten = (chunk: Uint8Array): void => {
  if (chunk.length >= WRITTEN_AT_ONCE) release(chunk);
};
