import * as pulumi from "@pulumi/pulumi";

/** Where confidential pods run, as far as steps and their Jobs need to know. */
export interface Platform extends pulumi.ComponentResource {
  /** Kind of guest that keys are granted to; `sample` is the simulated one. */
  readonly tee: string;
  /** Runtime class of the Jobs. */
  readonly runtimeClass: string;
  /** Whether hardware keeps the operator out. */
  readonly confidential: boolean;
  /** Why every step may run without isolation from the runner; undefined: only steps that say so themselves. */
  readonly trustPrograms?: string | undefined;
}

export interface LocalPlatformArgs {
  /**
   * For a machine without namespaces: why all steps may run beside the runner that holds their keys. Part of every
   * step's identity, shown in previews, receipts and reports. @default steps are isolated, or refuse to run
   */
  trustPrograms?: string;
}

/**
 * Simulated guests on this machine. It runs the same images, policies and key releases as hardware does, and protects
 * nothing from whoever controls the machine: nothing it does is called confidential.
 */
export class LocalPlatform extends pulumi.ComponentResource implements Platform {
  readonly tee: string;
  readonly runtimeClass: string;
  readonly confidential: boolean;
  readonly trustPrograms?: string | undefined;

  constructor(name: string, args: LocalPlatformArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    super("sealflow:index:LocalPlatform", name, {}, opts);
    this.tee = "sample";
    this.runtimeClass = "sealflow-simulated";
    this.confidential = false;
    this.trustPrograms = args.trustPrograms;
    this.registerOutputs({ tee: this.tee, runtimeClass: this.runtimeClass, confidential: this.confidential });
  }
}
