import * as pulumi from "@pulumi/pulumi";
import type { RuntimeNeeds } from "../platform/cluster";
import { checkPlatform } from "../platform/peer-pods";
import type { GuestImage } from "../platform/platform";
import { PlatformComponent } from "../platform/platform-component";
import { clusterProvider } from "../platform/provider";
import type { BareMetalArgs } from "./args";
import { factsOf, ownProblems, platformOf, runtimeOf } from "./check";
import { createPreflight } from "./preflight";

/**
 * Hosts of your own with SEV-SNP or TDX, as nodes of a cluster that is not trusted. Nothing is made but the checks on the
 * hosts; CocoRuntime installs Kata with the shims that `runtime` names.
 */
export class BareMetal extends PlatformComponent {
  readonly kubeconfig?: pulumi.Output<string> | undefined;
  readonly runtime: RuntimeNeeds;
  /** The checks on the hosts: nothing is installed before they passed. */
  readonly before: pulumi.Resource[];

  constructor(name: string, args: BareMetalArgs, opts?: pulumi.ComponentResourceOptions) {
    super("sealflow:index:BareMetal", name, args, opts, (self) => {
      checkPlatform(name, factsOf(args), ownProblems(args), self);
      return { platform: platformOf(args), guestImage: guestImageOf(args) };
    });
    this.kubeconfig = args.kubeconfig === undefined ? undefined : pulumi.secret(args.kubeconfig);
    this.runtime = runtimeOf(args);
    this.before = checkHosts(name, args, this);
    this.registerOutputs({
      platform: this.platform,
      tee: this.tee,
      runtimeClass: this.runtimeClass,
      confidential: this.confidential,
    });
  }
}

const guestImageOf = ({ guestImagePolicy, acknowledgeStockGuestImage }: BareMetalArgs): GuestImage => ({
  defaultPolicy: guestImagePolicy,
  ...(acknowledgeStockGuestImage === undefined ? {} : { acknowledgeStockGuestImage }),
});

function checkHosts(name: string, args: BareMetalArgs, platform: BareMetal): pulumi.Resource[] {
  const { tee, nvidia = false, preflight } = args;
  if (preflight === undefined) {
    void pulumi.log.warn(
      `Platform "${name}": preflight: the hosts are not checked; give an image and their number`,
      platform,
    );
    return [];
  }
  const { nodeLabels } = platform.runtime;
  return [
    createPreflight({
      name,
      tee,
      nvidia,
      preflight,
      nodeLabels,
      provider: clusterProvider(platform),
      parent: platform,
    }),
  ];
}
