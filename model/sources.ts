/** Where plain content comes from before it is sealed. Nothing is read here. */
import type { FileDataset, FolderImage, OciLayoutImage } from "./spec";

export interface FolderImageOptions {
  /** OCI layout (a folder) that the content is put on top of. @default nothing: the image holds this folder only */
  readonly base?: string | OciLayoutImage;
  /** Folder of the image that gets the content. @default "/app" */
  readonly prefix?: string;
}

export const image = {
  /** The files of a local folder, under `/app` of the image. @param path relative to the Pulumi project */
  folder(path: string, options: FolderImageOptions = {}): FolderImage {
    const { base, prefix } = options;
    const below: { readonly path: string; readonly ref?: string } | undefined =
      typeof base === "string" ? { path: base } : base;
    return {
      kind: "folder",
      path,
      ...(below ? { base: below.path } : {}),
      ...(below?.ref !== undefined ? { baseRef: below.ref } : {}),
      ...(prefix !== undefined ? { prefix } : {}),
    };
  },
  /** An image in an OCI layout, as `skopeo copy … oci:<path>` or `docker buildx build -o type=oci` write it (unpacked). */
  ociLayout(path: string, options: { readonly ref?: string } = {}): OciLayoutImage {
    return { kind: "oci-layout", path, ...(options.ref !== undefined ? { ref: options.ref } : {}) };
  },
};

export const dataset = {
  /** One local file. @param path relative to the Pulumi project */
  file(path: string): FileDataset {
    return { kind: "file", path };
  },
};
