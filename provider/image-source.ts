/** Where an image's plain content comes from, seen from this machine: folders, OCI layouts, and images of registries. */
import { existsSync } from "node:fs";
import * as path from "node:path";
import { digestSource, type ImageSource } from "../owner/image";
import { jcs } from "../protocol/canonical";
import { sha256hex } from "../protocol/crypto";
import { parsePinnedImage } from "../protocol/image-reference";
import { pullImage, RegistryClient } from "../untrusted/registry";
import { cacheRoot } from "./cache";
import type { Context } from "./server/context";
import { absolute } from "./source";

/** The same source with absolute paths. */
export function openSource(context: Context, source: ImageSource): ImageSource {
  if (source.kind === "registry") return source;
  if (source.kind === "oci-layout") return { ...source, path: absolute(context, source.path) };
  const base = source.base === undefined ? {} : { base: absolute(context, source.base) };
  return { ...source, path: absolute(context, source.path), ...base };
}

/** The files and folders that a source needs on this machine. */
export const partsOf = (source: ImageSource): string[] =>
  source.kind === "registry"
    ? []
    : source.kind === "folder" && source.base
      ? [source.path, source.base]
      : [source.path];

/** The first part of a source that is not on this machine. */
export const missing = (source: ImageSource): string | undefined => partsOf(source).find((part) => !existsSync(part));

/**
 * SHA-256 over the plain content. An image in a registry counts by its digest: a preview needs no registry.
 * @throws what digesting throws, ImageReferenceError.
 */
export async function sourceDigest(source: ImageSource): Promise<string> {
  if (source.kind === "registry") return sha256hex(jcs({ registry: parsePinnedImage(source.reference).digest }));
  if (source.kind !== "folder" || source.baseImage === undefined) return digestSource(source);
  const { baseImage, ...folder } = source;
  return sha256hex(jcs({ registry: parsePinnedImage(baseImage).digest, folder: await digestSource(folder) }));
}

/** Brings images of registries to this machine: the source as folders and layouts only. @throws RegistryError. */
export async function pulledSource(context: Context, source: ImageSource): Promise<ImageSource> {
  if (source.kind === "registry") return { kind: "oci-layout", path: await pulled(context, source.reference) };
  if (source.kind !== "folder" || source.baseImage === undefined) return source;
  const { baseImage, ...folder } = source;
  return { ...folder, base: await pulled(context, baseImage) };
}

/** One layout for each digest, shared by all projects of this user. */
async function pulled(context: Context, reference: string): Promise<string> {
  const image = parsePinnedImage(reference);
  const layoutDir = path.join(cacheRoot(context), "images", image.digest);
  const client = new RegistryClient({ signal: context.signal });
  try {
    await pullImage(client, image, {
      layoutDir,
      onProgress: (received, total) =>
        context.log.status(`pulling ${image.host}/${image.repository}: ${mib(received)} of ${mib(total)} MiB`),
    });
    return layoutDir;
  } finally {
    client.close();
  }
}

export const mib = (bytes: number): number => Math.ceil(bytes / 1024 / 1024);

/** For Check. @returns what is wrong with its form. */
export function sourceProblem(source: ImageSource): string | undefined {
  const expected =
    'expected {kind: "folder", path: "…"}, {kind: "oci-layout", path: "…"} or {kind: "registry", reference: "…"}';
  try {
    if (source?.kind === "registry") {
      if (typeof source.reference !== "string") return expected;
      parsePinnedImage(source.reference);
      return undefined;
    }
    if (source?.kind === "folder" && source.baseImage !== undefined) parsePinnedImage(String(source.baseImage));
  } catch (error) {
    return (error as Error).message;
  }
  const kind = source?.kind;
  return (kind === "folder" || kind === "oci-layout") && typeof source.path === "string" && source.path !== ""
    ? undefined
    : expected;
}
