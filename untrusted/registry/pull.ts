/** Pulls an image by digest into an OCI layout: manifests and layers are checked, what is there is not fetched again. */
import { readFile } from "node:fs/promises";
import { sha256hex } from "../../protocol/crypto";
import type { PinnedImage } from "../../protocol/image-reference";
import {
  type Descriptor,
  INDEX_FILE,
  isIndex,
  isManifest,
  OciError,
  parseIndex,
  parseManifest,
  REF_NAME,
  selectPlatform,
} from "../../protocol/oci";
import { BlobFolder, type PartialBlob } from "./blobs";
import type { RegistryClient } from "./client";
import { RegistryError } from "./errors";
import { retrying } from "./retry";

export interface PullOptions {
  /** The OCI layout; made when it is missing. Its index.json names the last image pulled. */
  readonly layoutDir: string;
  /** Default "amd64": the one that confidential guests have. */
  readonly architecture?: string;
  /** Bytes that came over the network, and all bytes that had to. */
  readonly onProgress?: (received: number, total: number) => void;
}

export interface PulledImage {
  /** Of the image's own manifest, 64 hex: the pinned one, or the entry of the pinned index. */
  readonly digest: string;
  /** Bytes of config and layers. */
  readonly size: number;
  /** Bytes that came over the network for them. */
  readonly received: number;
}

/** @throws RegistryError; an image of another form is IMAGE_FORM. */
export async function pullImage(
  client: RegistryClient,
  image: PinnedImage,
  options: PullOptions,
): Promise<PulledImage> {
  const blobs = new BlobFolder(options.layoutDir);
  await blobs.init();
  const where = `${image.host}/${image.repository}`;
  const { digest, mediaType, bytes } = await imageManifest(client, image, blobs, options.architecture ?? "amd64");
  const { config, layers } = formOf(where, () => parseManifest(bytes, where));
  const parts = [...new Map([config, ...layers].map((d) => [d.digest, d])).values()];
  const missing: Descriptor[] = [];
  for (const part of parts) if (!(await blobs.has(part.digest, part.size))) missing.push(part);
  const total = missing.reduce((sum, { size }) => sum + size, 0);
  let received = 0;
  for (const part of missing) {
    await pullBlob(client, image, part, blobs, (n) => {
      received += n;
      options.onProgress?.(received, total);
    });
  }
  const entry = {
    mediaType,
    digest: `sha256:${digest}`,
    size: bytes.length,
    annotations: { [REF_NAME]: image.digest },
  };
  await blobs.write(INDEX_FILE, JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
  return { digest, size: parts.reduce((sum, { size }) => sum + size, 0), received };
}

/** Whether a layout holds all of an image that was pulled before; nothing is fetched. */
export async function isPulled(layoutDir: string, digest: string): Promise<boolean> {
  const blobs = new BlobFolder(layoutDir);
  const bytes = await stored(blobs, digest);
  if (!bytes) return false;
  try {
    const { config, layers } = parseManifest(bytes, digest);
    const there = await Promise.all([config, ...layers].map((d) => blobs.has(d.digest, d.size)));
    return there.every(Boolean);
  } catch {
    return false;
  }
}

/** The manifest of one image, through an index if the digest is of one. */
async function imageManifest(client: RegistryClient, image: PinnedImage, blobs: BlobFolder, architecture: string) {
  const where = `${image.host}/${image.repository}@sha256:${image.digest}`;
  const first = await client.manifest(image);
  const type = typeOf(first);
  let found = { ...first, mediaType: type };
  if (isIndex(type)) {
    const entry = formOf(where, () => selectPlatform(parseIndex(first.bytes, where), architecture, where));
    await keep(blobs, first);
    found = { ...(await client.manifest({ ...image, digest: entry.digest })), mediaType: entry.mediaType };
  }
  if (!isManifest(found.mediaType)) throw new RegistryError("IMAGE_FORM", `${where}: is not a container image`);
  await keep(blobs, found);
  return found;
}

/** The document says its own type; older ones leave it to the header. */
function typeOf({ bytes, mediaType }: { bytes: Buffer; mediaType: string }): string {
  try {
    const own = (JSON.parse(bytes.toString("utf8")) as { mediaType?: unknown }).mediaType;
    return typeof own === "string" ? own : mediaType;
  } catch {
    return mediaType;
  }
}

async function keep(blobs: BlobFolder, { digest, bytes }: { digest: string; bytes: Buffer }): Promise<void> {
  await blobs.write(`blobs/sha256/${digest}`, bytes);
}

async function stored(blobs: BlobFolder, digest: string): Promise<Buffer | undefined> {
  const bytes = await readFile(blobs.path(digest)).catch(() => undefined);
  return bytes && sha256hex(bytes) === digest ? bytes : undefined;
}

async function pullBlob(
  client: RegistryClient,
  image: PinnedImage,
  { digest, size }: Descriptor,
  blobs: BlobFolder,
  onBytes: (n: number) => void,
): Promise<void> {
  const what = `${image.host}/${image.repository}: blob sha256:${digest}`;
  const partial = await blobs.begin(digest, size);
  try {
    while (partial.size < size)
      await retrying(what, client.signal, () => more(client, image, digest, partial, onBytes));
    await partial.finish(`${image.host}/${image.repository}`);
  } finally {
    await partial.close();
  }
}

/** As much as one connection gives; one that breaks after some bytes is as good as one that ended. */
async function more(
  client: RegistryClient,
  image: PinnedImage,
  digest: string,
  partial: PartialBlob,
  onBytes: (n: number) => void,
): Promise<void> {
  const before = partial.size;
  const { body, from } = await client.blob(image, digest, before);
  if (from !== before) await partial.restart();
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      await partial.write(chunk);
      onBytes(chunk.length);
    }
  } catch (error) {
    if (error instanceof RegistryError || partial.size <= before) throw error;
  }
  if (partial.size <= before) throw new Error("the connection ended without progress");
}

/** What protocol/oci finds wrong with a document, as an error of this folder. */
function formOf<T>(where: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof OciError)) throw error;
    throw new RegistryError("IMAGE_FORM", `${where}: ${error.message}`, { cause: error });
  }
}
