import * as pulumi from "@pulumi/pulumi";
import type { AtRelyingParty } from "./relying-party-reference";

export interface KbsReferenceValueArgs extends AtRelyingParty {
  /** [A-Za-z0-9._/-], at most 255 characters; no grant and no measurement. A change replaces. */
  id: pulumi.Input<string>;
  /** Any JSON. Policies of others say what they expect; a list usually means "any of these". */
  // biome-ignore lint/suspicious/noExplicitAny: that is what it is
  value: pulumi.Input<any>;
}

/**
 * A reference value: `sealflow.nvidia.driver_versions`, or one for policies of others. Measurements are made by
 * ReferenceValues, grants by StepIdentity.
 */
export class KbsReferenceValue extends pulumi.CustomResource {
  /** Digest of the value in the key broker. */
  declare readonly digest: pulumi.Output<string>;

  constructor(name: string, args: KbsReferenceValueArgs, opts?: pulumi.CustomResourceOptions) {
    const { id: valueId, ...rest } = args;
    super("sealflow:index:KbsReferenceValue", name, { digest: undefined, ...rest, valueId }, opts);
  }
}
