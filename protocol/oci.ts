/**
 * OCI image layout, index, manifest and config: constants, and checks of what other tools wrote (sources: OCI image
 * specification 1.1 image-layout.md, image-index.md, manifest.md, config.md, descriptor.md). Bytes in, checked values
 * out; files are read elsewhere. Digests are SHA-256 only and appear as 64 hex, without their prefix.
 */
import { buffer } from "./bytes";
import { sha256hex } from "./crypto";
import { SealflowError } from "./errors";
import { HEX32 } from "./names";
import { quoted } from "./quoted";

export const MEDIA = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  /** Plain tar: what Sealflow writes. */
  layer: "application/vnd.oci.image.layer.v1.tar",
  layerGzip: "application/vnd.oci.image.layer.v1.tar+gzip",
  layerZstd: "application/vnd.oci.image.layer.v1.tar+zstd",
  dockerIndex: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerConfig: "application/vnd.docker.container.image.v1+json",
  dockerLayerGzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
  dockerLayer: "application/vnd.docker.image.rootfs.diff.tar",
} as const;

/** Suffix of an encrypted layer's media type. */
export const ENCRYPTED = "+encrypted";
export const REF_NAME = "org.opencontainers.image.ref.name";
export const LAYOUT_FILE = "oci-layout";
export const INDEX_FILE = "index.json";
/** Content of `oci-layout`. */
export const LAYOUT_VERSION = "1.0.0";
/** Path of a blob inside a layout. @param digest 64 hex. */
export const blobPath = (digest: string): string => `blobs/sha256/${digest}`;

/** JSON documents are read whole, so their size has a limit, bytes. */
export const MAX_DOCUMENT = 4 * 1024 * 1024;
const MAX_LAYERS = 1000;

/**
 * Append only. OCI_FORM: a document is not of its form, or not the one its digest names. OCI_REF: the layout has no such
 * image, or several and none was named. OCI_UNSUPPORTED: a valid form that is not supported; the message says which.
 */
export type OciCode = "OCI_FORM" | "OCI_REF" | "OCI_UNSUPPORTED";
export class OciError extends SealflowError<OciCode> {}

export interface Descriptor {
  readonly mediaType: string;
  /** 64 hex. */
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  readonly annotations: Readonly<Record<string, string>>;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

export interface Manifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

export interface ImageConfig {
  readonly os: string;
  readonly architecture: string;
  /** SHA-256 of the uncompressed layers, 64 hex, lowest first. */
  readonly diffIds: readonly string[];
  readonly process: ProcessConfig;
}

/** What a container starts, as the image's maker wrote it. */
export interface ProcessConfig {
  /** `NAME=value`. */
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** "" when none is set. */
  readonly workingDir: string;
}

/** @param where names the document in errors. @throws OciError OCI_FORM or OCI_UNSUPPORTED. */
export function parseIndex(bytes: Uint8Array, where: string): readonly Descriptor[] {
  const at = new Place(where);
  const index = at.document(bytes);
  return at.list(index, "manifests", MAX_LAYERS).map((entry, i) => descriptor(entry, at.in(`manifests[${i}]`)));
}

/** @throws OciError OCI_FORM or OCI_UNSUPPORTED. */
export function parseManifest(bytes: Uint8Array, where: string): Manifest {
  const at = new Place(where);
  const manifest = at.document(bytes);
  const layers = at.list(manifest, "layers", MAX_LAYERS);
  return {
    config: descriptor(at.field(manifest, "config"), at.in("config")),
    layers: layers.map((entry, i) => descriptor(entry, at.in(`layers[${i}]`))),
  };
}

/** @throws OciError OCI_FORM or OCI_UNSUPPORTED. */
export function parseConfig(bytes: Uint8Array, where: string): ImageConfig {
  const at = new Place(where);
  const config = at.document(bytes);
  const diffIds = at.in("rootfs").list(at.field(config, "rootfs"), "diff_ids", MAX_LAYERS);
  const made = at.field(config, "config") ?? {};
  const process = at.in("config");
  return {
    os: at.text(config, "os"),
    architecture: at.text(config, "architecture"),
    diffIds: diffIds.map((id, i) => digestOf(id, at.in(`rootfs.diff_ids[${i}]`))),
    process: {
      env: process.texts(made, "Env"),
      entrypoint: process.texts(made, "Entrypoint"),
      cmd: process.texts(made, "Cmd"),
      workingDir: process.optionalText(made, "WorkingDir") ?? "",
    },
  };
}

/** @throws OciError OCI_FORM when a layout is of another version. */
export function checkLayoutFile(bytes: Uint8Array, where: string): void {
  const at = new Place(where);
  const version = at.text(at.document(bytes), "imageLayoutVersion");
  if (version !== LAYOUT_VERSION) throw at.error(`layout version ${short(version)}, expected ${LAYOUT_VERSION}`);
}

/**
 * The image of an index. @param ref a tag (`org.opencontainers.image.ref.name`), or `sha256:…` of an entry.
 * Without `ref` there must be one image only. Attestation entries that build tools add are no images.
 * @throws OciError OCI_REF.
 */
export function selectImage(entries: readonly Descriptor[], ref: string | undefined, where: string): Descriptor {
  const images = entries.filter(
    (e) => e.platform?.os !== "unknown" && (isManifest(e.mediaType) || isIndex(e.mediaType)),
  );
  const names = images.map((e) => e.annotations[REF_NAME] ?? `sha256:${e.digest}`).join(", ") || "none";
  const found =
    ref === undefined ? images : images.filter((e) => e.annotations[REF_NAME] === ref || `sha256:${e.digest}` === ref);
  const digests = new Set(found.map((e) => e.digest));
  const [image] = found;
  if (image && digests.size === 1) return image;
  if (ref === undefined)
    throw new OciError("OCI_REF", `${where}: ${digests.size} images (${names}): name one of them as ref`);
  throw new OciError("OCI_REF", `${where}: ${digests.size} images are called ${short(ref)}; there are ${names}`);
}

/** The entry of a multi-platform index. @throws OciError OCI_REF. */
export function selectPlatform(entries: readonly Descriptor[], architecture: string, where: string): Descriptor {
  const platforms = entries.filter((e) => isManifest(e.mediaType) && e.platform && e.platform.os !== "unknown");
  const found = platforms.filter((e) => e.platform?.os === "linux" && e.platform.architecture === architecture);
  if (found[0] && found.length === 1) return found[0];
  const there = platforms.map((e) => `${e.platform?.os}/${e.platform?.architecture}`).join(", ") || "none";
  throw new OciError("OCI_REF", `${where}: ${found.length} images for linux/${architecture}; there are ${there}`);
}

export const isIndex = (mediaType: string): boolean => mediaType === MEDIA.index || mediaType === MEDIA.dockerIndex;
export const isManifest = (mediaType: string): boolean =>
  mediaType === MEDIA.manifest || mediaType === MEDIA.dockerManifest;

/** @throws OciError OCI_FORM when the bytes are not those of the descriptor. */
export function checkBlob(bytes: Uint8Array, { digest, size }: Descriptor, where: string): void {
  if (bytes.length !== size || sha256hex(bytes) !== digest)
    throw new OciError("OCI_FORM", `${where}: not the bytes that sha256:${digest} names. The layout is damaged`);
}

function descriptor(value: unknown, at: Place): Descriptor {
  const platform = at.field(value, "platform");
  return {
    mediaType: at.text(value, "mediaType"),
    digest: digestOf(at.field(value, "digest"), at.in("digest")),
    size: at.count(value, "size"),
    annotations: at.map(value, "annotations"),
    ...(platform === undefined || platform === null
      ? {}
      : {
          platform: {
            os: at.in("platform").text(platform, "os"),
            architecture: at.in("platform").text(platform, "architecture"),
          },
        }),
  };
}

function digestOf(value: unknown, at: Place): string {
  if (typeof value !== "string") throw at.error("expected a digest");
  const [algorithm, hex, more] = value.split(":");
  if (algorithm === "sha256" && hex !== undefined && HEX32.test(hex) && more === undefined) return hex;
  if (algorithm === "sha512") throw new OciError("OCI_UNSUPPORTED", `${at.where}: sha512 digest, only sha256`);
  throw at.error(`${short(value)} is not sha256:<64 hex>`);
}

const short = (text: string): string => quoted(text, 100);

/** Reads fields of foreign JSON; fields that nobody asks for are left alone, as the specification demands. */
class Place {
  constructor(readonly where: string) {}

  in(part: string): Place {
    return new Place(`${this.where}: ${part}`);
  }

  error(found: string): OciError {
    return new OciError("OCI_FORM", `${this.where}: ${found}`);
  }

  document(bytes: Uint8Array): unknown {
    if (bytes.length > MAX_DOCUMENT) throw this.error(`${bytes.length} bytes, at most ${MAX_DOCUMENT}`);
    try {
      return JSON.parse(buffer(bytes).toString("utf8"));
    } catch {
      throw this.error("not JSON");
    }
  }

  field(value: unknown, name: string): unknown {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw this.error("expected an object");
    return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
  }

  text(value: unknown, name: string): string {
    const found = this.optionalText(value, name);
    if (found === undefined) throw this.error(`${name} is missing`);
    return found;
  }

  optionalText(value: unknown, name: string): string | undefined {
    const found = this.field(value, name) ?? undefined;
    if (found !== undefined && typeof found !== "string") throw this.error(`${name} is not text`);
    return found;
  }

  count(value: unknown, name: string): number {
    const found = this.field(value, name);
    if (!Number.isSafeInteger(found) || (found as number) < 0) throw this.error(`${name} is not a number of bytes`);
    return found as number;
  }

  list(value: unknown, name: string, max: number): unknown[] {
    const found = this.field(value, name);
    if (!Array.isArray(found)) throw this.error(`${name} is not a list`);
    if (found.length > max) throw this.error(`${name} has ${found.length} entries, at most ${max}`);
    return found;
  }

  texts(value: unknown, name: string): string[] {
    if ((this.field(value, name) ?? undefined) === undefined) return [];
    return this.list(value, name, 10_000).map((entry) => {
      if (typeof entry !== "string") throw this.error(`${name} is not a list of texts`);
      return entry;
    });
  }

  map(value: unknown, name: string): Record<string, string> {
    const found = this.field(value, name) ?? {};
    if (typeof found !== "object" || found === null || Array.isArray(found)) throw this.error(`${name} is not a map`);
    const entries = Object.entries(found);
    if (entries.some(([key, entry]) => typeof entry !== "string" || key === "__proto__"))
      throw this.error(`${name} is not a map of texts`);
    return Object.fromEntries(entries);
  }
}
