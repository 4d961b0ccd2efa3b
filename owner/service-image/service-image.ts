/** An image of the runner layer and one bundled service on it. Deterministic: its digest follows from both. */
import { readFile } from "node:fs/promises";
import { concat } from "../../protocol/bytes";
import { sha256hex } from "../../protocol/crypto";
import { MEDIA } from "../../protocol/oci";
import { descriptorJson, exclusively, LayoutWriter, TAR_END, tarFile } from "../oci";
import type { RunnerLayer } from "../runner-layer";

/** Neither root nor anyone of the host. */
const USER = "65532:65532";
const LOADER = ["/sealflow/lib/ld.so", "--library-path", "/sealflow/lib", "/sealflow/bin/node"];

export interface ServiceImageArgs {
  /** Name of the bundle in the image, such as `ledger.js`. */
  readonly entry: string;
  /** The bundle on this machine. */
  readonly bundle: string;
  readonly runnerLayer: RunnerLayer;
  /** `amd64` or `arm64`, as images say it. */
  readonly architecture: string;
  /** OCI layout to write to. */
  readonly layoutDir: string;
}

export interface ServiceImage {
  /** SHA-256 of the manifest. */
  readonly digest: string;
  /** Bytes of all layers. */
  readonly size: number;
}

export async function makeServiceImage(args: ServiceImageArgs): Promise<ServiceImage> {
  const { entry, bundle, runnerLayer, architecture, layoutDir } = args;
  const own = concat(tarFile(`sealflow/${entry}`, await readFile(bundle)), TAR_END);
  const plain = { mediaType: MEDIA.layer, annotations: {} };
  const layers = [
    { ...plain, digest: runnerLayer.digest, size: runnerLayer.size },
    { ...plain, digest: sha256hex(own), size: own.length },
  ] as const;
  const config = {
    architecture,
    os: "linux",
    config: { User: USER, Entrypoint: [...LOADER, `/sealflow/${entry}`], WorkingDir: "/" },
    rootfs: { type: "layers", diff_ids: layers.map(({ digest }) => `sha256:${digest}`) },
  };
  return exclusively(layoutDir, async () => {
    const writer = new LayoutWriter(layoutDir);
    await writer.putFile(runnerLayer.path, layers[0]);
    const file = await writer.newBlob();
    await file.write(own);
    await writer.commit(file, layers[1].digest);
    const configDescriptor = await writer.putDocument(MEDIA.config, config);
    const manifest = await writer.putDocument(MEDIA.manifest, {
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      config: descriptorJson(configDescriptor),
      layers: layers.map(descriptorJson),
    });
    await writer.addImage(manifest);
    return { digest: manifest.digest, size: layers.reduce((sum, { size }) => sum + size, 0) };
  });
}
