import * as pulumi from "@pulumi/pulumi";
import type { FileDataset, Format } from "../model";
import type { KeysReference } from "./keys-reference";
import type { AtRelyingParty } from "./relying-party-reference";

export interface SealedDatasetArgs extends AtRelyingParty {
  keys: KeysReference;
  /** Id of the dataset in the pipeline: [a-z0-9-], at most 40 characters. A change replaces the keys of its readers. */
  id: string;
  format: Format;
  /** Where the plain content is. The path is relative to the project, and no change by itself: the content is. */
  source: FileDataset;
  /** Delete the sealed object with the resource. @default false: it stays in the store */
  deleteObject?: boolean;
}

/** A dataset sealed on this machine and uploaded; only steps that read it get its key. Every change replaces it. */
export class SealedDataset extends pulumi.CustomResource {
  /** Its public entry in the version's descriptor. */
  declare readonly entry: pulumi.Output<Record<string, unknown>>;
  /** Bytes of the ciphertext. */
  declare readonly size: pulumi.Output<number>;
  /** As given. */
  readonly datasetId: string;
  readonly format: Format;

  constructor(name: string, args: SealedDatasetArgs, opts?: pulumi.CustomResourceOptions) {
    const { id: dataset, ...rest } = args;
    super("sealflow:index:SealedDataset", name, { entry: undefined, size: undefined, ...rest, dataset }, opts);
    this.datasetId = dataset;
    this.format = args.format;
  }
}
