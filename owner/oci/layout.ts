/** Reads an OCI image layout (a folder). Every document and every blob is checked against its digest. */
import { createHash } from "node:crypto";
import type { Stats } from "node:fs";
import { stat } from "node:fs/promises";
import * as path from "node:path";
import { concat } from "../../protocol/bytes";
import {
  blobPath,
  checkBlob,
  checkLayoutFile,
  type Descriptor,
  INDEX_FILE,
  LAYOUT_FILE,
  MAX_DOCUMENT,
  OciError,
  parseIndex,
} from "../../protocol/oci";
import { SourceError } from "./errors";
import { readRegular } from "./read";

export class Layout {
  private constructor(
    readonly folder: string,
    /** Entries of `index.json`. */
    readonly entries: readonly Descriptor[],
  ) {}

  /** @throws SourceError SOURCE_MISSING, OciError OCI_FORM. */
  static async open(folder: string): Promise<Layout> {
    let found: Stats;
    try {
      found = await stat(folder);
    } catch (cause) {
      throw new SourceError("SOURCE_MISSING", `${folder}: no such OCI layout. Correct the path of the image`, {
        cause,
      });
    }
    if (!found.isDirectory())
      throw new SourceError("SOURCE_MISSING", `${folder}: is a file, an OCI layout is a folder. Unpack it: tar -xf`);
    checkLayoutFile(await document(folder, LAYOUT_FILE), path.join(folder, LAYOUT_FILE));
    const index = await document(folder, INDEX_FILE);
    return new Layout(folder, parseIndex(index, path.join(folder, INDEX_FILE)));
  }

  /** For blobs alone: the index is not read. */
  static at(folder: string): Layout {
    return new Layout(folder, []);
  }

  where(descriptor: Descriptor): string {
    return path.join(this.folder, blobPath(descriptor.digest));
  }

  /** A JSON document, whole. @throws OciError OCI_FORM. */
  async document(descriptor: Descriptor): Promise<Uint8Array> {
    const bytes = await document(this.folder, blobPath(descriptor.digest));
    checkBlob(bytes, descriptor, this.where(descriptor));
    return bytes;
  }

  /** A layer, as it is stored. What was read is good only when the stream ended. @throws OciError OCI_FORM. */
  async *blob(descriptor: Descriptor): AsyncGenerator<Uint8Array> {
    const hash = createHash("sha256");
    for await (const chunk of this.unchecked(descriptor)) {
      hash.update(chunk);
      yield chunk;
    }
    if (hash.digest("hex") !== descriptor.digest) throw wrongBytes(this.where(descriptor));
  }

  /** A layer's bytes, for a reader that hashes them itself. @param reuse as in `readRegular`. @throws OciError OCI_FORM. */
  async *unchecked(descriptor: Descriptor, reuse = false): AsyncGenerator<Uint8Array> {
    const where = this.where(descriptor);
    try {
      yield* readRegular(where, descriptor.size, reuse);
    } catch (cause) {
      throw unreadable(where, cause);
    }
  }
}

export const wrongBytes = (where: string): OciError =>
  new OciError("OCI_FORM", `${where}: not the bytes that its name says. The layout is damaged, make it again`);

async function document(folder: string, name: string): Promise<Uint8Array> {
  const where = path.join(folder, name);
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of readRegular(where)) {
      size += chunk.length;
      if (size > MAX_DOCUMENT) throw new OciError("OCI_FORM", `${where}: longer than ${MAX_DOCUMENT} bytes`);
      chunks.push(chunk);
    }
  } catch (cause) {
    throw unreadable(where, cause);
  }
  return concat(...chunks);
}

function unreadable(where: string, cause: unknown): unknown {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === "ENOENT") return new OciError("OCI_FORM", `${where}: missing. The layout is not complete`, { cause });
  if (code === "ELOOP")
    return new OciError("OCI_FORM", `${where}: is a link. Copy the layout with its links resolved: cp -rL`, { cause });
  if (cause instanceof SourceError)
    return new OciError("OCI_FORM", `${cause.message}. The layout is damaged, make it again`, { cause });
  return cause;
}
