/**
 * A cosign signature of an image, in the layout that guests look for: an OCI image under the tag `sha256-<digest>.sig` of
 * the same repository, whose layer is the signed text. Source: guest-components image-rs/src/signature, sigstore-rs.
 */
import { createHash, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { base64, fromBase64, utf8 } from "../../protocol/bytes";
import { jcs } from "../../protocol/canonical";
import { PolicyError } from "../errors";
import { isP256 } from "./p256";

const PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json";
const ANNOTATION = "dev.cosignproject.cosign/signature";
const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const CONFIG = "application/vnd.oci.image.config.v1+json";
/** Registry with a repository, no tag: guests match the repository only. */
const REPOSITORY = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(\/[a-z0-9]+([._-]+[a-z0-9]+)*)+$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

export interface SignedImage {
  /** `registry[:port]/repository`. */
  readonly repository: string;
  /** `sha256:<hex>` of the manifest that is signed: of the sealed image, not of the plain one. */
  readonly manifestDigest: string;
}

export interface Blob {
  readonly mediaType: string;
  /** `sha256:<hex>`. */
  readonly digest: string;
  readonly bytes: Uint8Array;
}

/** Push layer and config as blobs, then the manifest under `tag`, all into the image's own repository. */
export interface ImageSignature {
  readonly tag: string;
  readonly manifest: Blob;
  readonly config: Blob;
  readonly layer: Blob;
}

/** @param key EC P-256, private; its public half goes into the key broker as `cosignPublicKey`. @throws PolicyError GUEST_CONFIG. */
export function signImage({ repository, manifestDigest }: SignedImage, key: KeyObject): ImageSignature {
  requireP256(key);
  if (!REPOSITORY.test(repository)) throw refuse(`"${repository}" is not registry/repository, without a tag`);
  if (!DIGEST.test(manifestDigest)) throw refuse(`"${manifestDigest}" is not sha256:<64 hex digits>`);
  const layer = blob(
    PAYLOAD,
    utf8(
      jcs({
        critical: {
          identity: { "docker-reference": repository },
          image: { "docker-manifest-digest": manifestDigest },
          type: "cosign container image signature",
        },
        optional: null,
      }),
    ),
  );
  const config = blob(
    CONFIG,
    utf8(
      jcs({ architecture: "", config: {}, history: [], os: "", rootfs: { diff_ids: [layer.digest], type: "layers" } }),
    ),
  );
  const signature = base64(new Uint8Array(sign("sha256", layer.bytes, key)));
  const manifest = blob(
    MANIFEST,
    utf8(
      jcs({
        schemaVersion: 2,
        mediaType: MANIFEST,
        config: descriptor(config),
        layers: [{ ...descriptor(layer), annotations: { [ANNOTATION]: signature } }],
      }),
    ),
  );
  return { tag: signatureTag(manifestDigest), manifest, config, layer };
}

/** Where guests look for an image's signatures. @param manifestDigest `sha256:<hex>`. */
export const signatureTag = (manifestDigest: string): string => `${manifestDigest.replace(":", "-")}.sig`;

/** Digests, `sha256:<hex>`, of the texts that a manifest holds signatures of: one for each signer. None when it is no manifest. */
export function signedTexts(manifest: Uint8Array): string[] {
  let layers: unknown;
  try {
    ({ layers } = JSON.parse(Buffer.from(manifest).toString("utf8")));
  } catch {
    return [];
  }
  const all: { mediaType?: unknown; digest?: unknown }[] = Array.isArray(layers) ? layers : [];
  return all.flatMap((layer) =>
    layer?.mediaType === PAYLOAD && typeof layer.digest === "string" && DIGEST.test(layer.digest) ? [layer.digest] : [],
  );
}

/** PEM, for the resource that `imagePolicy` names. */
export function cosignPublicKey(key: KeyObject): string {
  requireP256(key);
  const half = key.type === "private" ? createPublicKey(key) : key;
  return half.export({ format: "pem", type: "spki" }).toString();
}

/**
 * What a guest checks, in its order: signature over the layer, repository, digest.
 * @param image as it is pulled. @throws PolicyError GUEST_CONFIG saying which of them fails.
 */
export function checkImageSignature(
  image: SignedImage,
  { manifest, layer }: Pick<ImageSignature, "manifest" | "layer">,
  publicKeyPem: string,
): void {
  type Manifest = { layers?: { mediaType?: string; digest?: string; annotations?: Record<string, string> }[] };
  const { layers = [] } = JSON.parse(Buffer.from(manifest.bytes).toString("utf8")) as Manifest;
  // Several signers of one text are several layers of one digest.
  const signatures = layers
    .filter(({ mediaType, digest }) => mediaType === PAYLOAD && digest === layer.digest)
    .flatMap(({ annotations }) => annotations?.[ANNOTATION] ?? []);
  if (signatures.length === 0 || blob(PAYLOAD, layer.bytes).digest !== layer.digest) throw refuse("no signed layer");
  const key = createPublicKey(publicKeyPem);
  if (!signatures.some((signature) => isOf(key, layer.bytes, signature))) {
    throw refuse("the signature is not of this key");
  }
  const { critical } = JSON.parse(Buffer.from(layer.bytes).toString("utf8"));
  if (critical.identity["docker-reference"] !== image.repository) throw refuse("another repository is signed");
  if (critical.image["docker-manifest-digest"] !== image.manifestDigest) throw refuse("another image is signed");
}

/** Another signer's may be no Base64 at all. */
function isOf(key: KeyObject, signed: Uint8Array, signature: string): boolean {
  try {
    return verify("sha256", signed, key, fromBase64(signature));
  } catch {
    return false;
  }
}

const blob = (mediaType: string, bytes: Uint8Array): Blob => ({
  mediaType,
  digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}`,
  bytes,
});

const descriptor = ({ mediaType, digest, bytes }: Blob) => ({ mediaType, digest, size: bytes.length });

function requireP256(key: KeyObject): void {
  if (!isP256(key)) throw refuse("the key must be EC P-256");
}

const refuse = (why: string): PolicyError => new PolicyError("GUEST_CONFIG", `image signature: ${why}`);
