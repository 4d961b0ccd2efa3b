import * as pulumi from "@pulumi/pulumi";
import { type Sweep, sweepCommands } from "../../model/platforms";
import { ADAPTOR_SERVICE_ACCOUNTS, peerPodsChart } from "../../policy/peer-pods";
import { RuntimeKind, type RuntimeNeeds } from "../platform/cluster";
import { chartSettings, checkPlatform, guestImageOf, OWNER_TAG, ownerTags, WORKER_LABELS } from "../platform/peer-pods";
import { PlatformComponent } from "../platform/platform-component";
import { withoutTraces } from "../traces";
import { adaptorStatements, controllerStatements } from "./adaptor-policy";
import type { EksPeerPodsArgs } from "./args";
import { factsOf, ownProblems, PLATFORM, regionOf } from "./check";
import { createCluster } from "./cluster";
import { createNetwork, existingNetwork } from "./network";
import { accountRole } from "./roles";
import { createGuestsGroup } from "./security-groups";

/**
 * One SNP instance for each pod, beside an EKS cluster. Experimental: evidence on AWS does not bind initdata, kernel and
 * root file system, so whoever may start VMs there can start another program with a step's keys. It deploys only with
 * `acknowledgeUnboundInitdata: true`, and says so at each preview.
 */
export class EksPeerPods extends PlatformComponent {
  /** Secret. Unknown in the preview of a new cluster. */
  readonly kubeconfig: pulumi.Output<string>;
  /** The peer-pods chart with the values of this platform. */
  readonly runtime: RuntimeNeeds;
  /** What must be there before the adaptor, and must outlive it. */
  readonly before: pulumi.Resource[];
  /** Commands that list and delete guests that were left behind, for `sealflow sweep`; `destroy` needs them gone (docs/aws.md). */
  readonly sweep: Sweep;

  constructor(name: string, args: EksPeerPodsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("sealflow:index:EksPeerPods", name, args, opts, (self) => {
      checkPlatform(name, factsOf(args), ownProblems(args), self);
      return { platform: PLATFORM, guestImage: guestImageOf(args) };
    });

    const region = regionOf(args) ?? "";
    const tags = ownerTags(name, args.tags);
    const tag = { key: OWNER_TAG, value: tags[OWNER_TAG] ?? "" };
    const { network, cluster, guests, adaptor, controller } = withoutTraces(() => {
      const scope = { name, args, tags, parent: this };
      const network = args.network?.existing ? existingNetwork(args.network.existing) : createNetwork(scope);
      const cluster = createCluster({ ...scope, region, network });
      const guests = createGuestsGroup({ ...scope, vpcId: network.vpcId, clusterGroupId: cluster.securityGroupId });
      const [adaptorAccount, controllerAccount] = ADAPTOR_SERVICE_ACCOUNTS;
      const login = (part: string, account: string, statements: pulumi.Input<object[]>) =>
        accountRole({ name: `${name}-${part}`, tags, parent: this }, cluster, account, statements);
      const mayStart = pulumi
        .all([args.image.id, network.guestsSubnetId, guests.id])
        .apply(([imageId, subnetId, groupId]) =>
          adaptorStatements(
            { region, tag },
            { imageId, instances: chartSettings(args).instances, subnetId, securityGroupIds: [groupId] },
          ),
        );
      const adaptor = login("adaptor", adaptorAccount, mayStart);
      const controller = login("controller", controllerAccount, controllerStatements({ region, tag }));
      return { network, cluster, guests, adaptor, controller };
    });

    this.kubeconfig = cluster.kubeconfig;
    this.before = [
      ...network.resources,
      ...cluster.resources,
      ...guests.resources,
      ...[adaptor, controller].flatMap(({ role, policies }) => [role, ...policies]),
    ];
    const chart = pulumi
      .all([network.guestsSubnetId, guests.id, adaptor.role.arn, controller.role.arn, args.image.id])
      .apply(([subnetId, groupId, adaptorRoleArn, controllerRoleArn, imageId]) =>
        peerPodsChart({
          ...chartSettings(args),
          cloud: "aws",
          region,
          subnetId,
          securityGroupIds: [groupId],
          adaptorRoleArn,
          controllerRoleArn,
          imageId,
          tags,
        }),
      );
    this.runtime = { kind: RuntimeKind.PeerPods, chart, nodeLabels: WORKER_LABELS };
    this.sweep = sweepCommands({ cloud: "aws", region, tag });
    this.registerOutputs({
      platform: this.platform,
      tee: this.tee,
      runtimeClass: this.runtimeClass,
      confidential: this.confidential,
      kubeconfig: this.kubeconfig,
      sweep: this.sweep,
    });
  }
}
