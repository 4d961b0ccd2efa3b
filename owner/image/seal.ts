/**
 * Seals an image. Order of layers: runner (public, plain), owner's key (public, plain), then the source's layers, each
 * with its salt entry, encrypted. Every byte follows from the source, the name, the root and the two plain layers.
 *
 * No plaintext on disk. A layer's key follows from its digest: a layout says it, so that its layers are read once, and an
 * image that is sealed already not at all; a folder is digested first. A reading that finds other bytes ends in an error.
 */
import * as path from "node:path";
import type { ImageSource } from "../../model/spec";
import { utf8 } from "../../protocol/bytes";
import { jcs } from "../../protocol/canonical";
import { sha256hex } from "../../protocol/crypto";
import { fingerprint, kek, kekId, namespaceOf, type Root, wrapIv } from "../../protocol/keys";
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
import { kidOf, wrapLayer } from "../../protocol/ocicrypt";
import { quoted } from "../../protocol/quoted";
import { descriptorJson, exclusively, Layout, LayoutWriter, TAR_END, tarEntries } from "../oci";
import { ImageError } from "./errors";
import { isWhole, KEK_ANNOTATION, markedImage, type Origin, SOURCE_ANNOTATION, sourceMark } from "./known";
import type { SealedLayer } from "./layer-sealing";
import { claimedDigests, sourceDigestOf } from "./measure";
import { progressOf } from "./progress";
import { sealLayers } from "./seal-layers";
import { openSource, PLATFORM, type PlainLayer } from "./source";

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
  if (!isName(name)) throw new ImageError("IMAGE_NAME", `image name ${quoted(name)}: use [a-z0-9-], at most 40`);
  const image = await openSource(options.source);
  const reading = { onBytes: progressOf("reading", onProgress), ...(signal ? { signal } : {}) };
  const digests = await claimedDigests(image, reading);
  const origin: Origin = {
    name,
    source: sourceDigestOf(image, digests),
    ownerPublicKey: options.ownerPublicKey,
    runner: hexOf(options.runnerLayer),
  };
  const { manifest, id, reused } = await exclusively(options.layoutDir, async () => {
    const writer = new LayoutWriter(options.layoutDir);
    await mustBeReadable(writer);
    const known = await markedImage(writer, root, origin);
    if (known) return { ...known, reused: true };
    return writeImage(options, writer, origin, image.layers, digests);
  });
  return {
    digest: manifest.digest,
    kekId: id,
    reference: `${namespaceOf(fingerprint(root))}.sealflow.local/${name}@sha256:${manifest.digest}`,
    size: await sizeOf(options.layoutDir, manifest),
    sourceDigest: origin.source,
    config: image.process,
    reused,
  };
}

const hexOf = ({ digest }: PublicLayer): string => digest.replace(/^sha256:/, "");

/** Deletes a sealed image and what no other image in its layout needs. */
export const removeSealedImage = (layoutDir: string, digest: string): Promise<void> =>
  exclusively(layoutDir, () => new LayoutWriter(layoutDir).removeImage(digest));

async function writeImage(
  options: SealOptions,
  writer: LayoutWriter,
  origin: Origin,
  layers: readonly PlainLayer[],
  digests: readonly string[],
): Promise<{ manifest: Descriptor; id: string; reused: boolean }> {
  const { root, runnerLayer } = options;
  const runner = plainLayer(hexOf(runnerLayer), runnerLayer.size);
  const ownerBytes = await ownerLayer(options.ownerPublicKey);
  const owner = plainLayer(sha256hex(ownerBytes), ownerBytes.length);

  const whole = await wholeImages(writer);
  await writer.sweep();
  const sealed = await sealLayers(options, writer, layers, digests);
  const plain = [runner, owner, ...sealed.map((layer) => plainLayer(layer.plain, layer.size))];
  const config = { ...PLATFORM, rootfs: { type: "layers", diff_ids: plain.map((l) => `sha256:${l.digest}`) } };
  const configText = jcs(config);
  const configDescriptor = {
    mediaType: MEDIA.config,
    digest: sha256hex(configText),
    size: utf8(configText).length,
    annotations: {},
  };
  const id = kekId(root, sha256hex(jcs(manifestJson(configDescriptor, plain))));
  const wrapped = sealed.map((layer) => sealedDescriptor(root, id, layer));
  await writer.putFile(runnerLayer.path, runner);
  await putBytes(writer, ownerBytes, owner.digest);
  await writer.putDocument(MEDIA.config, config);
  const manifest = await writer.putDocument(
    MEDIA.manifest,
    manifestJson(configDescriptor, [runner, owner, ...wrapped]),
  );
  await writer.addImage({
    ...manifest,
    annotations: {
      [KEK_ANNOTATION]: id,
      // Other sources may have the same bytes: the mark is the last one's.
      [SOURCE_ANNOTATION]: sourceMark(root, origin, id, manifest.digest),
      [REF_NAME]: manifest.digest.slice(0, 12),
    },
    platform: PLATFORM,
  });
  return { manifest, id, reused: whole.has(manifest.digest) };
}

/** Digests of the images that the layout holds. */
async function wholeImages(writer: LayoutWriter): Promise<Set<string>> {
  const whole = new Set<string>();
  for (const image of await writer.entries())
    if (await isWhole(writer, image, image.annotations[KEK_ANNOTATION] ?? "")) whole.add(image.digest);
  return whole;
}

const plainLayer = (digest: string, size: number): Descriptor => ({
  mediaType: MEDIA.layer,
  digest,
  size,
  annotations: {},
});

/** @param id names the key of the image. */
const sealedDescriptor = (
  root: Root,
  id: string,
  { plain, digest, size, hmac, key, nonce }: SealedLayer,
): Descriptor => ({
  mediaType: `${MEDIA.layer}${ENCRYPTED}`,
  digest,
  size,
  annotations: wrapLayer({
    key,
    nonce,
    digest: plain,
    hmac,
    kid: kidOf(imageKeyPath(namespaceOf(fingerprint(root)), id)),
    kek: kek(root, id),
    iv: (optionsDigest) => wrapIv(root, id, optionsDigest),
  }),
});

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

async function sizeOf(layoutDir: string, manifest: Descriptor): Promise<number> {
  const layout = await Layout.open(path.resolve(layoutDir));
  const { config, layers } = parseManifest(await layout.document(manifest), layout.where(manifest));
  return [manifest, config, ...layers].reduce((sum, { size }) => sum + size, 0);
}
