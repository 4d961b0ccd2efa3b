import { existsSync } from "node:fs";
import * as path from "node:path";
import { digestSource, type ImageSource, removeSealedImage, sealImage } from "../../owner/image";
import { ensureRunnerLayer } from "../../owner/runner-layer";
import { sha256hex } from "../../protocol/crypto";
import { namespaceOf } from "../../protocol/keys";
import { imageKeyPath, isName } from "../../protocol/names";
import { cacheRoot } from "../cache";
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
}

/** Replaced on every change: the old image and its key stay until nothing uses them any more. */
export const sealedImage: Definition<Inputs, Outputs> = {
  name: "SealedImage",
  about: "A step image whose layers only attested guests can open, sealed on this machine into an OCI layout.",
  inputs: {
    keys: keysField,
    name: { type: "string", change: "replace", about: "Name of the image: [a-z0-9-], at most 40." },
    source: { ...sourceField, about: 'What is sealed: {kind: "folder", path, …} or {kind: "oci-layout", path, …}.' },
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
    sourceDigest: sourceDigestField,
  },
  outputs: {
    digest: { type: "string", about: "SHA-256 of the sealed manifest." },
    kekId: { type: "string", about: "Name of the image's key." },
    reference: { type: "string", about: "As a node pulls it, with the digest." },
    size: { type: "number", about: "Bytes of all layers." },
    layout: { type: "string", about: "The OCI layout, relative to the project." },
    runner: { type: "string", about: "Version of the runner layer inside." },
    env: {
      type: "object",
      secret: true,
      about: "What the image's own config sets, if anything; goes into the bundles of its steps.",
    },
  },

  async check(context, { name, source }, olds) {
    const failures: Failure[] = [];
    if (name !== undefined && !isName(name)) {
      failures.push({ property: "name", reason: `"${name}" is not a name: [a-z0-9-], 1 to 40 characters` });
    }
    if (source === undefined) return { failures };
    const problem = sourceProblem(source);
    if (problem) return { failures: [...failures, { property: "source", reason: problem }] };
    const opened = openSource(context, source);
    const checked = await checkSource(context, missing(opened) ?? opened.path, () => digestSource(opened), olds);
    return { ...checked, failures: [...failures, ...(checked.failures ?? [])] };
  },

  async create(context, inputs) {
    const source = openSource(context, inputs.source);
    needSource(context, missing(source) ?? source.path);
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
        const { ownerPublicKey } = facts;
        const { signal } = context;
        return {
          ...(await sealImage({ name, source, root, ownerPublicKey, runnerLayer, layoutDir, onProgress, signal })),
          runner: runnerLayer.version,
        };
      },
      () => context.log.status("waits for other sealing to end"),
    );
    const { digest, reference, size, config, runner } = sealed;
    keepLive(reference, imageKeyPath(facts.ns, sealed.kekId));
    sameSource(inputs.sourceDigest, sealed.sourceDigest, show(context, source.path));
    const layout = show(context, layoutDir);
    const outputs = { digest, kekId: sealed.kekId, reference, size, layout, runner, env: envOf(config.env) };
    return { id: reference, outputs };
  },

  async read(context, { outputs }) {
    const manifest = path.join(absolute(context, outputs.layout), "blobs", "sha256", outputs.digest);
    return existsSync(manifest) ? outputs : undefined;
  },

  async delete(context, { id: reference, inputs, outputs }) {
    const key = imageKeyPath(namespaceOf(inputs.keys.fingerprint), outputs.kekId);
    if (isImageKeyRetired(context, inputs.keys.pipelineUid, key)) return;
    if (!isLive(key)) await deleteAt(context, inputs, "the image's key", ({ kbs }) => kbs.deleteResource(key));
    if (!isLive(reference)) await removeSealedImage(absolute(context, outputs.layout), outputs.digest);
  },
};

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

function openSource(context: Context, source: ImageSource): ImageSource {
  if (source.kind === "oci-layout") return { ...source, path: absolute(context, source.path) };
  const base = source.base === undefined ? {} : { base: absolute(context, source.base) };
  return { ...source, path: absolute(context, source.path), ...base };
}

/** The first part of a source that is not on this machine. */
function missing(source: ImageSource): string | undefined {
  const parts = source.kind === "folder" && source.base ? [source.path, source.base] : [source.path];
  return parts.find((part) => !existsSync(part));
}

function sourceProblem(source: ImageSource): string | undefined {
  const kind = source?.kind;
  if ((kind === "folder" || kind === "oci-layout") && typeof source.path === "string" && source.path !== "") return;
  return 'expected {kind: "folder", path: "…"} or {kind: "oci-layout", path: "…"}';
}

const envOf = (lines: readonly string[]): Record<string, string> =>
  Object.fromEntries(lines.map((line) => [line.split("=", 1)[0] ?? "", line.slice(line.indexOf("=") + 1)]));
