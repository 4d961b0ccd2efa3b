/** The plain image: what a source looks like before anything is added to it. Streams can be read more than once. */

import * as path from "node:path";
import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import type { ImageSource } from "../../model/spec";
import {
  type Descriptor,
  isIndex,
  MEDIA,
  OciError,
  type ProcessConfig,
  parseConfig,
  parseIndex,
  parseManifest,
  selectImage,
  selectPlatform,
} from "../../protocol/oci";
import { quoted } from "../../protocol/quoted";
import { folderEntries, Layout, tar } from "../oci";
import { ImageError } from "./errors";

/** The one platform that confidential guests and the runner layer have. */
export const PLATFORM = { os: "linux", architecture: "amd64" } as const;

export interface PlainLayer {
  /** Names it in errors. */
  readonly label: string;
  /** An uncompressed tar; a chunk is good only until the next is asked for. */
  readonly stream: () => AsyncIterable<Uint8Array>;
  /** Its bytes as far as they are known: about, or fewer when it is compressed. Decides only how it is read. */
  readonly size: number;
  /** SHA-256 of the stream that the source itself claims, hex; undefined when we make the layer. */
  readonly diffId?: string;
  /** The blob whose bytes the stream is, as they are: nobody has checked them against its name. */
  readonly blob?: { readonly digest: string; readonly where: string };
  /** Where a layout's layer comes from. */
  readonly source?: LayerSource;
}

/** Names a layer of a layout; plain data, so that a thread can be given it. */
export interface LayerSource {
  readonly folder: string;
  readonly descriptor: Descriptor;
  /** From 1. */
  readonly number: number;
  readonly diffId: string;
}

export interface PlainImage {
  readonly layers: readonly PlainLayer[];
  readonly process: ProcessConfig;
}

const NO_PROCESS: ProcessConfig = { env: [], entrypoint: [], cmd: [], workingDir: "" };
const DEFAULT_PREFIX = "/app";

/** @throws SourceError, OciError, ImageError. */
export async function openSource(source: ImageSource): Promise<PlainImage> {
  if (source.kind === "registry" || (source.kind === "folder" && source.baseImage !== undefined)) {
    throw new ImageError("IMAGE_LAYOUT", "an image in a registry is pulled into an OCI layout first");
  }
  if (source.kind === "oci-layout") return openLayout(path.resolve(source.path), source.ref);
  const prefix = prefixOf(source.prefix ?? DEFAULT_PREFIX);
  const base = source.base === undefined ? undefined : await openLayout(path.resolve(source.base), source.baseRef);
  const folder = path.resolve(source.path);
  const entries = await folderEntries(folder, prefix, base === undefined);
  const size = entries.reduce((sum, entry) => sum + (entry.type === "file" ? entry.size : 0), 0);
  const layer: PlainLayer = { label: folder, size, stream: () => tar(entries) };
  return { layers: [...(base?.layers ?? []), layer], process: base?.process ?? NO_PROCESS };
}

/** `/app` → `app`. */
function prefixOf(prefix: string): string {
  const inside = prefix.replace(/^\//, "").replace(/\/$/, "");
  const parts = inside.split("/");
  const bad = !prefix.startsWith("/") || (inside !== "" && parts.some((p) => p === "" || p === "." || p === ".."));
  if (bad || prefix.includes("\0"))
    throw new ImageError("IMAGE_PREFIX", `prefix ${quoted(prefix)}: not an absolute path such as "/app"`);
  return inside;
}

async function openLayout(folder: string, ref: string | undefined): Promise<PlainImage> {
  const layout = await Layout.open(folder);
  let image = selectImage(layout.entries, ref, folder);
  if (isIndex(image.mediaType)) {
    const where = layout.where(image);
    image = selectPlatform(parseIndex(await layout.document(image), where), PLATFORM.architecture, where);
  }
  const manifest = parseManifest(await layout.document(image), layout.where(image));
  if (manifest.config.mediaType !== MEDIA.config && manifest.config.mediaType !== MEDIA.dockerConfig)
    throw new OciError("OCI_UNSUPPORTED", `${folder}: holds a ${manifest.config.mediaType}, not a container image`);
  const config = parseConfig(await layout.document(manifest.config), layout.where(manifest.config));
  const { os, architecture, diffIds } = config;
  if (os !== PLATFORM.os || architecture !== PLATFORM.architecture)
    throw new ImageError("IMAGE_PLATFORM", `${folder}: is for ${os}/${architecture}, guests are linux/amd64`);
  if (diffIds.length !== manifest.layers.length)
    throw new OciError("OCI_FORM", `${folder}: ${manifest.layers.length} layers but ${diffIds.length} diff_ids`);
  const layers = manifest.layers.map((descriptor, i) =>
    layoutLayer({ folder, descriptor, number: i + 1, diffId: diffIds[i] as string }),
  );
  return { layers, process: config.process };
}

/** @throws OciError OCI_UNSUPPORTED. */
export function layoutLayer(source: LayerSource): PlainLayer {
  const { folder, descriptor, number, diffId } = source;
  const layout = Layout.at(folder);
  const label = `${folder}: layer ${number}`;
  const stream = uncompressed(layout, descriptor, label);
  const blob = PLAIN.has(descriptor.mediaType)
    ? { blob: { digest: descriptor.digest, where: layout.where(descriptor) } }
    : {};
  return { label, stream, size: descriptor.size, diffId, source, ...blob };
}

const PLAIN: ReadonlySet<string> = new Set([MEDIA.layer, MEDIA.dockerLayer]);
const GZIPPED: ReadonlySet<string> = new Set([MEDIA.layerGzip, MEDIA.dockerLayerGzip]);

function uncompressed(layout: Layout, descriptor: Descriptor, label: string): PlainLayer["stream"] {
  const { mediaType } = descriptor;
  if (PLAIN.has(mediaType)) return () => layout.unchecked(descriptor, true);
  if (GZIPPED.has(mediaType)) return () => gunzip(layout.blob(descriptor), label);
  throw new OciError("OCI_UNSUPPORTED", `${label}: ${refusal(mediaType)}`);
}

function refusal(mediaType: string): string {
  if (mediaType.includes("zstd"))
    return `compressed with zstd, which guests cannot decrypt. Convert it to gzip, such as with: skopeo copy --dest-compress-format gzip`;
  if (mediaType.includes("encrypted")) return "is encrypted already. Give the plain image";
  if (mediaType.includes("nondistributable") || mediaType.includes("foreign"))
    return "is not distributable: its content is elsewhere. Give an image with all layers";
  return `media type ${quoted(mediaType, 100)}, supported are OCI and Docker layers, tar or gzip`;
}

async function* gunzip(compressed: AsyncIterable<Uint8Array>, label: string): AsyncGenerator<Uint8Array> {
  // pipeline hands an error of the blob on to the reader below, and closes the blob when the reader stops early.
  const plain = pipeline(Readable.from(compressed), createGunzip({ chunkSize: 256 * 1024 }), () => {});
  try {
    for await (const chunk of plain as AsyncIterable<Uint8Array>) yield chunk;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (!code?.startsWith("Z_")) throw cause;
    throw new ImageError("IMAGE_LAYER", `${label}: its gzip stream is damaged (${code})`, { cause });
  }
}
