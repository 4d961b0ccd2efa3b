/** Public layers, unpacked once for all guests: the runner layer, which is the same in every image. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { digestOfReference, hexOf, isEncrypted, readLayers, unpackLayer } from "./guest/image";

const unpacking = new Map<string, Promise<void>>();

/**
 * The first layer of an image, unpacked below `cache` when it is not yet.
 * @returns digest (hex) and folder. @throws GuestError IMAGE, IMAGE_MISSING.
 */
export async function unpackedRunnerLayer(
  layout: string,
  reference: string,
  cache: string,
): Promise<{ digest: string; folder: string } | undefined> {
  const [first] = await readLayers(layout, digestOfReference(reference));
  if (!first || isEncrypted(first)) return undefined;
  const digest = hexOf(first);
  const folder = join(cache, digest);
  const work = unpacking.get(folder) ?? unpackOnce(layout, first, cache, folder);
  unpacking.set(folder, work);
  try {
    await work;
  } finally {
    unpacking.delete(folder);
  }
  return { digest, folder };
}

async function unpackOnce(
  layout: string,
  layer: Parameters<typeof unpackLayer>[1],
  cache: string,
  folder: string,
): Promise<void> {
  if (existsSync(folder)) return;
  const temporary = join(cache, `.${randomBytes(8).toString("hex")}`);
  await mkdir(temporary, { recursive: true, mode: 0o755 });
  try {
    const noKey = () => Promise.reject(new Error("a public layer needs no key"));
    await unpackLayer(layout, layer, temporary, temporary, noKey, () => false);
    await rename(temporary, folder);
  } catch (error) {
    // Another process may have been first.
    if (!existsSync(folder)) throw error;
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}
