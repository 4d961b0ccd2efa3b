import * as pulumi from "@pulumi/pulumi";
import type { GuestSettings } from "../model";
import type { KeysReference } from "./keys-reference";
import type { AtRelyingParty } from "./relying-party-reference";

/** Facts of a SealedImage that an identity rests on: its `facts`. */
export interface ImageFacts {
  digest: pulumi.Input<string>;
  kekId: pulumi.Input<string>;
  reference: pulumi.Input<string>;
  /** What the image's own config set; the step's `env` wins. */
  env?: pulumi.Input<Record<string, string>>;
}

export interface StepLimits {
  /** Wall-clock limit of the program, seconds. */
  timeoutSeconds: number;
  /** How long the runner waits for inputs, seconds. */
  waitSeconds: number;
  /** Further attempts after the first. */
  retryLimit: number;
  shards: number;
}

export interface StepIdentityArgs extends AtRelyingParty {
  keys: KeysReference;
  step: string;
  /** Program and arguments. Kept as a secret. */
  command: pulumi.Input<string[]>;
  /** Environment of the program. Kept as a secret. @default none */
  env?: pulumi.Input<Record<string, string>>;
  /** Input name to {from | dataset | imported, format, collect?, allowUnsafeFormat?}. */
  inputs: Record<string, object>;
  /** Output name to {format, allowUnsafeFormat?}. */
  outputs: Record<string, object>;
  /** {output, as, recipients} each. @default none */
  releases?: object[];
  limits: StepLimits;
  /** Condition: a declassified output of another step, and the value with which this one runs. @default none */
  when?: { readonly from: string; readonly equals: boolean };
  /** Whether the program may use the network. @default false */
  egress?: boolean;
  /** `visible` or `hidden`. @default "visible" */
  exitClass?: string;
  /** Reason for running the program without isolation from the runner that holds the keys. */
  trustProgram?: string;
  /** Reason for accepting scratch space on a disk. */
  acceptRollback?: string;
  image: ImageFacts;
  /** Pipeline input to dataset id, for the inputs this step reads. */
  datasets?: Record<string, string>;
  /** Recipient name to X25519 key, beside the owner. */
  recipients?: Record<string, string>;
  /** Kind of guest that gets the keys. `sample` is the simulated one. */
  tee: string;
  /** How the platform's guests are set up. @default none */
  guest?: GuestSettings;
}

/** What one step is allowed to be: bundle, image key and grant in the key broker. Replaced on every change. */
export class StepIdentity extends pulumi.CustomResource {
  declare readonly programId: pulumi.Output<string>;
  /** Initdata digest that attestation reports, hex. */
  declare readonly identity: pulumi.Output<string>;
  /** The step's public entry of the version's descriptor. */
  declare readonly entry: pulumi.Output<Record<string, unknown>>;

  constructor(name: string, args: StepIdentityArgs, opts?: pulumi.CustomResourceOptions) {
    const hidden = { command: pulumi.secret(args.command), ...(args.env ? { env: pulumi.secret(args.env) } : {}) };
    const outputs = { programId: undefined, identity: undefined, entry: undefined };
    super("sealflow:index:StepIdentity", name, { ...outputs, ...args, ...hidden }, opts);
  }
}
