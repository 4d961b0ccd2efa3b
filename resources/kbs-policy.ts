import * as pulumi from "@pulumi/pulumi";
import type { AtRelyingParty } from "./relying-party-reference";

export interface KbsPolicyArgs extends AtRelyingParty {
  /**
   * `attestation-cpu`: which guests are believed, `attestation-gpu`: which GPUs, `resource`: what is released to whom. A
   * key broker needs all three; there is one of each, for everything in it.
   */
  policy: "attestation-cpu" | "attestation-gpu" | "resource";
  /** Reason for believing guests that no hardware vouches for; with `attestation-cpu` only. @default never */
  acceptSimulatedGuests?: string;
}

/** One of Sealflow's policies in a key broker. A refresh tries them by a simulated guest, since none can be read back. */
export class KbsPolicy extends pulumi.CustomResource {
  /** SHA-256 of the installed text. */
  declare readonly sha256: pulumi.Output<string>;

  constructor(name: string, args: KbsPolicyArgs, opts?: pulumi.CustomResourceOptions) {
    super("sealflow:index:KbsPolicy", name, { sha256: undefined, ...args }, opts);
  }
}
