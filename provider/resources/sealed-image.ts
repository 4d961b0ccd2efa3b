import { existsSync, rmSync } from "node:fs";
import * as path from "node:path";
import { digestSource, type ImageSource, sealImage } from "../../owner/image";
import { kekId, namespaceOf, type Root } from "../../protocol/keys";
import { imageKeyPath, isName } from "../../protocol/names";
import { cacheRoot } from "../cache";
import { type KeysInput, keysField, openKeys } from "../keys";
import { deleteAt } from "../relying-party";
import { sealing } from "../sealing";
import type { Context } from "../server/context";
import type { Definition, Failure } from "../server/definition";
import { absolute, checkSource, needSource, sameSource, show, sourceDigestField, sourceField } from "../source";
import { isImageKeyRetired } from "../version/retired";
import { isLive, keepLive } from "./live";

interface Inputs {
  keys: KeysInput;
  name: string;
  source: ImageSource;
  runner?: string;
  sourceDigest?: string;
}

interface Outputs {
  digest: string;
  kekId: string;
  reference: string;
  size: number;
  layout: string;
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
    runner: { type: "string", optional: true, change: "replace", about: "Version of the runner layer." },
    sourceDigest: sourceDigestField,
  },
  outputs: {
    digest: { type: "string", about: "SHA-256 of the sealed manifest." },
    kekId: { type: "string", about: "Name of the image's key." },
    reference: { type: "string", about: "As a node pulls it, with the digest." },
    size: { type: "number", about: "Bytes of all layers." },
    layout: { type: "string", about: "The OCI layout, relative to the project." },
    env: {
      type: "object",
      secret: true,
      about: "What the image's own config set; goes into the bundles of its steps.",
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
    const name = imageName(root, inputs);
    const layoutDir = path.join(context.home, "images", name);
    keepLive(layoutDir);
    const sealed = await sealing.run(
      context.signal,
      async () => {
        const onProgress = (message: string) => context.log.status(message);
        // Late: most calls of the plugin seal nothing.
        const { ensureRunnerLayer } = await import("../../owner/runner-layer");
        const runnerLayer = await ensureRunnerLayer({ cacheDir: cacheRoot(context), onProgress });
        const { ownerPublicKey } = facts;
        return sealImage({ name, source, root, ownerPublicKey, runnerLayer, layoutDir, onProgress });
      },
      () => context.log.status("waits for other sealing to end"),
    );
    sameSource(inputs.sourceDigest, sealed.sourceDigest, source.path);
    const { digest, reference, size, config } = sealed;
    keepLive(imageKeyPath(facts.ns, sealed.kekId));
    const layout = show(context, layoutDir);
    return { id: reference, outputs: { digest, kekId: sealed.kekId, reference, size, layout, env: envOf(config.env) } };
  },

  async read(context, { outputs }) {
    return existsSync(path.join(absolute(context, outputs.layout), "index.json")) ? outputs : undefined;
  },

  async delete(context, { inputs, outputs }) {
    const key = imageKeyPath(namespaceOf(inputs.keys.fingerprint), outputs.kekId);
    if (isImageKeyRetired(context, inputs.keys.pipelineUid, key)) return;
    if (!isLive(key)) await deleteAt(context, "the image's key", ({ kbs }) => kbs.deleteResource(key));
    const layout = absolute(context, outputs.layout);
    if (!isLive(layout)) rmSync(layout, { recursive: true, force: true });
  },
};

/**
 * Content of one name never changes, so an old image stays whole beside the new one. The suffix is keyed: it follows
 * from the content, and confirms no guess about it.
 */
function imageName(root: Root, { name, sourceDigest, runner }: Inputs): string {
  const suffix = kekId(root, `image-name|${name}|${sourceDigest}|${runner ?? ""}`).slice(0, 8);
  return `${name.slice(0, 31).replace(/-+$/, "")}-${suffix}`;
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
