import * as pulumi from "@pulumi/pulumi";
import type { AzureSnpValues, AzureTdxValues, Hex, SnpLaunch, SnpValues, TdxValues } from "../model";
import type { AtRelyingParty } from "./relying-party-reference";

/** Measurements given, computed from `launch`, or both. */
export type SnpReference = Omit<SnpValues, "measurements"> & { measurements?: readonly Hex[]; launch?: SnpLaunch };

/** PCR 11 given, read from published sets, or both. */
interface Published {
  pcr11?: readonly Hex[];
  /** Files `measurements.json`, as published with pod-VM images; verify their provenance first. */
  published?: readonly string[];
}
export type AzureSnpReference = Omit<AzureSnpValues, "pcr11"> & Published;
export type AzureTdxReference = Omit<AzureTdxValues, "pcr11"> & Published;

export type ReferenceValuesArgs = AtRelyingParty & {
  /** Why an image is accepted that boots open without initdata (`defaultPolicy: "stock"`); repeated by previews. */
  acknowledgeStockGuestImage?: string;
} & (SnpReference | AzureSnpReference | TdxValues | AzureTdxReference);

/**
 * What a key broker takes for good guests of one TEE. One for each TEE and key broker: stacks that share a key broker
 * share these, and whoever writes them last wins.
 */
export class ReferenceValues extends pulumi.CustomResource {
  /** Digest of the values in the key broker. */
  declare readonly digest: pulumi.Output<string>;

  constructor(name: string, args: ReferenceValuesArgs, opts?: pulumi.CustomResourceOptions) {
    super("sealflow:index:ReferenceValues", name, { digest: undefined, ...args }, opts);
  }
}
