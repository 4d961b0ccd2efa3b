/** What an image is made of, before sealing. */
import { createHash } from "node:crypto";
import { type Readable, Transform } from "node:stream";
import { createGunzip } from "node:zlib";
import { extract, pack } from "tar-stream";
import { jcsDigest } from "../../protocol/canonical";
import {
  addBytes,
  asReadable,
  ImageError,
  type ImageOfLayout,
  listFolder,
  packFolder,
  readImage,
  readStream,
} from "../oci";

export interface FolderSource {
  readonly kind: "folder";
  readonly path: string;
  /** Folder inside the image. Default `/app`. */
  readonly prefix?: string;
  /** OCI layout below it; absent: nothing but the folder. */
  readonly base?: string;
  /** Tag or digest in `base`, when it has several images. */
  readonly baseRef?: string;
}

export interface LayoutSource {
  readonly kind: "oci-layout";
  readonly path: string;
  readonly ref?: string;
}

export type ImageSource = FolderSource | LayoutSource;

export const DEFAULT_PREFIX = "/app";
/** Holds the random-looking bytes of a sealed layer; overwritten by the next layer, means nothing to programs. */
export const SALT_PATH = ".sealflow-salt";

/** One layer before encryption: the same bytes for the same source and salt. */
export interface PlainLayer {
  /** Without salt: identifies the content. */
  readonly content: string;
  /** Uncompressed tar with the salt's entry. */
  open(salt: Uint8Array): Readable;
}

export interface OpenedSource {
  readonly layers: readonly PlainLayer[];
  /** What the image's own config said; it moves into the bundle, since the sealed config is public. */
  readonly config: {
    readonly env: string[];
    readonly entrypoint: string[];
    readonly cmd: string[];
    readonly workingDir: string;
  };
}

const NO_CONFIG = { env: [], entrypoint: [], cmd: [], workingDir: "/" };

/** @param architecture of images taken from an index: `amd64` or `arm64`. @throws ImageError */
export async function openSource(source: ImageSource, architecture: string): Promise<OpenedSource> {
  if (source.kind === "oci-layout") return openLayout(source.path, source.ref, architecture);
  const below = source.base
    ? await openLayout(source.base, source.baseRef, architecture)
    : { layers: [], config: NO_CONFIG };
  return { layers: [...below.layers, await folderLayer(source)], config: below.config };
}

/**
 * Digest of the plaintext, hex: needs no root, so a preview can compute it. Equal exactly when sealing would give the
 * same image under one root.
 */
export async function digestSource(source: ImageSource, architecture = "amd64"): Promise<string> {
  const { layers } = await openSource(source, architecture);
  return jcsDigest({ v: 1, layers: layers.map((layer) => layer.content) });
}

async function folderLayer({ path, prefix = DEFAULT_PREFIX }: FolderSource): Promise<PlainLayer> {
  const entries = await listFolder(path);
  const hash = createHash("sha256");
  for await (const chunk of packFolder(path, entries, prefix)) hash.update(chunk as Buffer);
  return {
    content: hash.digest("hex"),
    open: (salt) => packFolder(path, entries, prefix, [{ path: SALT_PATH, bytes: salt }]),
  };
}

async function openLayout(path: string, ref: string | undefined, architecture: string): Promise<OpenedSource> {
  const image = await readImage(path, ref, architecture);
  const problems = image.manifest.layers.flatMap(({ mediaType }, i) =>
    opener(mediaType) ? [] : [`layer ${i} is ${mediaType}`],
  );
  if (problems.length > 0) {
    throw new ImageError(
      "LAYER_TYPE",
      `${path}: ${problems.join("; ")}; guests open plain and gzip OCI layers only: convert it with \`skopeo copy --format oci --dest-compress-format gzip\``,
    );
  }
  return { layers: image.manifest.layers.map((layer) => layoutLayer(path, layer)), config: configOf(image) };
}

function layoutLayer(layout: string, { mediaType, digest }: { mediaType: string; digest: string }): PlainLayer {
  return {
    content: digest,
    open: (salt) => withSalt(checked(layout, digest), opener(mediaType) ?? (() => new Transform()), salt),
  };
}

/** How to get a plain tar; undefined when there is no way. */
function opener(mediaType: string): (() => Transform) | undefined {
  if (/(?:tar|tar\.gzip|tar\+gzip)$/.test(mediaType) && !mediaType.includes("encrypted")) {
    return mediaType.endsWith("gzip") ? () => createGunzip() : () => pass();
  }
  return undefined;
}

const pass = (): Transform => new Transform({ transform: (chunk, _, done) => done(null, chunk) });

/** The blob's bytes; ends in an error when they are not those of the digest. */
function checked(layout: string, digest: string): Readable {
  const hash = createHash("sha256");
  return readStream(layout, digest).pipe(
    new Transform({
      transform(chunk: Buffer, _, done) {
        hash.update(chunk);
        done(null, chunk);
      },
      flush(done) {
        const same = `sha256:${hash.digest("hex")}` === digest;
        done(
          same ? null : new ImageError("LAYOUT", `${layout}: layer ${digest} has other bytes; make the layout again`),
        );
      },
    }),
  );
}

/** Rewrites a tar with the salt's entry first. Headers stay as they are. */
function withSalt(input: Readable, decompress: () => Transform, salt: Uint8Array): Readable {
  const out = pack();
  const tar = extract();
  tar.on("entry", (header, stream, next) => {
    if (header.name === SALT_PATH) {
      stream.on("end", next).resume();
      return;
    }
    const entry = out.entry(header, (error) => (error ? tar.destroy(error) : next()));
    stream.pipe(entry);
  });
  tar.on("finish", () => out.finalize());
  const fail = (error: Error): void => void out.destroy(error);
  const plain = input.on("error", fail).pipe(decompress()).on("error", fail);
  tar.on("error", fail);
  addBytes(out, { path: SALT_PATH, bytes: salt }).then(() => plain.pipe(tar), fail);
  return asReadable(out);
}

function configOf({ config: { config } }: ImageOfLayout): OpenedSource["config"] {
  return {
    env: config?.Env ?? [],
    entrypoint: config?.Entrypoint ?? [],
    cmd: config?.Cmd ?? [],
    workingDir: config?.WorkingDir || "/",
  };
}
