/** Recognises in a layout the image that a source would be sealed into. */
import { hex, utf8 } from "../../protocol/bytes";
import { jcs } from "../../protocol/canonical";
import { equalBytes, hmacSha256 } from "../../protocol/crypto";
import { type Root, sourceMarkKey } from "../../protocol/keys";
import { type Descriptor, parseManifest } from "../../protocol/oci";
import { KEY_PACKETS, kidsOf } from "../../protocol/ocicrypt";
import { Layout, type LayoutWriter } from "../oci";

/** Annotation of an index entry: which key opens the image. */
export const KEK_ANNOTATION = "io.sealflow.kek-id";
/** Annotation of an index entry: what it was sealed from, readable with the root alone. */
export const SOURCE_ANNOTATION = "io.sealflow.source";

/** Raised when sealing begins to refuse what it took before: a mark stands for the checks, too. */
const VERSION = 2;

/** All that a sealed image's bytes follow from, beside the root. */
export interface Origin {
  readonly name: string;
  /** What `digestSource` gives. */
  readonly source: string;
  readonly ownerPublicKey: string;
  /** SHA-256 of the runner layer, hex. */
  readonly runner: string;
}

/**
 * Says under the root's key that an image was sealed from this origin. Whoever can write to the layout can neither make
 * a mark nor move one to another image; and a mark confirms no guess about the source.
 */
export const sourceMark = (root: Root, origin: Origin, id: string, manifest: string): string =>
  hex(hmacSha256(sourceMarkKey(root), utf8(jcs({ v: VERSION, ...origin, kekId: id, manifest }))));

/** The image with a mark for this origin, when it is whole: its source need not be sealed again to know it. */
export async function markedImage(
  writer: LayoutWriter,
  root: Root,
  origin: Origin,
): Promise<{ manifest: Descriptor; id: string } | undefined> {
  for (const manifest of await writer.entries()) {
    const { [KEK_ANNOTATION]: id, [SOURCE_ANNOTATION]: mark } = manifest.annotations;
    if (id === undefined || mark === undefined) continue;
    const expected = sourceMark(root, origin, id, manifest.digest);
    if (equalBytes(utf8(mark), utf8(expected)) && (await isWhole(writer, manifest, id))) return { manifest, id };
  }
  return undefined;
}

/**
 * Whether an image is all there: documents by digest, layers by size. (A changed byte inside a layer is found by
 * whoever opens it.)
 */
export async function isWhole(writer: LayoutWriter, image: Descriptor, id: string): Promise<boolean> {
  try {
    const layout = await Layout.open(writer.folder);
    const manifest = parseManifest(await layout.document(image), layout.where(image));
    await layout.document(manifest.config);
    const opens = manifest.layers
      .filter((l) => l.annotations[KEY_PACKETS] !== undefined)
      .every((l) => kidsOf(l.annotations).every((kid) => kid.endsWith(`/${id}`)));
    return opens && (await Promise.all(manifest.layers.map((l) => writer.has(l)))).every(Boolean);
  } catch {
    return false;
  }
}
