/** Where the images are that guests pull: what is taken from there is checked by the guest, not here. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { NodeError } from "./errors";

export interface ImageSource {
  /** @returns an OCI layout that has the image. @throws NodeError IMAGE_MISSING. */
  find(reference: string): Promise<string>;
}

/** `<ns>.sealflow.local/<name>@sha256:<digest>` → `<home>/images/<name>`, where sealing put them. */
export const localImages = (home: string): ImageSource => ({
  async find(reference) {
    const name = /\/([a-z0-9][a-z0-9._-]*)@sha256:[0-9a-f]{64}$/.exec(reference)?.[1];
    const images = join(resolve(home), "images");
    const layout = name && join(images, name);
    if (layout && existsSync(layout)) return layout;
    throw new NodeError("IMAGE_MISSING", `image ${reference}: no OCI layout in ${images}; run "up" first`);
  },
});
