import { existsSync } from "node:fs";
import * as path from "node:path";
import { type ImageSource, removeSealedImage, sealImage } from "../../owner/image";
import { ensureRunnerLayer } from "../../owner/runner-layer";
import { sha256hex } from "../../protocol/crypto";
import { namespaceOf } from "../../protocol/keys";
import { imageKeyPath, isName } from "../../protocol/names";
import { cacheRoot } from "../cache";
import { ownFolder } from "../files";
import { isPushed, push, type RegistryInput, referenceIn, registryProblem, unpush } from "../image-registry";
import { isSigned, keyIdOf, signingKeyProblem, signPushed, unsign } from "../image-signing";
import { missing, openSource, partsOf, pulledSource, sourceDigest, sourceProblem } from "../image-source";
import { type KeysInput, keysField, openKeys } from "../keys";
import { type AtRelyingParty, deleteAt, relyingPartyField } from "../relying-party";
import { sealing } from "../sealing";
import type { Context } from "../server/context";
import type { Definition, Failure } from "../server/definition";
import { ProviderError } from "../server/errors";
import { absolute, checkSource, needSource, sameSource, show, sourceDigestField, sourceField } from "../source";
import { isImageKeyRetired } from "../version/retired";
import { isLive, keepLive } from "./live";

interface Inputs extends AtRelyingParty {
  keys: KeysInput;
  name: string;
  source: ImageSource;
  runner?: string;
  unpinnedRunner?: string;
  registry?: RegistryInput;
  signingKey?: string;
  sourceDigest?: string;
}

interface Outputs {
  digest: string;
  kekId: string;
  reference: string;
  size: number;
  layout: string;
  runner: string;
  env: Record<string, string>;
  signedBy: string;
}

/** Replaced on every change but the signature's: the old image and its key stay until nothing uses them any more. */
export const sealedImage: Definition<Inputs, Outputs> = {
  name: "SealedImage",
  about: "A step image whose layers only attested guests can open, sealed on this machine into an OCI layout.",
  inputs: {
    keys: keysField,
    name: { type: "string", change: "replace", about: "Name of the image: [a-z0-9-], at most 40." },
    source: {
      ...sourceField,
      about:
        'What is sealed: {kind: "folder", path, …}, {kind: "oci-layout", path, …} or {kind: "registry", reference}.',
    },
    runner: {
      type: "string",
      optional: true,
      change: "replace",
      about: "Version of the runner layer. Default: this package's.",
    },
    unpinnedRunner: {
      type: "string",
      optional: true,
      change: "none",
      about: "Reason for other package versions in the runner layer where the pinned ones are served no more.",
    },
    relyingParty: relyingPartyField,
    registry: {
      type: "object",
      optional: true,
      change: "replace",
      about:
        "Where it is pushed: {repository, caFile?, plainHttp?, mountFrom?, deleteManifest?}. Default: it stays in an OCI layout on this machine.",
    },
    signingKey: {
      type: "string",
      optional: true,
      secret: true,
      about: "Private EC key on P-256, PEM, that signs it in the registry as cosign does. Default: unsigned.",
    },
    sourceDigest: sourceDigestField,
  },
  outputs: {
    digest: { type: "string", stable: true, about: "SHA-256 of the sealed manifest." },
    kekId: { type: "string", stable: true, about: "Name of the image's key." },
    reference: { type: "string", stable: true, about: "As a node pulls it, with the digest." },
    size: { type: "number", stable: true, about: "Bytes of all layers." },
    layout: { type: "string", stable: true, about: "The OCI layout, relative to the project." },
    runner: { type: "string", stable: true, about: "Version of the runner layer inside." },
    env: {
      type: "object",
      secret: true,
      stable: true,
      about: "What the image's own config sets, if anything; goes into the bundles of its steps.",
    },
    signedBy: { type: "string", about: "SHA-256 of the public half of the key that signed it; empty: nobody." },
  },

  async check(context, { name, source, registry, signingKey }, olds, pending) {
    const failures: Failure[] = [];
    if (name !== undefined && !isName(name)) {
      failures.push({ property: "name", reason: `"${name}" is not a name: [a-z0-9-], 1 to 40 characters` });
    }
    const wrong = registry === undefined ? undefined : registryProblem(registry);
    if (wrong !== undefined) failures.push({ property: "registry", reason: wrong });
    const unfit =
      signingKey === undefined || pending.has("registry") ? undefined : signingKeyProblem(signingKey, registry);
    if (unfit !== undefined) failures.push({ property: "signingKey", reason: unfit });
    if (source === undefined) return { failures };
    const problem = sourceProblem(source);
    if (problem) return { failures: [...failures, { property: "source", reason: problem }] };
    const opened = openSource(context, source);
    const file = missing(opened) ?? partsOf(opened)[0] ?? context.root;
    const from = olds?.source && partsOf(openSource(context, olds.source));
    const checked = await checkSource(context, file, () => sourceDigest(opened), olds, from);
    return { ...checked, failures: [...failures, ...(checked.failures ?? [])] };
  },

  async create(context, inputs) {
    const opened = openSource(context, inputs.source);
    for (const part of partsOf(opened)) needSource(context, part);
    const { root, facts } = openKeys(context, inputs.keys);
    const name = imageName(inputs);
    const layoutDir = path.join(context.home, "images", name);
    const sealed = await sealing.run(
      context.signal,
      async () => {
        const onProgress = (message: string) => context.log.status(message);
        const runnerLayer = await ensureRunnerLayer({
          cacheDir: cacheRoot(context),
          onProgress,
          ...(inputs.unpinnedRunner === undefined ? {} : { unpinned: inputs.unpinnedRunner }),
        });
        samePinned(inputs.runner, runnerLayer.version);
        const source = await pulledSource(context, opened);
        const { ownerPublicKey } = facts;
        const { signal } = context;
        return {
          ...(await sealImage({ name, source, root, ownerPublicKey, runnerLayer, layoutDir, onProgress, signal })),
          runner: runnerLayer.version,
          pulled: source !== opened,
        };
      },
      () => context.log.status("waits for other sealing to end"),
    );
    const { digest, size, config, runner } = sealed;
    const { registry } = inputs;
    const reference = registry === undefined ? sealed.reference : referenceIn(registry, digest);
    keepLive(reference, imageKeyPath(facts.ns, sealed.kekId));
    // What comes from a registry is part of the digest by its name there.
    const plain = sealed.pulled ? await sourceDigest(opened) : sealed.sourceDigest;
    sameSource(inputs.sourceDigest, plain, show(context, partsOf(opened)[0] ?? context.root));
    if (registry !== undefined) {
      const { sent } = await push(context, registry, { layoutDir, digest });
      context.log.info(`${reference}: pushed, ${Math.ceil(sent / 1024 / 1024)} MiB were not there`);
    }
    const layout = show(context, layoutDir);
    const signedBy = await signed(context, inputs, digest);
    const outputs = { digest, kekId: sealed.kekId, reference, size, layout, runner, env: envOf(config.env), signedBy };
    return { id: reference, outputs };
  },

  /** The signature alone: it is no part of what identities rest on. One of a key that is given no more stays there. */
  async update(context, { outputs }, inputs) {
    return { ...outputs, signedBy: await signed(context, inputs, outputs.digest) };
  },

  drift: ({ inputs, outputs }) => (inputs.signingKey !== undefined && outputs.signedBy === "" ? ["signedBy"] : []),

  async read(context, { inputs, outputs }) {
    const { registry, signingKey } = inputs;
    if (registry !== undefined) {
      if (!(await isPushed(context, registry, outputs.digest))) return undefined;
      const lost = signingKey !== undefined && !(await isSigned(context, registry, outputs.digest, signingKey));
      return lost ? { ...outputs, signedBy: "" } : outputs;
    }
    const manifest = path.join(absolute(context, outputs.layout), "blobs", "sha256", outputs.digest);
    return existsSync(manifest) ? outputs : undefined;
  },

  async delete(context, { id: reference, inputs, outputs }) {
    const key = imageKeyPath(namespaceOf(inputs.keys.fingerprint), outputs.kekId);
    if (isImageKeyRetired(context, inputs.keys.pipelineUid, key)) return;
    if (!isLive(key)) await deleteAt(context, inputs, "the image's key", ({ kbs }) => kbs.deleteResource(key));
    if (isLive(reference)) return;
    if (inputs.registry?.deleteManifest === true) {
      // First the signature: it is found by the image's digest, and a second try finds both.
      if (outputs.signedBy) await unsign(context, inputs.registry, outputs.digest);
      await unpush(context, inputs.registry, outputs.digest);
    }
    await removeSealedImage(ownFolder(context.home, "images", absolute(context, outputs.layout)), outputs.digest);
  },
};

/** @returns whose signature it has then. */
async function signed(context: Context, { registry, signingKey }: Inputs, digest: string): Promise<string> {
  if (registry === undefined || signingKey === undefined) return "";
  await signPushed(context, registry, digest, signingKey);
  return keyIdOf(signingKey);
}

/** One layout for each image of each root: stacks and pipelines of one project share the folder. */
function imageName({ name, keys }: Inputs): string {
  const suffix = sha256hex(`${keys.fingerprint}|${name}`).slice(0, 8);
  return `${name.slice(0, 31).replace(/-+$/, "")}-${suffix}`;
}

/** @throws ProviderError SOURCE */
function samePinned(wanted: string | undefined, made: string): void {
  if (wanted === undefined || wanted === made) return;
  const remedy = `Install the version of sealflow that makes ${wanted}, or set runner: "${made}" (every step gets a new identity)`;
  throw new ProviderError(
    "SOURCE",
    `runner: this version of sealflow makes ${made}, the program pins ${wanted}. ${remedy}`,
  );
}

const envOf = (lines: readonly string[]): Record<string, string> =>
  Object.fromEntries(lines.map((line) => [line.split("=", 1)[0] ?? "", line.slice(line.indexOf("=") + 1)]));
