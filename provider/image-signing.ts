/** Signatures of sealed images in the registry, where guests look for them (docs/deploying.md). */
import { createHash, createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { checkImageSignature, cosignPublicKey, signImage } from "../policy";
import { parseRepository } from "../protocol/image-reference";
import { blobPath } from "../protocol/oci";
import { pushImage, RegistryError } from "../untrusted/registry";
import { type RegistryInput, withClient } from "./image-registry";
import type { Context } from "./server/context";

const MAKE = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256";
/** Of a signed text, which has a few hundred. */
const MAX_TEXT = 64 * 1024;

/** For Check. @returns what is wrong with it; never the key. */
export function signingKeyProblem(pem: string, registry: RegistryInput | undefined): string | undefined {
  if (registry === undefined) return "signs what is in a registry, and there is none. Give one, or remove the key";
  try {
    cosignPublicKey(createPrivateKey(pem));
    return undefined;
  } catch {
    return `expected a private EC key on P-256 in PEM, without a passphrase, as \`${MAKE}\` makes`;
  }
}

/** Names the key, to tell whose signature there is: SHA-256 of its public half, 64 hex. */
export function keyIdOf(pem: string): string {
  const half = createPublicKey(createPrivateKey(pem)).export({ format: "der", type: "spki" });
  return createHash("sha256").update(half).digest("hex");
}

/** Puts a new signature beside the image, over one that is there. @param digest 64 hex. @throws RegistryError. */
export async function signPushed(context: Context, registry: RegistryInput, digest: string, pem: string) {
  const { repository } = registry;
  const { tag, manifest, config, layer } = signImage(image(repository, digest), createPrivateKey(pem));
  const layoutDir = await mkdtemp(join(tmpdir(), "sealflow-signature-"));
  try {
    for (const { digest: name, bytes } of [manifest, config, layer]) {
      const file = join(layoutDir, blobPath(hex(name)));
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, bytes);
    }
    const pushed = { layoutDir, digest: hex(manifest.digest), tag };
    await withClient(context, registry, (client) => pushImage(client, parseRepository(repository), pushed));
  } finally {
    await rm(layoutDir, { recursive: true, force: true });
  }
}

/** Whether a guest that trusts the key would take the image. @param digest 64 hex. @throws RegistryError. */
export function isSigned(context: Context, registry: RegistryInput, digest: string, pem: string): Promise<boolean> {
  const { repository } = registry;
  const at = parseRepository(repository);
  return withClient(context, registry, async (client) => {
    try {
      const found = await client.manifest({ ...at, tag: `sha256-${digest}.sig` });
      const layer = signedLayer(found.bytes);
      const { body } = await client.blob(at, hex(layer.digest), 0);
      const bytes: Buffer[] = [];
      let size = 0;
      for await (const chunk of body as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > MAX_TEXT) return false;
        bytes.push(chunk);
      }
      const signature = {
        manifest: blobOf(found.bytes, found.mediaType),
        layer: { ...layer, bytes: Buffer.concat(bytes) },
      };
      checkImageSignature(image(repository, digest), signature, cosignPublicKey(createPrivateKey(pem) as KeyObject));
      return true;
    } catch (error) {
      // An unreadable registry says nothing about the signature; whatever else is wrong with it is no signature.
      if (error instanceof RegistryError && error.code !== "NOT_FOUND") throw error;
      return false;
    }
  });
}

const image = (repository: string, digest: string) => ({ repository, manifestDigest: `sha256:${digest}` });
const hex = (digest: string): string => digest.replace(/^sha256:/, "");
const blobOf = (bytes: Uint8Array, mediaType: string) => ({ bytes, mediaType, digest: "" });

/** @throws Error when it has none. */
function signedLayer(manifest: Uint8Array): { mediaType: string; digest: string } {
  const { layers } = JSON.parse(Buffer.from(manifest).toString("utf8")) as {
    layers?: { mediaType?: string; digest?: string }[];
  };
  const found = layers?.find(({ mediaType }) => mediaType?.includes("simplesigning"));
  if (!/^sha256:[0-9a-f]{64}$/.test(found?.digest ?? "")) throw new Error("no signed layer");
  return found as { mediaType: string; digest: string };
}
