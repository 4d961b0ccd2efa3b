/** How a resource gets the root secret: out of Pulumi's encrypted state, or from outside at the moment of use. */
import * as path from "node:path";
import { loadRoot, type PublicFacts, publicFacts, type RootSource } from "../owner/keys";
import type { Root } from "../protocol/keys";
import type { Context } from "./server/context";
import type { InputField } from "./server/definition";
import { ProviderError } from "./server/errors";

/** Where a root lives. `path` is relative to the project; `variable` defaults to SEALFLOW_ROOT. */
export type KeySource = { kind: "state" } | { kind: "file"; path: string } | { kind: "env"; variable?: string };

/** The input `keys` of every resource that seals or signs. */
export interface KeysInput {
  pipeline: string;
  stack: string;
  fingerprint: string;
  generation: number;
  pipelineUid: string;
  stackUuid: string;
  /** Absent: state. */
  source?: KeySource;
  /** Text form, a secret; only when the source is `state`. */
  root?: string;
}

export const keysField = {
  type: "object",
  change: "replace",
  about: "Keys of the pipeline: `reference` of its PipelineKeys.",
} as const satisfies InputField;

export interface Keys {
  readonly root: Root;
  readonly facts: PublicFacts;
}

/** @throws KeyError when the root is missing, or not the one that the stack was deployed with. */
export function openKeys(context: Context, input: KeysInput): Keys {
  const { fingerprint, generation } = input;
  const source = rootSource(context, input.source, input.root);
  const root = loadRoot(source, { expected: { fingerprint, generation }, env: context.env });
  return { root, facts: publicFacts(root, input.stackUuid, input.pipeline) };
}

/** @param text of the root, when it is in the state. */
export function rootSource(context: Context, source: KeySource | undefined, text: string | undefined): RootSource {
  if (source?.kind === "file") return { source: "file", path: path.resolve(context.root, source.path) };
  if (source?.kind === "env") return { source: "env", ...(source.variable ? { variable: source.variable } : {}) };
  if (text) return { source: "state", root: text };
  throw new ProviderError("INPUT", "keys: no root secret in the stack's state; pass `reference` of PipelineKeys whole");
}
