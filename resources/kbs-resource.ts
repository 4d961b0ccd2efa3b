import * as pulumi from "@pulumi/pulumi";

import type { AtRelyingParty } from "./relying-party-reference";

export interface KbsResourceArgs extends AtRelyingParty {
  /** `repository/type/tag`; each part [A-Za-z0-9_.-], at most 80 characters. A change replaces. */
  path: pulumi.Input<string>;
  content: pulumi.Input<string>;
  /** How `content` is written: `utf8` or `base64`. @default "utf8" */
  encoding?: pulumi.Input<string>;
}

/** A secret in the key broker. Nothing may read it until a grant says so. */
export class KbsResource extends pulumi.CustomResource {
  declare readonly path: pulumi.Output<string>;

  constructor(name: string, args: KbsResourceArgs, opts?: pulumi.CustomResourceOptions) {
    super("sealflow:index:KbsResource", name, { ...args, content: pulumi.secret(args.content) }, opts);
  }
}
