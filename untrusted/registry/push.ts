/** Pushes an image of an OCI layout by digest: what the registry has is not sent, what broke off goes on. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { sha256hex } from "../../protocol/crypto";
import type { Repository } from "../../protocol/image-reference";
import { blobPath, type Descriptor, parseManifest } from "../../protocol/oci";
import type { RegistryClient } from "./client";
import { RegistryError } from "./errors";
import { mountBlob, uploadBlob } from "./upload";

export interface PushOptions {
  /** OCI layout that holds the image. */
  readonly layoutDir: string;
  /** Of the image's manifest, 64 hex. */
  readonly digest: string;
  /** Media type of that manifest. Default: what the manifest says. */
  readonly mediaType?: string;
  /** Name that the manifest gets, such as a signature's. Default: none, images are known by their digests. */
  readonly tag?: string;
  /** Repositories of the same registry that may hold some of the layers: those are mounted instead of sent. */
  readonly mountFrom?: readonly string[];
  /** Bytes that the registry has, and all bytes that it is missing at the start. */
  readonly onProgress?: (sent: number, total: number) => void;
}

export interface PushedImage {
  /** `<host>/<repository>@sha256:<digest>`. */
  readonly reference: string;
  /** Bytes that were sent; the registry had or mounted the rest. */
  readonly sent: number;
}

/** Safe to repeat. @throws RegistryError; errors of the file system. */
export async function pushImage(client: RegistryClient, at: Repository, options: PushOptions): Promise<PushedImage> {
  const { layoutDir, digest } = options;
  const reference = `${at.host}/${at.repository}@sha256:${digest}`;
  const bytes = await manifestOf(layoutDir, digest);
  const { config, layers } = parseManifest(bytes, reference);
  if (options.tag === undefined && (await client.hasManifest(at, digest))) return { reference, sent: 0 };
  const missing: Descriptor[] = [];
  // The manifest last, the config before it: whoever sees the manifest can pull all of it.
  for (const part of [...new Map([...layers, config].map((d) => [d.digest, d])).values()]) {
    if (await client.hasBlob(at, part.digest)) continue;
    if (!(await mounted(client, at, part, options.mountFrom ?? []))) missing.push(part);
  }
  const total = missing.reduce((sum, { size }) => sum + size, 0);
  let sent = 0;
  for (const { digest: blob, size } of missing) {
    await uploadBlob(client, {
      at,
      digest: blob,
      size,
      path: join(layoutDir, blobPath(blob)),
      sessions: join(layoutDir, "uploads"),
      onBytes: (n) => {
        sent += n;
        options.onProgress?.(sent, total);
      },
    });
  }
  await client.putManifest(at, { bytes, mediaType: options.mediaType ?? mediaTypeOf(bytes), digest }, options.tag);
  return { reference, sent };
}

async function manifestOf(layoutDir: string, digest: string): Promise<Buffer> {
  const path = join(layoutDir, blobPath(digest));
  const bytes = await readFile(path);
  if (sha256hex(bytes) === digest) return bytes;
  throw new RegistryError("CONTENT", `${path}: not the bytes that its name says. The layout is damaged`);
}

function mediaTypeOf(bytes: Buffer): string {
  const { mediaType } = JSON.parse(bytes.toString("utf8")) as { mediaType?: unknown };
  if (typeof mediaType === "string") return mediaType;
  throw new RegistryError("IMAGE_FORM", "manifest: has no mediaType. Pass it");
}

async function mounted(client: RegistryClient, at: Repository, { digest }: Descriptor, from: readonly string[]) {
  for (const repository of from) {
    if (repository === at.repository) continue;
    try {
      if (await mountBlob(client, at, digest, repository)) return true;
    } catch (error) {
      // Not being allowed to read the other repository is no reason not to upload.
      if (!(error instanceof RegistryError) || error.code === "UNREACHABLE") throw error;
    }
  }
  return false;
}
