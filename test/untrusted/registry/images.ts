/** Small images in OCI layouts for tests of registries. */
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sha256hex } from "../../../protocol/crypto";
import { MEDIA } from "../../../protocol/oci";

/** Writes an image of random layers. @returns digest of its manifest. */
export function writeImage(folder: string, layerSizes: readonly number[]): { digest: string; layers: string[] } {
  mkdirSync(join(folder, "blobs", "sha256"), { recursive: true });
  const put = (mediaType: string, bytes: Buffer) => {
    const digest = sha256hex(bytes);
    writeFileSync(join(folder, "blobs", "sha256", digest), bytes);
    return { mediaType, digest: `sha256:${digest}`, size: bytes.length };
  };
  const layers = layerSizes.map((size) => put(MEDIA.layer, randomBytes(size)));
  const config = {
    os: "linux",
    architecture: "amd64",
    rootfs: { type: "layers", diff_ids: layers.map((l) => l.digest) },
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: put(MEDIA.config, Buffer.from(JSON.stringify(config))),
    layers,
  };
  const { digest } = put(MEDIA.manifest, Buffer.from(JSON.stringify(manifest)));
  return { digest: digest.slice(7), layers: layers.map((l) => l.digest.slice(7)) };
}
