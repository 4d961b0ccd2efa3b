import { randomBytes } from "node:crypto";
import { backedUp, readRestored, removeRestored } from "../../owner/backup";
import { createRoot, formatRoot, KeyError, loadRoot, parseRoot, publicFacts } from "../../owner/keys";
import type { Root } from "../../protocol/keys";
import { isName } from "../../protocol/names";
import { type KeySource, rootSource } from "../keys";
import type { Context } from "../server/context";
import type { Definition, Failure } from "../server/definition";
import { hasRoleKeys, removeRoleKeys, writeRoleKeys } from "./role-keys";

interface Inputs {
  pipeline: string;
  stack: string;
  source?: KeySource;
  generation?: number;
  keyFiles?: boolean;
  disposable?: boolean;
  backup?: string;
}

interface Outputs {
  pipeline: string;
  stack: string;
  fingerprint: string;
  generation: number;
  pipelineUid: string;
  ns: string;
  ownerPublicKey: string;
  recipientKey?: string;
  stackUuid: string;
  root: string;
  keyFiles: boolean;
}

export const pipelineKeys: Definition<Inputs, Outputs> = {
  name: "PipelineKeys",
  about: "The root secret of one pipeline and what follows from it: its id, namespace and public owner key.",
  inputs: {
    pipeline: { type: "string", change: "replace", about: "Name of the pipeline: [a-z0-9-], at most 40." },
    stack: { type: "string", change: "replace", about: "Name of the stack: [a-z0-9-], at most 40." },
    source: {
      type: "object",
      optional: true,
      change: "replace",
      about:
        'Where the root lives: {kind: "state"} (default, minted here), {kind: "file", path} or {kind: "env", variable}.',
    },
    generation: {
      type: "number",
      optional: true,
      about:
        "Generation of the keys: count it up to rotate every key but the owner's own. Never goes back. Default: the root's, 1.",
    },
    keyFiles: {
      type: "boolean",
      optional: true,
      about: "Write the run key and the release key to .sealflow/keys/<stack>/, 0600. Default: false.",
    },
    disposable: {
      type: "boolean",
      optional: true,
      about: "Keys for trying things out: nothing reminds of a backup. Default: false.",
    },
    backup: {
      type: "string",
      optional: true,
      computed: true,
      about: "Fingerprint of the root of which `sealflow keys backup` made a backup.",
    },
  },
  outputs: {
    pipeline: { type: "string", stable: true, about: "Name of the pipeline." },
    stack: { type: "string", stable: true, about: "Name of the stack." },
    fingerprint: { type: "string", about: "Public name of the root." },
    generation: { type: "number", about: "Generation of the keys, from 1." },
    pipelineUid: { type: "string", stable: true, about: "Self-certifying id of the pipeline, 64 hex digits." },
    ns: { type: "string", about: "Namespace of the root in the key broker." },
    ownerPublicKey: { type: "string", stable: true, about: "Ed25519 key that signs bundles and versions, base64url." },
    recipientKey: { type: "string", about: "X25519 key of this pipeline as a recipient of other pipelines' releases." },
    stackUuid: { type: "string", stable: true, about: "Random id of this deployment, 32 hex digits." },
    root: {
      type: "string",
      secret: true,
      about: "The root secret; empty when it lives outside the state.",
    },
    keyFiles: { type: "boolean", about: "Whether the key files were found as they should be." },
  },

  async check(context, news, olds) {
    const failures: Failure[] = [];
    for (const property of ["pipeline", "stack"] as const) {
      const value = news[property];
      if (value !== undefined && !isName(value)) {
        const reason = `"${value}" is not a name: lower-case letters, digits and inner hyphens, 1 to 40 characters`;
        failures.push({ property, reason });
      }
    }
    failures.push(...sourceProblems(news.source), ...generationProblems(news.generation, olds?.generation));
    const { stack, pipeline, disposable } = news;
    if (failures.length > 0 || stack === undefined || pipeline === undefined) return { failures };
    const backup = backedUp({ home: context.home, stack, pipeline }) ?? olds?.backup;
    if (olds && backup === undefined && disposable !== true) context.log.warn(NO_BACKUP);
    return { computed: backup === undefined ? {} : { backup } };
  },

  async create(context, inputs) {
    const external = inputs.source !== undefined && inputs.source.kind !== "state";
    const restored = readRestored(place(context, inputs));
    const found = external
      ? loadRoot(rootSource(context, inputs.source, undefined), { env: context.env })
      : restored
        ? parseRoot(restored.root, "restored root")
        : createRoot(randomBytes(32));
    const root = { ...found, generation: inputs.generation ?? found.generation };
    const facts = publicFacts(root, restored?.stackUuid ?? randomBytes(16).toString("hex"), inputs.pipeline);
    if (restored && facts.pipelineUid !== restored.pipelineUid) {
      throw new KeyError(
        "KEY_OTHER",
        `the restored keys are of pipeline ${restored.pipelineUid.slice(0, 12)}, and the root that \`source\` names is another. ` +
          "Put the restored root there (`sealflow keys restore --out <file>`)",
      );
    }
    if (inputs.keyFiles) writeRoleKeys(place(context, inputs), root);
    const outputs: Outputs = {
      pipeline: inputs.pipeline,
      stack: inputs.stack,
      fingerprint: facts.fingerprint,
      generation: facts.generation,
      pipelineUid: facts.pipelineUid,
      ns: facts.ns,
      ownerPublicKey: facts.ownerPublicKey,
      recipientKey: facts.recipientKey,
      stackUuid: facts.stackUuid,
      root: external ? "" : formatRoot(root),
      keyFiles: inputs.keyFiles === true,
    };
    if (restored) {
      context.log.info(`adopted the restored keys of ${inputs.pipeline}: the same pipeline as before`);
      removeRestored(place(context, inputs));
    }
    return { id: facts.pipelineUid, outputs };
  },

  async update(context, old, inputs) {
    const root = rootOf(context, old.inputs, old.outputs);
    const next = { ...root, generation: inputs.generation ?? old.outputs.generation };
    (inputs.keyFiles ? writeRoleKeys : removeRoleKeys)(place(context, inputs), next);
    return { ...old.outputs, ...rotated(old.outputs, next), keyFiles: inputs.keyFiles === true };
  },

  /** With the root at hand everything that a rotation changes is known; else it is shown as unknown. */
  preview(old, inputs) {
    const { generation = old.outputs.generation } = inputs;
    const { fingerprint, ns, root, recipientKey = "" } = old.outputs;
    if (generation === old.outputs.generation) return { fingerprint, generation, ns, root, recipientKey };
    if (root === "") return { generation };
    return rotated(old.outputs, { ...parseRoot(root, "root secret in the stack's state"), generation });
  },

  drift: ({ inputs, outputs }) => (inputs.keyFiles === true && outputs.keyFiles === false ? ["keyFiles"] : []),

  async read(context, old) {
    if (!old.inputs.keyFiles) return old.outputs;
    const root = rootOf(context, old.inputs, old.outputs);
    return { ...old.outputs, keyFiles: hasRoleKeys(place(context, old.inputs), root) };
  },

  async delete(context, old) {
    if (!old.inputs.keyFiles) return;
    try {
      removeRoleKeys(place(context, old.inputs), rootOf(context, old.inputs, old.outputs));
    } catch (error) {
      if (!(error instanceof KeyError)) throw error;
      context.log.warn(`leaves the key files of ${old.inputs.pipeline} in .sealflow/keys: ${error.message}`);
    }
  },
};

const NO_BACKUP =
  "these keys have no backup: whoever loses Pulumi's state or the root loses what was sealed. " +
  "Run `sealflow keys new recovery.jwk`, keep that file elsewhere, then `sealflow keys backup --to <its public key>`";

/** What another generation of the same secret changes. */
function rotated({ stackUuid, pipeline, root: text }: Outputs, root: Root) {
  const { fingerprint, generation, ns, recipientKey } = publicFacts(root, stackUuid, pipeline);
  return { fingerprint, generation, ns, recipientKey, root: text === "" ? "" : formatRoot(root) };
}

function generationProblems(generation: number | undefined, before = 1): Failure[] {
  if (generation === undefined && before === 1) return [];
  const wrong = (reason: string) => [{ property: "generation", reason }];
  if (generation === undefined)
    return wrong(
      `missing, and it was ${before}. Write ${before}, or ${before + 1} to rotate; after \`sealflow keys rotate\` it stands in the stack's configuration`,
    );
  if (!Number.isInteger(generation) || generation < 1 || generation > 999_999) {
    return wrong(`${generation} is no generation. Count up from 1`);
  }
  if (generation < before)
    return wrong(`${generation} is older than ${before}, and keys never go back. Write ${before}`);
  return [];
}

const place = (context: Context, { stack, pipeline }: Inputs) => ({ home: context.home, stack, pipeline });

const rootOf = (context: Context, inputs: Inputs, outputs: Outputs): Root =>
  loadRoot(rootSource(context, inputs.source, outputs.root), {
    expected: { fingerprint: outputs.fingerprint, generation: outputs.generation },
    env: context.env,
  });

function sourceProblems(source: KeySource | undefined): Failure[] {
  if (source === undefined || source.kind === "state") return [];
  if (source.kind === "file" && typeof source.path === "string" && source.path !== "") return [];
  if (source.kind === "env" && (source.variable === undefined || /^[A-Za-z_]\w*$/.test(source.variable))) return [];
  const wanted = '{kind: "state"}, {kind: "file", path: "…"} or {kind: "env", variable: "…"}';
  return [{ property: "source", reason: `expected ${wanted}` }];
}
