import * as pulumi from "@pulumi/pulumi";
import { type Sweep, sweepCommands } from "../../model/platforms";
import { peerPodsChart } from "../../policy/peer-pods";
import { RuntimeKind, type RuntimeNeeds } from "../platform/cluster";
import { chartSettings, checkPlatform, guestImageOf, OWNER_TAG, ownerTags, WORKER_LABELS } from "../platform/peer-pods";
import { PlatformComponent } from "../platform/platform-component";
import { withoutTraces } from "../traces";
import { type AksPeerPodsArgs, AzureTee } from "./args";
import { factsOf, ownProblems, PLATFORM_OF } from "./check";
import { createCluster } from "./cluster";
import { createGroup, createGuestsGroup, galleryOf } from "./groups";
import { createAdaptorIdentity } from "./identity";
import { createNetwork, existingNetwork } from "./network";
import { account } from "./roles";

/**
 * One confidential VM for each pod, beside an AKS cluster that is not trusted. Everything from the network to the
 * adaptor's identity; CocoRuntime installs the runtime.
 */
export class AksPeerPods extends PlatformComponent {
  /** Secret. Unknown in the preview of a new cluster. */
  readonly kubeconfig: pulumi.Output<string>;
  /** The peer-pods chart with the values of this platform. */
  readonly runtime: RuntimeNeeds;
  /** What must be there before the adaptor, and must outlive it. */
  readonly before: pulumi.Resource[];
  /** Resource group of the guests; `destroy` deletes it, and what was left in it, before the network. */
  readonly guestsResourceGroup: pulumi.Output<string>;
  /** Commands that list and delete guests that were left behind, for `sealflow sweep` (docs/azure.md). */
  readonly sweep: pulumi.Output<Sweep>;

  constructor(name: string, args: AksPeerPodsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("sealflow:index:AksPeerPods", name, args, opts, (self) => {
      checkPlatform(name, factsOf(args), ownProblems(args), self);
      return { platform: PLATFORM_OF[args.tee ?? AzureTee.SevSnp], guestImage: guestImageOf(args) };
    });

    const tags = ownerTags(name, args.tags);
    const { network, cluster, guests, identity } = withoutTraces(() => {
      const resourceGroupName = createGroup(name, args, tags, this);
      const scope = { name, args, resourceGroupName, tags, parent: this };
      const network = args.network?.existing ? existingNetwork(args.network.existing) : createNetwork(scope);
      const cluster = createCluster({ ...scope, nodesSubnetId: network.nodesSubnetId });
      const guests = createGuestsGroup(name, args, tags, network, this);
      const identity = createAdaptorIdentity({
        ...scope,
        location: args.location,
        guestsGroupId: guests.id,
        guestsSubnetId: network.guestsSubnetId,
        galleryId: galleryOf(args),
        oidcIssuer: cluster.oidcIssuer,
      });
      return { network, cluster, guests, identity };
    });

    const { subscriptionId, tenantId } = account();
    const tag = { key: OWNER_TAG, value: tags[OWNER_TAG] ?? "" };
    this.kubeconfig = cluster.kubeconfig;
    this.guestsResourceGroup = guests.name;
    this.before = [...network.resources, guests, ...cluster.resources, ...identity.resources];
    const chart = pulumi
      .all([subscriptionId, tenantId, guests.name, network.guestsSubnetId, identity.clientId, args.image.id])
      .apply(([subscription, tenant, resourceGroup, subnetId, clientId, imageId]) =>
        peerPodsChart({
          ...chartSettings(args),
          cloud: "azure",
          region: args.location,
          subscriptionId: subscription,
          tenantId: tenant,
          resourceGroup,
          subnetId,
          clientId,
          imageId,
          tags,
        }),
      );
    this.runtime = { kind: RuntimeKind.PeerPods, chart, nodeLabels: WORKER_LABELS };
    this.sweep = pulumi
      .all([subscriptionId, guests.name])
      .apply(([subscription, resourceGroup]) =>
        sweepCommands({ cloud: "azure", subscriptionId: subscription, resourceGroup, tag }),
      );
    this.registerOutputs({
      platform: this.platform,
      tee: this.tee,
      runtimeClass: this.runtimeClass,
      confidential: this.confidential,
      kubeconfig: this.kubeconfig,
      guestsResourceGroup: this.guestsResourceGroup,
      sweep: this.sweep,
    });
  }
}
