/** Where the images are that guests pull: what is taken from there is checked by the guest, not here. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { ImageReferenceError, type PinnedImage, parsePinnedImage } from "../../protocol/image-reference";
import { isPulled, pullImage, RegistryClient, RegistryError } from "../registry";
import { NodeError } from "./errors";

export interface ImageSource {
  /** @returns an OCI layout that has the image. @throws NodeError IMAGE_MISSING. */
  find(reference: string): Promise<string>;
}

/** Host of images that never leave the machine on which they were sealed: `<ns>.sealflow.local`. */
const LOCAL = /^[a-z0-9-]+\.sealflow\.local$/;

/**
 * `<ns>.sealflow.local/<name>@sha256:<digest>` → `<home>/images/<name>`, where sealing put them. An image of a registry
 * is pulled by its digest, once.
 */
export function localImages(home: string): ImageSource {
  const images = join(resolve(home), "images");
  const cache = join(resolve(home), "cache", "images");
  const pulling = new Map<string, Promise<void>>();
  return {
    async find(reference) {
      const image = pinned(reference);
      if (LOCAL.test(image.host)) {
        const layout = join(images, image.repository);
        if (!image.repository.includes("/") && existsSync(layout)) return layout;
        throw new NodeError("IMAGE_MISSING", `image ${reference}: no OCI layout in ${images}; run "up" first`);
      }
      const layoutDir = join(cache, image.digest);
      // However many Jobs begin together.
      const work = pulling.get(layoutDir) ?? pull(layoutDir, image).finally(() => pulling.delete(layoutDir));
      pulling.set(layoutDir, work);
      await work;
      return layoutDir;
    },
  };
}

async function pull(layoutDir: string, image: PinnedImage): Promise<void> {
  if (await isPulled(layoutDir, image.digest)) return;
  const client = new RegistryClient();
  try {
    await pullImage(client, image, { layoutDir });
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    throw new NodeError("IMAGE_MISSING", `image: ${error.code}: ${error.message}`, { cause: error });
  } finally {
    client.close();
  }
}

/** @throws NodeError IMAGE_MISSING */
function pinned(reference: string): PinnedImage {
  try {
    return parsePinnedImage(reference);
  } catch (error) {
    if (!(error instanceof ImageReferenceError)) throw error;
    throw new NodeError("IMAGE_MISSING", error.message, { cause: error });
  }
}
