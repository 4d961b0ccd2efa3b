/** The entry that makes a layer's diff_id confirm no guess about its content. It is the last of every sealed layer. */
import { layerSalt, type Root } from "../../protocol/keys";
import { tarFile } from "../oci";

/** In the root of the image; the file of the highest layer is what one sees there. */
export const SALT_FILE = ".sealflow-salt";

/**
 * Tar entries simply follow each other, so that a layer gets the entry by putting these bytes before the end of its
 * archive, and its own bytes (times, owners, extended attributes, hard links) stay as their maker wrote them. At the end
 * and not at the beginning: the digests with and without it are one pass but for the last kilobytes.
 * @param index number of the layer among those that are sealed, from 0.
 */
export const saltEntry = (root: Root, image: string, index: number): Uint8Array =>
  tarFile(SALT_FILE, layerSalt(root, image, index));
