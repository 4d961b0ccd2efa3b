import * as pulumi from "@pulumi/pulumi";

export interface KbsAdminKeyArgs {
  /** URL of the key broker that it administers, as in the relying party's reference. */
  kbsUrl: pulumi.Input<string>;
  /** CA of that key broker, PEM. */
  caPem: pulumi.Input<string>;
}

/**
 * The key that signs admin tokens for one key broker. The private half is made on this machine, in `.sealflow/admin-keys/`
 * for its user only, or taken from the file that SEALFLOW_KBS_ADMIN_KEY_FILE names; it gets into no state.
 */
export class KbsAdminKey extends pulumi.CustomResource {
  /** For the key broker's `admin.authentication`: `adminPublicKey` of its configuration. */
  declare readonly publicKeyPem: pulumi.Output<string>;
  /** The same, base64url of 32 bytes. */
  declare readonly publicKey: pulumi.Output<string>;

  constructor(name: string, args: KbsAdminKeyArgs, opts?: pulumi.CustomResourceOptions) {
    super("sealflow:index:KbsAdminKey", name, { publicKeyPem: undefined, publicKey: undefined, ...args }, opts);
  }
}
