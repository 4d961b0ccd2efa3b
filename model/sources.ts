/** Where plain content comes from before it is sealed. Nothing is read here. */
import type { FileDataset, FolderImage, OciLayoutImage, RegistryImage } from "./spec";

export interface FolderImageOptions {
  /**
   * What the content is put on top of: an OCI layout (a folder), or `image.registry(…)`.
   * @default nothing: the image holds this folder only
   */
  readonly base?: string | OciLayoutImage | RegistryImage;
  /** Folder of the image that gets the content. @default "/app" */
  readonly prefix?: string;
}

export const image = {
  /** The files of a local folder, under `/app` of the image. @param path relative to the Pulumi project */
  folder(path: string, options: FolderImageOptions = {}): FolderImage {
    const { base, prefix } = options;
    const inRegistry = typeof base === "object" && base.kind === "registry" ? { baseImage: base.reference } : {};
    const below: { readonly path: string; readonly ref?: string } | undefined =
      typeof base === "string" ? { path: base } : base?.kind === "oci-layout" ? base : undefined;
    return {
      kind: "folder",
      path,
      ...inRegistry,
      ...(below ? { base: below.path } : {}),
      ...(below?.ref !== undefined ? { baseRef: below.ref } : {}),
      ...(prefix !== undefined ? { prefix } : {}),
    };
  },
  /** An image in an OCI layout, as `skopeo copy … oci:<path>` or `docker buildx build -o type=oci` write it (unpacked). */
  ociLayout(path: string, options: { readonly ref?: string } = {}): OciLayoutImage {
    return { kind: "oci-layout", path, ...(options.ref !== undefined ? { ref: options.ref } : {}) };
  },
  /**
   * An image of a registry, pulled when it is sealed, with the logins that Docker and Podman keep.
   * @param reference `host/repository@sha256:…`; `docker.io/library/…` in full. An index's digest means its linux/amd64 image.
   */
  registry(reference: string): RegistryImage {
    return { kind: "registry", reference };
  },
};

export const dataset = {
  /** One local file. @param path relative to the Pulumi project */
  file(path: string): FileDataset {
    return { kind: "file", path };
  },
};
