import * as pulumi from "@pulumi/pulumi";
import { type KeySource, type KeysReference, keysReference } from "./keys-reference";

export interface PipelineKeysArgs {
  /** Name of the pipeline: [a-z0-9-], at most 40 characters. */
  pipeline: pulumi.Input<string>;
  /** @default the stack's name */
  stack?: pulumi.Input<string>;
  /** Where the root secret lives. @default { kind: "state" }: minted by the provider, encrypted in Pulumi's state */
  source?: pulumi.Input<KeySource>;
  /** Count it up to rotate: every key but the owner's own is another one. Never goes back. @default 1 */
  generation?: pulumi.Input<number>;
  /** Write run key and release key to `.sealflow/keys/<stack>/`, for this machine's user only. @default false */
  keyFiles?: pulumi.Input<boolean>;
  /** Keys for trying things out: nothing reminds of a backup at each `up`. @default false */
  disposable?: pulumi.Input<boolean>;
}

/** The root secret of one pipeline. Losing it loses everything that was sealed with it. */
export class PipelineKeys extends pulumi.CustomResource {
  declare readonly pipeline: pulumi.Output<string>;
  declare readonly stack: pulumi.Output<string>;
  declare readonly fingerprint: pulumi.Output<string>;
  declare readonly generation: pulumi.Output<number>;
  declare readonly pipelineUid: pulumi.Output<string>;
  declare readonly ns: pulumi.Output<string>;
  /** Ed25519, base64url; `verify` takes it from here. */
  declare readonly ownerPublicKey: pulumi.Output<string>;
  /** X25519, base64url: list it as a recipient in another pipeline to let this one read its releases. */
  declare readonly recipientKey: pulumi.Output<string>;
  declare readonly stackUuid: pulumi.Output<string>;
  /** A secret; empty when the source is not `state`. */
  declare readonly root: pulumi.Output<string>;
  declare readonly keyFiles: pulumi.Output<boolean>;
  /** What sealing resources take as `keys`. */
  readonly reference: KeysReference;

  constructor(name: string, args: PipelineKeysArgs, opts?: pulumi.CustomResourceOptions) {
    const outputs = { fingerprint: undefined, generation: undefined, pipelineUid: undefined, ns: undefined };
    const more = { ownerPublicKey: undefined, recipientKey: undefined, stackUuid: undefined, root: undefined };
    const inputs = { ...args, stack: args.stack ?? pulumi.getStack() };
    super("sealflow:index:PipelineKeys", name, { ...outputs, ...more, ...inputs }, opts);
    this.reference = keysReference(this, args.source);
  }
}
