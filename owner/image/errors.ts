import { SealflowError } from "../../protocol/errors";

/**
 * Append only. IMAGE_NAME, IMAGE_PREFIX: cannot be used as such. IMAGE_PLATFORM: not linux/amd64, which the runner is
 * built for. IMAGE_LAYER: a layer that cannot be sealed (compression, damage). IMAGE_RESERVED: a source would change
 * the runner's own files. IMAGE_CHANGED: the source changed while it was sealed; try again. IMAGE_LAYOUT: the sealed
 * layout on disk is damaged; delete it and seal again.
 */
export type ImageCode =
  | "IMAGE_NAME"
  | "IMAGE_PREFIX"
  | "IMAGE_PLATFORM"
  | "IMAGE_LAYER"
  | "IMAGE_RESERVED"
  | "IMAGE_CHANGED"
  | "IMAGE_LAYOUT";
export class ImageError extends SealflowError<ImageCode> {}
