/** Pulls an image from an OCI layout: every byte checked against the digest in the reference, encrypted layers opened. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { KEY_PACKETS, kidsOf, LayerOpener, OcicryptError, pathOfKid, unwrapLayer } from "../../../protocol/ocicrypt";
import {
  type Infer,
  integer,
  json,
  list,
  literal,
  object,
  optional,
  parse,
  record,
  text,
} from "../../../protocol/shape";
import { GuestError } from "./errors";
import { unpackTar } from "./unpack";

const MAX_MANIFEST = 4 * 1024 * 1024;
const digestText = text({ pattern: /^sha256:[0-9a-f]{64}$/, what: "sha256:<64 hex>", max: 71 });
const descriptor = object({
  mediaType: text({ max: 200 }),
  digest: digestText,
  size: integer(0, Number.MAX_SAFE_INTEGER),
  annotations: optional(record(/^[ -~]{1,200}$/, text({ max: 1_000_000 }))),
  urls: optional(json),
  platform: optional(json),
  data: optional(json),
  artifactType: optional(text({ max: 200 })),
});
const imageManifest = object({
  schemaVersion: literal(2),
  mediaType: optional(text({ max: 200 })),
  artifactType: optional(text({ max: 200 })),
  config: descriptor,
  layers: list(descriptor, 500),
  annotations: optional(record(/^[ -~]{1,200}$/, text({ max: 1_000_000 }))),
});
export type LayerDescriptor = Infer<typeof descriptor>;

/** Digest (64 hex) in `<host>/<name>@sha256:<digest>`. @throws GuestError IMAGE. */
export function digestOfReference(reference: string): string {
  const digest = /@sha256:([0-9a-f]{64})$/.exec(reference)?.[1];
  if (!digest) throw new GuestError("IMAGE", "image reference without digest");
  return digest;
}

/** @throws GuestError IMAGE_MISSING, IMAGE. */
export async function readLayers(layout: string, digest: string): Promise<LayerDescriptor[]> {
  let bytes: Buffer;
  try {
    bytes = await readFile(blobPath(layout, digest));
  } catch (cause) {
    throw new GuestError("IMAGE_MISSING", `image ${digest.slice(0, 12)}… is not in its OCI layout; run "up" again`, {
      cause,
    });
  }
  if (bytes.length > MAX_MANIFEST || createHash("sha256").update(bytes).digest("hex") !== digest) {
    throw new GuestError("IMAGE", "image manifest: its bytes are not those of its digest");
  }
  try {
    return parse(imageManifest, JSON.parse(bytes.toString("utf8")), "image manifest").layers;
  } catch (cause) {
    throw new GuestError("IMAGE", `image manifest: ${(cause as Error).message}`, { cause });
  }
}

export const isEncrypted = (layer: LayerDescriptor): boolean => layer.mediaType.endsWith("+encrypted");

/**
 * Unpacks one layer. An encrypted one is decrypted into `spool` first: its bytes may be used only when they are proved.
 * @param key fetches a KEK by its path in the KBS.
 */
export async function unpackLayer(
  layout: string,
  layer: LayerDescriptor,
  root: string,
  spool: string,
  key: (path: string) => Promise<Uint8Array>,
  reserved: (path: string) => boolean,
): Promise<void> {
  if (!isEncrypted(layer)) {
    await verifyBlob(layout, layer);
    await unpackTar(decompressed(createReadStream(blobPath(layout, hexOf(layer))), layer), root, reserved);
    return;
  }
  await mkdir(spool, { recursive: true, mode: 0o700 });
  const file = join(spool, hexOf(layer));
  try {
    await decryptTo(file, layout, layer, key);
    await unpackTar(decompressed(createReadStream(file), layer), root, reserved);
  } finally {
    await rm(file, { force: true });
  }
}

export const hexOf = (layer: LayerDescriptor): string => layer.digest.slice("sha256:".length);
const blobPath = (layout: string, hex: string): string => join(layout, "blobs", "sha256", hex);

async function decryptTo(
  file: string,
  layout: string,
  layer: LayerDescriptor,
  key: (path: string) => Promise<Uint8Array>,
): Promise<void> {
  const annotations = layer.annotations ?? {};
  if (!annotations[KEY_PACKETS]) throw new GuestError("IMAGE", "image layer: encrypted, but names no key");
  try {
    const keys = new Map<string, Uint8Array>();
    for (const kid of kidsOf(annotations)) keys.set(kid, await key(pathOfKid(kid)));
    const opener = new LayerOpener(unwrapLayer(annotations, (kid) => keys.get(kid)));
    const hash = createHash("sha256");
    const out = await open(file, "wx", 0o600);
    try {
      for await (const chunk of createReadStream(blobPath(layout, hexOf(layer)), { highWaterMark: 1024 * 1024 })) {
        hash.update(chunk as Buffer);
        await out.writeFile(opener.update(chunk as Buffer));
      }
    } finally {
      await out.close();
    }
    if (hash.digest("hex") !== hexOf(layer)) throw new GuestError("IMAGE", "image layer: not the bytes of its digest");
    opener.final();
  } catch (error) {
    if (error instanceof OcicryptError) {
      throw new GuestError(error.code === "LAYER_KEY" ? "KEY_DENIED" : "IMAGE", `image layer: ${error.message}`);
    }
    throw missing(error);
  }
}

/** Reads it once more than needed, but nothing of it is unpacked before it is known. */
async function verifyBlob(layout: string, layer: LayerDescriptor): Promise<void> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(blobPath(layout, hexOf(layer)), { highWaterMark: 1024 * 1024 })) {
      hash.update(chunk as Buffer);
    }
  } catch (error) {
    throw missing(error);
  }
  if (hash.digest("hex") !== hexOf(layer)) throw new GuestError("IMAGE", "image layer: not the bytes of its digest");
}

const missing = (error: unknown): unknown =>
  (error as NodeJS.ErrnoException).code === "ENOENT"
    ? new GuestError("IMAGE_MISSING", 'image: a layer is missing from its OCI layout; run "up" again', { cause: error })
    : error;

function decompressed(bytes: Readable, layer: LayerDescriptor): Readable {
  const type = layer.mediaType.replace(/\+encrypted$/, "");
  const stage = type.endsWith("gzip") ? createGunzip() : type.endsWith("zstd") ? createZstdDecompress() : undefined;
  if (!stage) {
    if (!/\.tar$|\.tar\.v1$/.test(type)) throw new GuestError("IMAGE", `image layer: unknown media type ${type}`);
    return bytes;
  }
  bytes.on("error", (error) => stage.destroy(error));
  return bytes.pipe(stage);
}
