import type * as pulumi from "@pulumi/pulumi";

/**
 * Where a root secret lives. `state`: Pulumi's encrypted state. `file`: one line of text, path relative to the
 * project. `env`: the same text in an environment variable of the engine, SEALFLOW_ROOT by default. Outside `state` the root never enters Pulumi.
 */
export type KeySource = { kind: "state" } | { kind: "file"; path: string } | { kind: "env"; variable?: string };

/** What a sealing resource needs to know of a PipelineKeys. */
export interface KeysReference {
  pipeline: pulumi.Input<string>;
  stack: pulumi.Input<string>;
  fingerprint: pulumi.Input<string>;
  generation: pulumi.Input<number>;
  pipelineUid: pulumi.Input<string>;
  stackUuid: pulumi.Input<string>;
  source?: pulumi.Input<KeySource>;
  root?: pulumi.Input<string>;
}

interface Source {
  readonly pipeline: pulumi.Output<string>;
  readonly stack: pulumi.Output<string>;
  readonly fingerprint: pulumi.Output<string>;
  readonly generation: pulumi.Output<number>;
  readonly pipelineUid: pulumi.Output<string>;
  readonly stackUuid: pulumi.Output<string>;
  readonly root: pulumi.Output<string>;
}

/** Field by field, so that only the root is a secret and a preview can name what changed. */
export function keysReference(keys: Source, source: pulumi.Input<KeySource> | undefined): KeysReference {
  const { pipeline, stack, fingerprint, generation, pipelineUid, stackUuid, root } = keys;
  const facts = { pipeline, stack, fingerprint, generation, pipelineUid, stackUuid };
  return { ...facts, ...(source ? { source } : {}), root };
}
