import * as pulumi from "@pulumi/pulumi";

export interface ServiceImageArgs {
  /** Which of Sealflow's services: `ledger`. */
  service: pulumi.Input<string>;
  /** Where it is pushed, `host/path`. @default nowhere: it stays in `.sealflow/services/` */
  repository?: pulumi.Input<string>;
  /** Reason for other package versions where the pinned ones are served no more. @default the pinned ones */
  unpinnedRunner?: pulumi.Input<string>;
}

/** A container image of one of Sealflow's services, made on this machine without Docker, the same bytes everywhere. */
export class ServiceImage extends pulumi.CustomResource {
  /** SHA-256 of the manifest. */
  declare readonly digest: pulumi.Output<string>;
  /** As a cluster pulls it, with the digest. */
  declare readonly reference: pulumi.Output<string>;

  constructor(name: string, args: ServiceImageArgs, opts?: pulumi.CustomResourceOptions) {
    const outputs = { digest: undefined, reference: undefined, layout: undefined, size: undefined };
    super("sealflow:index:ServiceImage", name, { ...outputs, ...args }, opts);
  }
}
