import * as pulumi from "@pulumi/pulumi";
import type { GuestSettings } from "../../model";
import type { PlatformWiring } from "../../model/platforms";
import { waiversOf } from "../waivers";
import type { ClusterPlatform, RuntimeNeeds } from "./cluster";
import { wiringOf } from "./peer-pods";
import type { GuestImage } from "./platform";

/** What a platform says of itself beside its row of the capability matrix. */
export interface PlatformFacts {
  /** Row of the capability matrix (docs/platforms.md). */
  readonly platform: string;
  /** @default the row's */
  readonly runtimeClass?: string | undefined;
  readonly guestImage?: GuestImage | undefined;
  /** Beside the row's carrier of initdata. @default none */
  readonly guest?: GuestSettings | undefined;
}

/** A platform on a cluster, by its row: what steps, runtime and backend read of it. Each platform adds what it makes. */
export abstract class PlatformComponent extends pulumi.ComponentResource implements ClusterPlatform {
  readonly clusterName: string;
  /** Row of the capability matrix (docs/platforms.md). */
  readonly platform: string;
  /** Evidence by Trustee's name of its verifier. */
  readonly tee: string;
  readonly runtimeClass: string;
  readonly confidential: boolean;
  /** Initdata rule, sizes of guests, order of deletion. */
  readonly wiring: PlatformWiring;
  readonly guestImage?: GuestImage | undefined;
  readonly guest: GuestSettings;
  /** Secret. */
  abstract readonly kubeconfig?: pulumi.Output<string> | undefined;
  abstract readonly runtime: RuntimeNeeds;
  /** What must be there before the runtime, and must outlive it. */
  abstract readonly before: readonly pulumi.Resource[];

  /**
   * @param args of the platform; of them the waivers are registered.
   * @param checked stops at what is wrong with the arguments, warns on `self`, and tells the rest.
   */
  protected constructor(
    type: string,
    name: string,
    args: object,
    opts: pulumi.ComponentResourceOptions | undefined,
    checked: (self: pulumi.Resource) => PlatformFacts,
  ) {
    super(type, name, waiversOf(args ?? {}), opts);
    const facts = checked(this);
    this.clusterName = name;
    this.platform = facts.platform;
    this.wiring = wiringOf(facts.platform);
    this.tee = this.wiring.tee;
    this.runtimeClass = facts.runtimeClass ?? this.wiring.runtimeClass;
    this.confidential = this.wiring.confidential;
    this.guestImage = facts.guestImage;
    this.guest = { initdataCarrier: this.wiring.initdata.carrier, ...facts.guest };
  }
}
