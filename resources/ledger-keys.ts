import * as pulumi from "@pulumi/pulumi";

/** The keys of a ledger whose replicas run elsewhere. Private halves are secrets of the stack: back the stack up. */
export class LedgerKeys extends pulumi.CustomResource {
  /** Public: guests and auditors verify with it. base64url of 32 bytes. */
  declare readonly ledgerKey: pulumi.Output<string>;
  /** Ed25519 seed, a secret. */
  declare readonly seed: pulumi.Output<string>;
  /** Key of the object URLs, a secret. */
  declare readonly urlSeed: pulumi.Output<string>;

  constructor(name: string, opts?: pulumi.CustomResourceOptions) {
    super("sealflow:index:LedgerKeys", name, { ledgerKey: undefined, seed: undefined, urlSeed: undefined }, opts);
  }
}
