import * as pulumi from "@pulumi/pulumi";
import type { GuestSettings } from "../../model";
import { type PlatformWiring, type Sweep, sweepCommands } from "../../model/platforms";
import { ADAPTOR_SERVICE_ACCOUNTS, peerPodsChart } from "../../policy/peer-pods";
import { type ClusterPlatform, RuntimeKind, type RuntimeNeeds } from "../platform/cluster";
import { checkPlatform, guestImageOf, OWNER_TAG, ownerTags, WORKER_LABELS, wiringOf } from "../platform/peer-pods";
import type { GuestImage } from "../platform/platform";
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
export class EksPeerPods extends pulumi.ComponentResource implements ClusterPlatform {
  readonly clusterName: string;
  /** Row of the capability matrix (docs/platforms.md). */
  readonly platform: string;
  /** Evidence by Trustee's name of its verifier. */
  readonly tee: string;
  readonly runtimeClass: string;
  readonly confidential: boolean;
  /** Initdata rule, sizes of guests, order of deletion. */
  readonly wiring: PlatformWiring;
  /** Secret. Unknown in the preview of a new cluster. */
  readonly kubeconfig: pulumi.Output<string>;
  readonly guestImage: GuestImage;
  readonly guest: GuestSettings;
  /** The peer-pods chart with the values of this platform. */
  readonly runtime: RuntimeNeeds;
  /** What must be there before the adaptor, and must outlive it. */
  readonly before: pulumi.Resource[];
  /** Commands that list and delete guests that were left behind, for `sealflow sweep`; `destroy` needs them gone (docs/aws.md). */
  readonly sweep: Sweep;

  constructor(name: string, args: EksPeerPodsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("sealflow:index:EksPeerPods", name, {}, opts);
    checkPlatform(name, factsOf(args), ownProblems(args), this);
    this.platform = PLATFORM;
    this.wiring = wiringOf(PLATFORM);
    this.tee = this.wiring.tee;
    this.runtimeClass = this.wiring.runtimeClass;
    this.confidential = this.wiring.confidential;
    this.clusterName = name;
    this.guestImage = guestImageOf(args);
    this.guest = { initdataCarrier: this.wiring.initdata.carrier };

    const region = regionOf(args) ?? "";
    const tags = ownerTags(name, args.tags);
    const tag = { key: OWNER_TAG, value: tags[OWNER_TAG] ?? "" };
    const scope = { name, args, tags, parent: this };
    const network = args.network?.existing ? existingNetwork(args.network.existing) : createNetwork(scope);
    const cluster = createCluster({ ...scope, region, network });
    const guests = createGuestsGroup({ ...scope, vpcId: network.vpcId, clusterGroupId: cluster.securityGroupId });
    const [adaptorAccount, controllerAccount] = ADAPTOR_SERVICE_ACCOUNTS;
    const login = (part: string, account: string, statements: object[]) =>
      accountRole({ name: `${name}-${part}`, tags, parent: this }, cluster, account, statements);
    const adaptor = login("adaptor", adaptorAccount, adaptorStatements({ region, tag }));
    const controller = login("controller", controllerAccount, controllerStatements({ region, tag }));

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
          ...settingsOf(args),
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

/** The chart's settings that the program says itself. */
const settingsOf = ({ sizes, limitPerWorker, rootDiskGiB, vxlanPort }: EksPeerPodsArgs) => ({
  defaultInstance: sizes.default,
  instances: sizes.allowed ?? [sizes.default],
  ...(limitPerWorker === undefined ? {} : { limitPerNode: limitPerWorker }),
  ...(rootDiskGiB === undefined ? {} : { rootGiB: rootDiskGiB }),
  ...(vxlanPort === undefined ? {} : { vxlanPort }),
});
