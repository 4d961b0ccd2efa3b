/** Sources to seal, and a reader that does what a guest does: fetch the key, open the layers, unpack. */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { gzipSync } from "node:zlib";
import { extract, type Header, pack } from "tar-stream";
import type { PublicLayer, SealedImage } from "../../../owner/image";
import { concat } from "../../../protocol/bytes";
import { sha256hex } from "../../../protocol/crypto";
import { fingerprint, kek, namespaceOf, type Root } from "../../../protocol/keys";
import { imageKeyPath } from "../../../protocol/names";
import { MEDIA, parseConfig, parseManifest } from "../../../protocol/oci";
import { LayerOpener, pathOfKid, unwrapLayer } from "../../../protocol/ocicrypt";

export const root: Root = { secret: new Uint8Array(32).fill(9), generation: 1 };
export const ownerPublicKey = Buffer.alloc(32, 3).toString("base64url");

const folders: string[] = [];
export function tempFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), "sealflow-image-"));
  folders.push(folder);
  return folder;
}
export const removeTempFolders = (): void => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
};

export function folderWith(files: Record<string, string | Uint8Array>): string {
  const folder = tempFolder();
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), content);
  }
  return folder;
}

/** A small stand-in for the real runner layer: what it holds does not matter to sealing. */
export async function smallRunnerLayer(): Promise<PublicLayer> {
  const bytes = await tarOf([
    { name: "sealflow/", type: "directory" },
    { name: "sealflow/runner.js", content: "run" },
  ]);
  const file = path.join(tempFolder(), "layer.tar");
  writeFileSync(file, bytes);
  return { path: file, digest: sha256hex(bytes), size: bytes.length };
}

export type Member = Partial<Header> & { name: string; content?: string };

export async function tarOf(members: readonly Member[]): Promise<Buffer> {
  const archive = pack();
  for (const { content, ...header } of members) archive.entry({ mtime: new Date(0), ...header }, content ?? "");
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export interface LayoutOptions {
  readonly layers: readonly Buffer[];
  readonly mediaType?: string;
  readonly config?: Record<string, unknown>;
  readonly compress?: boolean;
  readonly diffIds?: readonly string[];
}

/** Writes an OCI layout as a build tool would. */
export function writeLayout({ layers, mediaType, config = {}, compress = true, diffIds }: LayoutOptions): string {
  const folder = tempFolder();
  const blobs = path.join(folder, "blobs", "sha256");
  mkdirSync(blobs, { recursive: true });
  const put = (bytes: Buffer, type: string) => {
    const digest = sha256hex(bytes);
    writeFileSync(path.join(blobs, digest), bytes);
    return { mediaType: type, digest: `sha256:${digest}`, size: bytes.length };
  };
  const type = mediaType ?? (compress ? MEDIA.layerGzip : MEDIA.layer);
  const stored = layers.map((layer) => put(compress ? gzipSync(layer) : layer, type));
  const made = put(
    Buffer.from(
      JSON.stringify({
        architecture: "amd64",
        os: "linux",
        rootfs: { type: "layers", diff_ids: diffIds ?? layers.map((layer) => `sha256:${sha256hex(layer)}`) },
        ...config,
      }),
    ),
    MEDIA.config,
  );
  const manifest = put(
    Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.manifest, config: made, layers: stored })),
    MEDIA.manifest,
  );
  writeFileSync(path.join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  writeFileSync(path.join(folder, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [manifest] }));
  return folder;
}

export const blobOf = (layoutDir: string, digest: string): string => path.join(layoutDir, "blobs", "sha256", digest);

export function manifestOf(layoutDir: string, sealed: SealedImage) {
  return parseManifest(readFileSync(blobOf(layoutDir, sealed.digest)), "manifest");
}

/** Every layer of a sealed image as a guest sees it; throws what a guest would refuse with. */
export function openLayers(layoutDir: string, sealed: SealedImage, by: Root = root): Buffer[] {
  const { config, layers } = manifestOf(layoutDir, sealed);
  const { diffIds } = parseConfig(readFileSync(blobOf(layoutDir, config.digest)), "config");
  return layers.map((layer, i) => {
    const stored = readFileSync(blobOf(layoutDir, layer.digest));
    let plain: Buffer = stored;
    if (layer.mediaType.endsWith("+encrypted")) {
      const opened = unwrapLayer(layer.annotations, (kid) =>
        pathOfKid(kid) === imageKeyPath(namespaceOf(fingerprint(by)), sealed.kekId) ? kek(by, sealed.kekId) : undefined,
      );
      const opener = new LayerOpener(opened);
      plain = Buffer.from(concat(opener.update(stored)));
      opener.final();
    }
    const diffId = createHash("sha256").update(plain).digest("hex");
    if (diffId !== diffIds[i]) throw new Error(`layer ${i}: diff_id differs`);
    return plain;
  });
}

export interface Unpacked {
  readonly header: Header;
  readonly content: Buffer;
}

export async function unpack(layer: Buffer): Promise<Map<string, Unpacked>> {
  const reader = extract({});
  reader.end(layer);
  const members = new Map<string, Unpacked>();
  for await (const entry of reader) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(chunk as Buffer);
    members.set(entry.header.name, { header: entry.header, content: Buffer.concat(chunks) });
  }
  return members;
}
