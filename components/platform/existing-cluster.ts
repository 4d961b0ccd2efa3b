import * as pulumi from "@pulumi/pulumi";
import { type GuestSettings, PlatformError, platformProblemText, platformWiring, validatePlatform } from "../../model";
import { RuntimeKind, type RuntimeNeeds } from "./cluster";
import type { GuestImage } from "./platform";
import { PlatformComponent } from "./platform-component";

export interface ExistingClusterArgs {
  /** Row of the capability matrix whose guests the cluster starts, such as `baremetal-snp`; `local`: simulated guests. */
  platform: string;
  /** Text of a kubeconfig; kept as a secret. @default the ambient one */
  kubeconfig?: pulumi.Input<string>;
  /** Runtime class of steps. @default the row's first */
  runtimeClass?: string;
  /** What guests do that a host boots without initdata. Needed for all but simulated guests. @default none */
  guestImage?: GuestImage;
  /** Labels of nodes that take guests. @default the row's: of hardware and of Kata */
  nodeLabels?: Record<string, string>;
  /** How guests pull images, and what else they may read. @default as Sealflow seals them */
  guest?: GuestSettings;
  /** AWS: that evidence says nothing about initdata is accepted. @default false */
  acknowledgeUnboundInitdata?: boolean;
}

/** Set by every kata-deploy on nodes where it is ready. */
export const KATA_LABEL = { "katacontainers.io/kata-runtime": "true" };

/**
 * A cluster that has Confidential Containers already, whoever installed them. Nothing is installed; CocoRuntime with this
 * platform checks that the runtime class is there and that a node can take it.
 */
export class ExistingCluster extends PlatformComponent {
  readonly kubeconfig?: pulumi.Output<string> | undefined;
  readonly runtime: RuntimeNeeds;
  readonly before: pulumi.Resource[];

  constructor(name: string, args: ExistingClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    super("sealflow:index:ExistingCluster", name, args, opts, (self) => {
      check(name, args, self);
      return args;
    });
    this.kubeconfig = args.kubeconfig === undefined ? undefined : pulumi.secret(args.kubeconfig);
    this.runtime = {
      kind: RuntimeKind.Present,
      nodeLabels: args.nodeLabels ?? (this.tee === "sample" ? {} : KATA_LABEL),
    };
    this.before = [];
    this.registerOutputs({ platform: this.platform, tee: this.tee, runtimeClass: this.runtimeClass });
  }
}

/** Codes of the rules that hold for a cluster whoever made it; what its nodes and network are, its makers have checked. */
const HERE: ReadonlySet<string> = new Set(["PLATFORM", "RUNTIME_CLASS", "INITDATA", "GUEST_IMAGE", "DEBUG"]);

/** @throws PlatformError, RunError with what is wrong. */
function check(name: string, args: ExistingClusterArgs, resource: pulumi.Resource): void {
  const simulated = args.platform === "local";
  const { acknowledgeStockGuestImage: reason, defaultPolicy } = args.guestImage ?? {};
  const problems = validatePlatform({
    platform: args.platform,
    // A simulated node has whichever class it registers; nothing is confidential under it.
    ...(args.runtimeClass === undefined || simulated ? {} : { runtimeClass: args.runtimeClass }),
    ...(defaultPolicy === undefined || simulated ? {} : { image: { defaultPolicy } }),
    ...(reason === undefined ? {} : { acknowledgeStockGuestImage: reason }),
    ...(args.acknowledgeUnboundInitdata ? { acknowledgeUnboundInitdata: true } : {}),
  }).filter(({ code }) => HERE.has(code));
  const errors = problems.filter(({ severity }) => severity === "error");
  if (errors.length > 0) throw new PlatformError(name, errors);
  for (const warning of problems) void pulumi.log.warn(platformProblemText(name, warning), resource);
  if (!platformWiring(args.platform))
    throw new pulumi.RunError(`ExistingCluster "${name}": platform: "${args.platform}" runs no steps. Use another row`);
}
