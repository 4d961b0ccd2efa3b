/** OCI image layout 1.0.0 (source: opencontainers/image-spec image-layout.md), read and written whole. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { chmod, copyFile, link, mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { jcs } from "../../protocol/canonical";
import { ImageError } from "./errors";

export interface Descriptor {
  readonly mediaType: string;
  /** `sha256:<hex>` */
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

export interface Manifest {
  readonly schemaVersion: 2;
  readonly mediaType?: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

export const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";
export const INDEX_TYPE = "application/vnd.oci.image.index.v1+json";
export const CONFIG_TYPE = "application/vnd.oci.image.config.v1+json";
export const TAR_TYPE = "application/vnd.oci.image.layer.v1.tar";
const REF_NAME = "org.opencontainers.image.ref.name";
const MAX_JSON = 8 * 1024 * 1024;

export const blobPath = (layout: string, digest: string): string => {
  const hex = /^sha256:([0-9a-f]{64})$/.exec(digest)?.[1];
  if (!hex) throw new ImageError("LAYOUT", `${layout}: digest ${digest.slice(0, 80)} is not sha256:<hex>`);
  return join(layout, "blobs", "sha256", hex);
};

/** Reads and checks a small blob. @throws ImageError LAYOUT. */
export async function readBlob(layout: string, digest: string): Promise<Buffer> {
  const path = blobPath(layout, digest);
  const found = await stat(path).catch(() => undefined);
  if (!found) throw new ImageError("LAYOUT", `${layout}: blob ${digest} is missing; make the layout again`);
  if (found.size > MAX_JSON) throw new ImageError("LAYOUT", `${layout}: blob ${digest} is too large for JSON`);
  const bytes = await readFile(path);
  if (`sha256:${createHash("sha256").update(bytes).digest("hex")}` !== digest) {
    throw new ImageError("LAYOUT", `${layout}: blob ${digest} has other bytes; make the layout again`);
  }
  return bytes;
}

export interface ImageOfLayout {
  readonly digest: string;
  readonly manifest: Manifest;
  readonly config: {
    readonly os: string;
    readonly architecture: string;
    readonly config?: { Env?: string[]; Entrypoint?: string[]; Cmd?: string[]; WorkingDir?: string };
    readonly rootfs: { readonly diff_ids: readonly string[] };
  };
}

/**
 * The image of a layout.
 * @param ref tag or `sha256:<hex>`; needed only when the layout has several images. @param architecture picks in an index.
 */
export async function readImage(layout: string, ref: string | undefined, architecture: string): Promise<ImageOfLayout> {
  const text = await readFile(join(layout, "index.json"), "utf8").catch(() => {
    throw new ImageError("SOURCE_MISSING", `${layout} is not an OCI layout: it has no index.json; check the path`);
  });
  let manifests = parseJson<{ manifests: Descriptor[] }>(layout, text).manifests ?? [];
  if (ref !== undefined) manifests = manifests.filter((m) => m.digest === ref || m.annotations?.[REF_NAME] === ref);
  if (manifests.length !== 1) {
    const names = manifests.map((m) => m.annotations?.[REF_NAME] ?? m.digest).join(", ");
    throw new ImageError(
      "LAYOUT",
      `${layout}: ${manifests.length} images${ref ? ` called ${ref}` : ""} (${names}); name one with ref`,
    );
  }
  let [chosen] = manifests;
  if (chosen?.mediaType === INDEX_TYPE) {
    const index = parseJson<{ manifests: Descriptor[] }>(layout, (await readBlob(layout, chosen.digest)).toString());
    chosen = index.manifests.find((m) => m.platform?.os === "linux" && m.platform.architecture === architecture);
  }
  if (!chosen) throw new ImageError("LAYOUT", `${layout}: has no image for linux/${architecture}`);
  const manifest = parseJson<Manifest>(layout, (await readBlob(layout, chosen.digest)).toString());
  const config = parseJson<ImageOfLayout["config"]>(
    layout,
    (await readBlob(layout, manifest.config.digest)).toString(),
  );
  return { digest: chosen.digest, manifest, config };
}

function parseJson<T>(layout: string, text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new ImageError("LAYOUT", `${layout}: malformed JSON; make the layout again`);
  }
}

/** A layout in the making, beside its place; `finish` puts it there as a whole. */
export class LayoutWriter {
  private constructor(
    private readonly target: string,
    private readonly work: string,
  ) {}

  static async begin(target: string): Promise<LayoutWriter> {
    const work = join(dirname(target), `.${basename(target)}.${process.pid}.${Date.now().toString(36)}`);
    await mkdir(join(work, "blobs", "sha256"), { recursive: true, mode: 0o700 });
    return new LayoutWriter(target, work);
  }

  /** Where to write a blob whose digest is not known yet; then `adopt`. */
  get scratch(): string {
    return this.work;
  }

  async putJson(mediaType: string, value: unknown): Promise<Descriptor> {
    const bytes = Buffer.from(jcs(value));
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    await writeFile(blobPath(this.work, digest), bytes, { mode: 0o600 });
    return { mediaType, digest, size: bytes.length };
  }

  /** Takes a finished file of this layout's scratch folder. */
  async adopt(path: string, digest: string): Promise<void> {
    await rename(path, blobPath(this.work, digest));
  }

  /** Takes a file that stays where it is: by hard link when possible. */
  async include(path: string, digest: string): Promise<void> {
    const to = blobPath(this.work, digest);
    await link(path, to).catch(() => copyFile(path, to));
  }

  /** Replaces what was at the target. */
  async finish(manifest: Descriptor): Promise<void> {
    await writeFile(join(this.work, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}', { mode: 0o600 });
    const index = { schemaVersion: 2, mediaType: INDEX_TYPE, manifests: [manifest] };
    const file = await open(join(this.work, "index.json"), "w", 0o600);
    await file.writeFile(jcs(index));
    await file.sync();
    await file.close();
    await chmod(this.work, 0o700);
    const old = `${this.work}.old`;
    await rename(this.target, old).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
    await rename(this.work, this.target);
    await rm(old, { recursive: true, force: true });
  }

  /** Removes everything that was written; harmless after `finish`. */
  async abandon(): Promise<void> {
    await rm(this.work, { recursive: true, force: true });
  }
}

export const readStream = (layout: string, digest: string) => createReadStream(blobPath(layout, digest));
