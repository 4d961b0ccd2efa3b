/**
 * Seals an image. Order of layers: runner (public, plain), owner's key (public, plain), then the source's layers, each
 * with its salt entry, encrypted. Every byte follows from the source, the name, the root and the two plain layers.
 *
 * Two passes over the source and no plaintext on disk: the first one digests (the image's key needs all of them), the
 * second one encrypts, and ends in an error when it read anything else.
 */
import * as path from "node:path";
import type { ImageSource } from "../../model/spec";
import { utf8 } from "../../protocol/bytes";
import { jcs } from "../../protocol/canonical";
import { equalBytes, sha256hex } from "../../protocol/crypto";
import { fingerprint, kek, kekId, layerKey, namespaceOf, type Root, wrapIv } from "../../protocol/keys";
import { imageKeyPath, isName } from "../../protocol/names";
import {
  type Descriptor,
  ENCRYPTED,
  MEDIA,
  OciError,
  type ProcessConfig,
  parseManifest,
  REF_NAME,
} from "../../protocol/oci";
import { KEY_PACKETS, kidOf, kidsOf, LayerSealer, wrapLayer } from "../../protocol/ocicrypt";
import { descriptorJson, exclusively, Layout, LayoutWriter, TAR_END, tarEntries } from "../oci";
import { beside } from "./equality";
import { ImageError } from "./errors";
import { type MeasuredLayer, measure, sourceDigestOf } from "./measure";
import { saltEntry } from "./salt";
import { openSource, PLATFORM } from "./source";

/** Annotation of an index entry: which key opens the image, so that an unchanged source is recognised. */
export const KEK_ANNOTATION = "io.sealflow.kek-id";

/** A public layer that is used as it is. */
export interface PublicLayer {
  /** A plain tar that nobody changes any more. */
  readonly path: string;
  /** SHA-256 of the file, hex, with or without `sha256:`; also its diff_id. */
  readonly digest: string;
  readonly size: number;
}

export interface SealOptions {
  /** [a-z0-9-], 1 to 40 characters. */
  readonly name: string;
  readonly source: ImageSource;
  readonly root: Root;
  /** Raw Ed25519 key, base64url: what the runner trusts. */
  readonly ownerPublicKey: string;
  readonly runnerLayer: PublicLayer;
  /** Folder of the OCI layout; other images in it are left alone. */
  readonly layoutDir: string;
  /** Gets lines such as `encrypting layer 1/2: 64 MiB`, a few per second at most. */
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

export interface SealedImage {
  /** SHA-256 of the sealed manifest, 64 hex. */
  readonly digest: string;
  readonly kekId: string;
  readonly reference: string;
  /** Bytes of manifest, config and layers. */
  readonly size: number;
  /** What `digestSource` gives. */
  readonly sourceDigest: string;
  /** The plain image's own process settings: they are no part of the sealed image, and belong in the bundle. */
  readonly config: ProcessConfig;
  /** Whether the layout held the image already. */
  readonly reused: boolean;
}

/** @throws ImageError, SourceError, OciError; errors of the file system such as ENOSPC. */
export async function sealImage(options: SealOptions): Promise<SealedImage> {
  const { name, root, signal, onProgress } = options;
  if (!isName(name))
    throw new ImageError("IMAGE_NAME", `image name ${JSON.stringify(name)}: use [a-z0-9-], at most 40`);
  const image = await openSource(options.source);
  const layers = await measure(image, {
    before: (i) => saltEntry(root, name, i),
    onBytes: progressOf("reading", onProgress),
    ...(signal ? { signal } : {}),
  });
  const { manifest, id, reused } = await exclusively(options.layoutDir, () => writeImage(options, layers));
  return {
    digest: manifest.digest,
    kekId: id,
    reference: `${namespaceOf(fingerprint(root))}.sealflow.local/${name}@sha256:${manifest.digest}`,
    size: await sizeOf(options.layoutDir, manifest),
    sourceDigest: sourceDigestOf(image, layers),
    config: image.process,
    reused,
  };
}

/** Deletes a sealed image and what no other image in its layout needs. */
export const removeSealedImage = (layoutDir: string, digest: string): Promise<void> =>
  exclusively(layoutDir, () => new LayoutWriter(layoutDir).removeImage(digest));

async function writeImage(options: SealOptions, layers: readonly MeasuredLayer[]) {
  const writer = new LayoutWriter(options.layoutDir);
  await mustBeReadable(writer);
  const { runnerLayer } = options;
  const runner: Descriptor = {
    mediaType: MEDIA.layer,
    digest: runnerLayer.digest.replace(/^sha256:/, ""),
    size: runnerLayer.size,
    annotations: {},
  };
  const ownerBytes = await ownerLayer(options.ownerPublicKey);
  const owner = { mediaType: MEDIA.layer, digest: sha256hex(ownerBytes), size: ownerBytes.length, annotations: {} };
  const config = {
    ...PLATFORM,
    rootfs: { type: "layers", diff_ids: [runner, owner, ...layers].map((l) => `sha256:${l.digest}`) },
  };
  const plain = layers.map(({ digest, size }) => ({ mediaType: MEDIA.layer, digest, size, annotations: {} }));
  const configText = jcs(config);
  const configDescriptor = {
    mediaType: MEDIA.config,
    digest: sha256hex(configText),
    size: utf8(configText).length,
    annotations: {},
  };
  const id = kekId(options.root, sha256hex(jcs(manifestJson(configDescriptor, [runner, owner, ...plain]))));

  const known = await existing(writer, id, configDescriptor, [runner, owner]);
  if (known) return { manifest: known, id, reused: true };

  await writer.sweep();
  await writer.putFile(runnerLayer.path, runner);
  await putBytes(writer, ownerBytes, owner.digest);
  const sealed: Descriptor[] = [];
  for (const [i, layer] of layers.entries()) sealed.push(await sealLayer(options, writer, layer, i, layers.length, id));
  await writer.putDocument(MEDIA.config, config);
  const manifest = await writer.putDocument(MEDIA.manifest, manifestJson(configDescriptor, [runner, owner, ...sealed]));
  await writer.addImage({
    ...manifest,
    annotations: { [KEK_ANNOTATION]: id, [REF_NAME]: manifest.digest.slice(0, 12) },
    platform: PLATFORM,
  });
  return { manifest, id, reused: false };
}

/** A damaged index hides what the layout holds: adding to it would orphan other images. */
async function mustBeReadable(writer: LayoutWriter): Promise<void> {
  try {
    await writer.entries();
  } catch (cause) {
    if (!(cause instanceof OciError)) throw cause;
    const message = `${cause.message}. The sealed images in ${writer.folder} are damaged: delete the folder and seal again`;
    throw new ImageError("IMAGE_LAYOUT", message, { cause });
  }
}

const manifestJson = (config: Descriptor, layers: readonly Descriptor[]) => ({
  schemaVersion: 2,
  mediaType: MEDIA.manifest,
  config: descriptorJson(config),
  layers: layers.map(descriptorJson),
});

/** `/sealflow-owner/owner.json` and an empty `/tmp`: measured with the image, so the runner need not trust what it is told. */
async function ownerLayer(ownerPublicKey: string): Promise<Uint8Array> {
  const content = utf8(jcs({ v: 1, ownerPublicKey }));
  const chunks: Uint8Array[] = [];
  const entries = tarEntries([
    { type: "directory", name: "sealflow-owner" },
    // Where bubblewrap puts its new root together; the container's root is read-only, and an empty image has no /tmp.
    { type: "directory", name: "tmp" },
    {
      type: "file",
      name: "sealflow-owner/owner.json",
      executable: false,
      size: content.length,
      content: () => [content],
    },
  ]);
  for await (const chunk of entries) chunks.push(chunk);
  return Buffer.concat([...chunks, TAR_END]);
}

async function putBytes(writer: LayoutWriter, bytes: Uint8Array, digest: string): Promise<void> {
  const file = await writer.newBlob();
  try {
    await file.write(bytes);
    await writer.commit(file, digest);
  } finally {
    await file.discard();
  }
}

async function sealLayer(
  { root, name, signal, onProgress }: SealOptions,
  writer: LayoutWriter,
  { layer, digest, size, tag, equality }: MeasuredLayer,
  index: number,
  layers: number,
  id: string,
): Promise<Descriptor> {
  const { key, nonce } = layerKey(root, digest, MEDIA.layer);
  const sealer = new LayerSealer(key, nonce);
  const file = await writer.newBlob();
  try {
    const onBytes = progressOf("encrypting", onProgress);
    const same = equality.again(tag);
    let bytes = 0;
    async function* sealedChunks(): AsyncGenerator<Uint8Array> {
      const salt = saltEntry(root, name, index);
      same.update(salt);
      yield sealer.update(salt);
      for await (const chunk of layer.stream()) {
        signal?.throwIfAborted();
        same.update(chunk);
        yield sealer.update(chunk);
        bytes += chunk.length;
        onBytes(index + 1, layers, bytes);
      }
    }
    // The ciphertext's digest in a thread, beside cipher and HMAC.
    const sealedDigest = await beside(sealedChunks(), (chunk) => file.write(chunk));
    const sealed = sealer.final();
    // Other bytes under this key would be encrypted with a key stream that is in use already: they never get a name.
    if (!equalBytes(same.tag(), tag) || sealed.size !== size)
      throw new ImageError("IMAGE_CHANGED", `${layer.label}: changed while it was sealed. Try again`);
    await writer.commit(file, sealedDigest);
    const annotations = wrapLayer({
      key,
      nonce,
      digest,
      hmac: sealed.hmac,
      kid: kidOf(imageKeyPath(namespaceOf(fingerprint(root)), id)),
      kek: kek(root, id),
      iv: (optionsDigest) => wrapIv(root, id, optionsDigest),
    });
    return { mediaType: `${MEDIA.layer}${ENCRYPTED}`, digest: sealedDigest, size, annotations };
  } finally {
    await file.discard();
  }
}

/**
 * The image that was sealed from the same plain bytes under the same root, when it is whole: documents by digest, layers
 * by size. (A changed byte inside a layer is found by whoever opens it.) A damaged one is sealed anew.
 */
async function existing(
  writer: LayoutWriter,
  id: string,
  config: Descriptor,
  plain: readonly Descriptor[],
): Promise<Descriptor | undefined> {
  try {
    const found = (await writer.entries()).find((entry) => entry.annotations[KEK_ANNOTATION] === id);
    if (!found) return undefined;
    const layout = await Layout.open(writer.folder);
    const manifest = parseManifest(await layout.document(found), layout.where(found));
    await layout.document(manifest.config);
    const opens = manifest.layers
      .filter((l) => l.annotations[KEY_PACKETS] !== undefined)
      .every((l) => kidsOf(l.annotations).every((kid) => kid.endsWith(`/${id}`)));
    const same =
      manifest.config.digest === config.digest && plain.every((l, i) => manifest.layers[i]?.digest === l.digest);
    const whole = (await Promise.all(manifest.layers.map((l) => writer.has(l)))).every(Boolean);
    return opens && same && whole ? found : undefined;
  } catch {
    return undefined;
  }
}

const PROGRESS_STEP = 32 * 1024 * 1024;

function progressOf(what: string, report: SealOptions["onProgress"]) {
  let next = 0;
  let current = 0;
  return (layer: number, layers: number, bytes: number): void => {
    if (layer !== current) next = 0;
    current = layer;
    if (bytes < next) return;
    next = bytes + PROGRESS_STEP;
    report?.(`${what} layer ${layer}/${layers}: ${Math.round(bytes / 1024 / 1024)} MiB`);
  };
}

async function sizeOf(layoutDir: string, manifest: Descriptor): Promise<number> {
  const layout = await Layout.open(path.resolve(layoutDir));
  const { config, layers } = parseManifest(await layout.document(manifest), layout.where(manifest));
  return [manifest, config, ...layers].reduce((sum, { size }) => sum + size, 0);
}
