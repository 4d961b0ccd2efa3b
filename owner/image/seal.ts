/**
 * Seals an image: runner layer and owner-key layer as they are (public), then each layer of the source encrypted
 * (protocol/ocicrypt.ts). The config is reduced to os, architecture and rootfs. Deterministic: same source, root and
 * runner layer, same digest.
 */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { utf8 } from "../../protocol/bytes";
import { jcs, jcsDigest } from "../../protocol/canonical";
import { fingerprint, kek, kekId, layerKey, layerSalt, namespaceOf, type Root, wrapIv } from "../../protocol/keys";
import { imageKeyPath } from "../../protocol/names";
import { kidOf, LayerSealer, wrapLayer } from "../../protocol/ocicrypt";
import { CONFIG_TYPE, type Descriptor, LayoutWriter, MANIFEST_TYPE, packFiles, TAR_TYPE } from "../oci";
import { digestSource, type ImageSource, type OpenedSource, openSource, type PlainLayer } from "./source";

export interface SealImageOptions {
  /** Name of the image: part of its reference and of the layers' salt. */
  readonly name: string;
  readonly source: ImageSource;
  readonly root: Root;
  /** Raw Ed25519 key of the owner, base64url; the runner trusts it because it is measured with the image. */
  readonly ownerPublicKey: string;
  readonly runnerLayer: RunnerLayerFile;
  /** The OCI layout that is written, replacing what was there. */
  readonly layoutDir: string;
  /** Default `amd64`. */
  readonly architecture?: string;
  readonly onProgress?: (message: string) => void;
}

/** A plain, public tar on disk. */
export interface RunnerLayerFile {
  readonly path: string;
  /** `sha256:<hex>` of the file, which is also its diff_id. */
  readonly digest: string;
  readonly size: number;
}

export interface SealedImage {
  /** SHA-256 of the manifest, 64 hex digits. */
  readonly digest: string;
  readonly kekId: string;
  /** `<ns>.sealflow.local/<name>@sha256:<digest>` */
  readonly reference: string;
  /** Bytes of all layers. */
  readonly size: number;
  /** Of the plaintext, as digestSource gives it. */
  readonly sourceDigest: string;
  readonly config: OpenedSource["config"];
}

const ENCRYPTED = "+encrypted";

/** Where the runner finds the owner's key. */
export const OWNER_FILE = "sealflow-owner/owner.json";

/** @throws ImageError for a source that cannot be sealed; nothing is left behind then. */
export async function sealImage(options: SealImageOptions): Promise<SealedImage> {
  const { name, root, runnerLayer, layoutDir, architecture = "amd64", onProgress = () => {} } = options;
  const ns = namespaceOf(fingerprint(root));
  const source = await openSource(options.source, architecture);
  const layout = await LayoutWriter.begin(layoutDir);
  try {
    onProgress("adding the runner");
    await layout.include(runnerLayer.path, runnerLayer.digest);
    const owner = await ownerLayer(layout, options.ownerPublicKey);
    const plain: Written[] = [];
    for (const [i, layer] of source.layers.entries()) {
      onProgress(`reading layer ${i + 1} of ${source.layers.length}`);
      plain.push(await writePlain(layout, layer, layerSalt(root, name, i), i));
    }
    const publicLayers = [{ mediaType: TAR_TYPE, digest: runnerLayer.digest, size: runnerLayer.size }, owner];
    const id = kekId(root, plainDigest([...publicLayers, ...plain]));
    const wrap = { id, kid: kidOf(imageKeyPath(ns, id)), kek: kek(root, id) };
    const sealed: Descriptor[] = [];
    for (const [i, layer] of plain.entries()) {
      onProgress(`encrypting layer ${i + 1} of ${plain.length}`);
      sealed.push(await encryptLayer(layout, layer, root, wrap));
    }
    const layers = [...publicLayers, ...sealed];
    const diffIds = [...publicLayers, ...plain].map(({ digest }) => digest);
    const config = await layout.putJson(CONFIG_TYPE, {
      architecture,
      os: "linux",
      rootfs: { type: "layers", diff_ids: diffIds },
    });
    const manifest = await layout.putJson(MANIFEST_TYPE, {
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config,
      layers,
    });
    await layout.finish(manifest);
    const digest = manifest.digest.slice("sha256:".length);
    return {
      digest,
      kekId: id,
      reference: `${ns}.sealflow.local/${name}@sha256:${digest}`,
      size: layers.reduce((sum, { size }) => sum + size, 0),
      sourceDigest: await digestSource(options.source, architecture),
      config: source.config,
    };
  } finally {
    await layout.abandon();
  }
}

interface Written extends Descriptor {
  readonly path: string;
}

/** The plaintext tar in a file that only the owner can read; removed after encryption, and with the scratch folder. */
async function writePlain(layout: LayoutWriter, layer: PlainLayer, salt: Uint8Array, index: number): Promise<Written> {
  const path = join(layout.scratch, `plain-${index}`);
  const hash = createHash("sha256");
  let size = 0;
  const tap = async function* (chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      hash.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  };
  await pipeline(layer.open(salt), tap, createWriteStream(path, { mode: 0o600 }));
  return { mediaType: TAR_TYPE, digest: `sha256:${hash.digest("hex")}`, size, path };
}

async function ownerLayer(layout: LayoutWriter, ownerPublicKey: string): Promise<Descriptor> {
  const path = join(layout.scratch, "owner");
  const bytes = utf8(jcs({ ownerPublicKey, v: 1 }));
  const hash = createHash("sha256");
  let size = 0;
  const file = createWriteStream(path, { mode: 0o600 });
  await pipeline(
    packFiles([{ path: OWNER_FILE, bytes }]),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        size += chunk.length;
        yield chunk;
      }
    },
    file,
  );
  const digest = `sha256:${hash.digest("hex")}`;
  await layout.adopt(path, digest);
  return { mediaType: TAR_TYPE, digest, size };
}

/** What the KEK is named after: every layer before encryption, in order. */
const plainDigest = (layers: readonly Descriptor[]): string =>
  jcsDigest({ v: 1, layers: layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })) });

async function encryptLayer(
  layout: LayoutWriter,
  layer: Written,
  root: Root,
  wrap: { id: string; kid: string; kek: Uint8Array },
): Promise<Descriptor> {
  const plaintextDigest = layer.digest.slice("sha256:".length);
  const { key, nonce } = layerKey(root, plaintextDigest, TAR_TYPE);
  const sealer = new LayerSealer(key, nonce);
  const path = `${layer.path}.sealed`;
  await pipeline(
    createReadStream(layer.path, { highWaterMark: 1 << 20 }),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) yield sealer.update(chunk);
    },
    createWriteStream(path, { mode: 0o600, highWaterMark: 1 << 20 }),
  );
  const { hmac, digest, size } = sealer.final();
  await layout.adopt(path, `sha256:${digest}`);
  await rm(layer.path);
  const iv = (optionsDigest: string) => wrapIv(root, wrap.id, optionsDigest);
  return {
    mediaType: TAR_TYPE + ENCRYPTED,
    digest: `sha256:${digest}`,
    size,
    annotations: wrapLayer({ key, nonce, digest: plaintextDigest, hmac, kid: wrap.kid, kek: wrap.kek, iv }),
  };
}
