import * as pulumi from "@pulumi/pulumi";

export interface TlsCertificateArgs {
  /** Common name of the leaf; the CA's is made of it. Letters, digits, space, `.`, `_`, `-`; at most 48. */
  commonName: pulumi.Input<string>;
  /** DNS names and IP addresses of the server. @default none: the certificate signs and serves nothing */
  hosts?: pulumi.Input<pulumi.Input<string>[]>;
  /** Life of a leaf in days, 2 to 825. @default 90 */
  validDays?: pulumi.Input<number>;
  /** An `up` this many days before the end renews the leaf. @default 30 */
  renewBeforeDays?: pulumi.Input<number>;
}

/**
 * A CA and a leaf under it, made on this machine. Private keys are secrets of the stack. Renewal keeps the CA, which is all
 * that guests pin, so it changes no identity.
 */
export class TlsCertificate extends pulumi.CustomResource {
  declare readonly caPem: pulumi.Output<string>;
  declare readonly certPem: pulumi.Output<string>;
  /** Leaf and CA. */
  declare readonly chainPem: pulumi.Output<string>;
  /** Private key of the leaf, a secret. */
  declare readonly keyPem: pulumi.Output<string>;
  /** When the leaf ends, RFC 3339. */
  declare readonly notAfter: pulumi.Output<string>;

  constructor(name: string, args: TlsCertificateArgs, opts?: pulumi.CustomResourceOptions) {
    const outputs = {
      caPem: undefined,
      certPem: undefined,
      chainPem: undefined,
      keyPem: undefined,
      notAfter: undefined,
    };
    super("sealflow:index:TlsCertificate", name, { ...outputs, caKeyPem: undefined, ...args }, opts);
  }
}
