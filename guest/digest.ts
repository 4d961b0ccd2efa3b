/** Digests of objects, in a thread beside the cipher when they are large. Its errors are INTERNAL. */
export { createDigest, type Digest } from "../protocol/digest";
