import * as pulumi from "@pulumi/pulumi";
import type { ImageSource } from "../model";
import type { KeysReference } from "./keys-reference";
import type { AtRelyingParty } from "./relying-party-reference";
import type { ImageFacts } from "./step-identity";

export interface SealedImageArgs extends AtRelyingParty {
  keys: KeysReference;
  /** [a-z0-9-], at most 40 characters; the image's own name gets a suffix that follows from its content. */
  name: string;
  /** Where the plain content is. Paths are relative to the project, and no change by themselves: the content is. */
  source: ImageSource;
  /**
   * Version of the runner layer: pinned, another version of this package is refused instead of changing the image.
   * @default the package's own at the time of sealing; an update of the package alone reseals nothing
   */
  runner?: string;
  /**
   * Reason for taking other versions of the runner layer's packages where the pinned ones are served no more. The
   * image's identity differs then. @default only the pinned ones
   */
  unpinnedRunner?: string;
  /**
   * Where it is pushed after sealing; the reference becomes `<repository>@sha256:…`, a part of every identity that runs
   * it. What the registry has is not sent again, and a push that broke off goes on.
   * @default none: it stays in an OCI layout below `.sealflow/images`, where simulated guests find it
   */
  registry?: ImageRegistry;
}

/** A registry that sealed images are pushed to, with the logins that Docker and Podman keep on this machine. */
export interface ImageRegistry {
  /** `host:5000/team/spam`, in full and without a tag: images are named by their digests. */
  repository: string;
  /** PEM file of the registry's own CA, relative to the project. @default public CAs, and those of NODE_EXTRA_CA_CERTS */
  caFile?: string;
  /** Reason for speaking to a host that is not this machine without TLS. @default never */
  plainHttp?: string;
  /** Repositories of the same registry whose layers may be mounted instead of sent, such as `team/base`. @default none */
  mountFrom?: string[];
  /**
   * Deletes the manifest when the image is removed; its blobs go when the registry collects them.
   * @default false: the registry keeps everything, of which nobody can open the layers once their key is deleted
   */
  deleteManifest?: boolean;
  /**
   * Signs what is pushed, as cosign does, for guests whose image policy asks for it (`imagePolicy`, `cosignPublicKey`):
   * private EC key on P-256, PEM, without a passphrase; a secret. Another key signs anew and changes no identity.
   * @default unsigned: agent policies pin images by digest
   */
  signingKey?: pulumi.Input<string>;
}

/** An image whose layers only attested guests can open. Sealed on this machine; every change but the signing key's replaces it. */
export class SealedImage extends pulumi.CustomResource {
  /** `sha256:<hex>` of the sealed manifest. */
  declare readonly digest: pulumi.Output<string>;
  declare readonly kekId: pulumi.Output<string>;
  /** As a node pulls it, with the digest. */
  declare readonly reference: pulumi.Output<string>;
  /** Bytes of all layers. */
  declare readonly size: pulumi.Output<number>;
  /** OCI layout, relative to the project. */
  declare readonly layout: pulumi.Output<string>;
  /** Version of the runner layer inside. */
  declare readonly runner: pulumi.Output<string>;
  /** SHA-256 of the public half of the key that signed it, hex; empty: nobody. */
  declare readonly signedBy: pulumi.Output<string>;
  /** What the image's own config sets; a secret. */
  declare readonly env: pulumi.Output<Record<string, string>>;
  /** What identities rest on. */
  readonly facts: ImageFacts;

  constructor(name: string, args: SealedImageArgs, opts?: pulumi.CustomResourceOptions) {
    const outputs = { digest: undefined, kekId: undefined, reference: undefined, size: undefined, layout: undefined };
    const more = { runner: undefined, env: undefined, signedBy: undefined };
    // Apart from the rest, so that another key replaces no image.
    const { signingKey, ...registry } = args.registry ?? {};
    const pushed = {
      ...(args.registry === undefined ? {} : { registry }),
      ...(signingKey === undefined ? {} : { signingKey: pulumi.secret(signingKey) }),
    };
    super("sealflow:index:SealedImage", name, { ...outputs, ...more, ...args, ...pushed }, opts);
    this.facts = { digest: this.digest, kekId: this.kekId, reference: this.reference, env: this.env };
  }
}
