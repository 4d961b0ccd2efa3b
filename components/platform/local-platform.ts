import * as pulumi from "@pulumi/pulumi";
import type { GuestSettings } from "../../model";
import { waiversOf } from "../waivers";
import type { Platform } from "./platform";

export interface LocalPlatformArgs {
  /**
   * For a machine without namespaces: why all steps may run beside the runner that holds their keys. Part of every
   * step's identity, shown in previews, receipts and reports. @default steps are isolated, or refuse to run
   */
  trustPrograms?: string;
  /** Why guests let the host read their logs and run commands in them. @default they do not */
  debugGuests?: string;
  /** How guests pull images, and what else they may read. @default as Sealflow seals them */
  guest?: Omit<GuestSettings, "debugGuests">;
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
  readonly guest: GuestSettings;

  constructor(name: string, args: LocalPlatformArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    super("sealflow:index:LocalPlatform", name, waiversOf(args), opts);
    this.tee = "sample";
    this.runtimeClass = "sealflow-simulated";
    this.confidential = false;
    this.trustPrograms = args.trustPrograms;
    this.guest = { ...args.guest, ...(args.debugGuests === undefined ? {} : { debugGuests: args.debugGuests }) };
    this.registerOutputs({ tee: this.tee, runtimeClass: this.runtimeClass, confidential: this.confidential });
  }
}
