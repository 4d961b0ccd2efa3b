import { SealflowError } from "../../protocol/errors";

/**
 * Append only. SOURCE_MISSING: no such folder, file or layout. SOURCE_ENTRY: an entry that cannot go into an image.
 * LAYOUT: not a usable OCI layout. LAYER_TYPE: a layer in a form that guests cannot open.
 */
export type ImageCode = "SOURCE_MISSING" | "SOURCE_ENTRY" | "LAYOUT" | "LAYER_TYPE";
/** Correct the source; all problems of one source are in the message. */
export class ImageError extends SealflowError<ImageCode> {}
