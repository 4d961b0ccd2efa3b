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
    fingerprint: { type: "string", stable: true, about: "Public name of the root." },
    generation: { type: "number", stable: true, about: "Generation of the keys, from 1." },
    pipelineUid: { type: "string", stable: true, about: "Self-certifying id of the pipeline, 64 hex digits." },
    ns: { type: "string", stable: true, about: "Namespace of the root in the key broker." },
    ownerPublicKey: { type: "string", stable: true, about: "Ed25519 key that signs bundles and versions, base64url." },
    stackUuid: { type: "string", stable: true, about: "Random id of this deployment, 32 hex digits." },
    root: {
      type: "string",
      stable: true,
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
    failures.push(...sourceProblems(news.source));
    const { stack, pipeline, disposable } = news;
    if (failures.length > 0 || stack === undefined || pipeline === undefined) return { failures };
    const backup = backedUp({ home: context.home, stack, pipeline }) ?? olds?.backup;
    if (olds && backup === undefined && disposable !== true) context.log.warn(NO_BACKUP);
    return { computed: backup === undefined ? {} : { backup } };
  },

  async create(context, inputs) {
    const external = inputs.source !== undefined && inputs.source.kind !== "state";
    const restored = readRestored(place(context, inputs));
    const root = external
      ? loadRoot(rootSource(context, inputs.source, undefined), { env: context.env })
      : restored
        ? parseRoot(restored.root, "restored root")
        : createRoot(randomBytes(32));
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
    (inputs.keyFiles ? writeRoleKeys : removeRoleKeys)(place(context, inputs), root);
    return { ...old.outputs, keyFiles: inputs.keyFiles === true };
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
