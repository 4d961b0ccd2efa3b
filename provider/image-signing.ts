/** Signatures of sealed images in the registry, where guests look for them (docs/deploying.md). */
import { createPrivateKey, createPublicKey } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  checkImageSignature,
  cosignPublicKey,
  type SignedImage,
  signatureTag,
  signedTexts,
  signImage,
} from "../policy";
import { sha256hex } from "../protocol/crypto";
import { parseRepository } from "../protocol/image-reference";
import { blobPath } from "../protocol/oci";
import { pushImage, RegistryError } from "../untrusted/registry";
import { type RegistryInput, withClient } from "./image-registry";
import type { Context } from "./server/context";

const MAKE = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256";

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
  return sha256hex(half);
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
  const signed = image(repository, digest);
  const key = cosignPublicKey(createPrivateKey(pem));
  return withClient(context, registry, async (client) => {
    const manifest = await unlessMissing(client.manifest({ ...at, tag: signatureTag(signed.manifestDigest) }));
    if (!manifest) return false;
    // Others may have signed it, too.
    for (const name of new Set(signedTexts(manifest.bytes))) {
      const bytes = await unlessMissing(client.document(at, hex(name)));
      if (bytes && isOf(key, signed, manifest.bytes, { name, bytes })) return true;
    }
    return false;
  });
}

/** Takes away what `signPushed` put there. Not there is fine. @param digest 64 hex. @throws RegistryError. */
export function unsign(context: Context, registry: RegistryInput, digest: string): Promise<void> {
  const at = parseRepository(registry.repository);
  return withClient(context, registry, async (client) => {
    const tag = signatureTag(`sha256:${digest}`);
    const manifest = await unlessMissing(client.manifest({ ...at, tag }));
    if (manifest) await client.deleteManifest(at, manifest.digest);
  });
}

/** What is not there, or is not what its name says, is no signature; a registry that does not answer says nothing of it. */
async function unlessMissing<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof RegistryError && (error.code === "NOT_FOUND" || error.code === "CONTENT")) return undefined;
    throw error;
  }
}

function isOf(
  publicKeyPem: string,
  signed: SignedImage,
  manifest: Uint8Array,
  text: { readonly name: string; readonly bytes: Uint8Array },
): boolean {
  const part = (digest: string, bytes: Uint8Array) => ({ mediaType: "", digest, bytes });
  try {
    checkImageSignature(signed, { manifest: part("", manifest), layer: part(text.name, text.bytes) }, publicKeyPem);
    return true;
  } catch {
    return false;
  }
}

const image = (repository: string, digest: string): SignedImage => ({ repository, manifestDigest: `sha256:${digest}` });
const hex = (digest: string): string => digest.replace(/^sha256:/, "");
