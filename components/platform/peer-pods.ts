/** What the peer-pod platforms of all clouds have in common: guests, their sizes and images, the tag that owns them. */
import * as pulumi from "@pulumi/pulumi";
import {
  type PlatformArgs,
  type PlatformWiring,
  platformProblemText,
  platformWiring,
  requirePlatform,
  WORKER_LABEL,
} from "../../model/platforms";
import type { GuestImage } from "./platform";

/** What a guest image does when a host boots it without initdata (docs/trust/boot-without-initdata.md). */
export const GuestImagePolicy = {
  /** Refuses everything until initdata is applied that matches the launch field. */
  Deny: "deny",
  /** Allows everything: refused unless the program acknowledges it with a reason. */
  Stock: "stock",
} as const;
export type GuestImagePolicy = (typeof GuestImagePolicy)[keyof typeof GuestImagePolicy];

export interface GuestImageArgs {
  /** Azure: ARM id of a gallery's image version. AWS: AMI id. There is no default: nobody publishes images that last. */
  id: pulumi.Input<string>;
  /** What the image does without initdata. */
  defaultPolicy: GuestImagePolicy;
  /** Release of Cloud API Adaptor that the image was built from; must be the chart's. @default not checked */
  adaptorVersion?: string;
}

export interface GuestSizesArgs {
  /** Size of guests whose pods ask for nothing else, such as `Standard_DC2as_v5`. */
  default: string;
  /** All sizes that pods may ask for; must have the default. @default the default alone */
  allowed?: string[];
}

/** Arguments of a peer-pod platform on any cloud. */
export interface PeerPodsArgs {
  image: GuestImageArgs;
  sizes: GuestSizesArgs;
  /** Guests per worker; the scheduler's limit, it knows nothing of the cloud's quota. @default 10 */
  limitPerWorker?: number;
  /** Root disk of a guest, GiB. @default the image's own (Azure), 30 (AWS) */
  rootDiskGiB?: number;
  /** UDP port of the tunnel between workers and guests. @default 9000 */
  vxlanPort?: number;
  /** Tags on everything that is made, guests included, beside the one by which a sweep finds them. @default none */
  tags?: Record<string, string>;
  /** Why a guest image that boots open without initdata is accepted; at least ten characters. @default it is refused */
  acknowledgeStockGuestImage?: string;
}

/** The adaptor's DaemonSet selects exactly this. */
export const WORKER_LABELS: Readonly<Record<string, string>> = { [WORKER_LABEL]: "" };

/** Settings of the peer-pods chart that the program says itself, the same on all clouds. */
export const chartSettings = ({ sizes, limitPerWorker, rootDiskGiB, vxlanPort }: PeerPodsArgs) => ({
  defaultInstance: sizes.default,
  instances: sizes.allowed ?? [sizes.default],
  ...(limitPerWorker === undefined ? {} : { limitPerNode: limitPerWorker }),
  ...(rootDiskGiB === undefined ? {} : { rootGiB: rootDiskGiB }),
  ...(vxlanPort === undefined ? {} : { vxlanPort }),
});

/** What pipelines are told of the image. */
export const guestImageOf = ({ image, acknowledgeStockGuestImage }: PeerPodsArgs): GuestImage => ({
  defaultPolicy: image.defaultPolicy,
  ...(acknowledgeStockGuestImage === undefined ? {} : { acknowledgeStockGuestImage }),
});

/** Key of the tag by which a platform's guests are found. */
export const OWNER_TAG = "sealflow-platform";

/** Tags of everything a platform makes; its guests get the same from the adaptor. */
export const ownerTags = (name: string, tags: Record<string, string> = {}): Record<string, string> => ({
  ...tags,
  [OWNER_TAG]: `${pulumi.getProject()}/${pulumi.getStack()}/${name}`,
});

/** The part of the rules' arguments that is the same on all clouds. */
export const commonFacts = (args: PeerPodsArgs) => ({
  instances: { default: args.sizes?.default, allowed: args.sizes?.allowed ?? [args.sizes?.default] },
  ...(args.rootDiskGiB === undefined ? {} : { disk: { rootGiB: args.rootDiskGiB } }),
  ...(args.acknowledgeStockGuestImage === undefined
    ? {}
    : { acknowledgeStockGuestImage: args.acknowledgeStockGuestImage }),
});

export const imageFacts = (image: GuestImageArgs | undefined) => ({
  // Not known yet: it counts as given.
  ...(image?.id === undefined ? {} : { id: typeof image.id === "string" ? image.id : null }),
  ...(image?.defaultPolicy === undefined ? {} : { defaultPolicy: image.defaultPolicy }),
  ...(image?.adaptorVersion === undefined ? {} : { adaptorVersion: image.adaptorVersion }),
});

/**
 * Stops at everything that is wrong, at preview; what is only doubtful is said at each preview and update.
 * @param more problems that only the component sees, such as overlapping networks.
 * @throws PlatformError, or RunError with the lines of both.
 */
export function checkPlatform(
  name: string,
  args: PlatformArgs,
  more: readonly string[],
  resource: pulumi.Resource,
): void {
  const own = more.map((line) => `Platform "${name}": ${line}`);
  let warnings: ReturnType<typeof requirePlatform> = [];
  try {
    warnings = requirePlatform(name, args);
  } catch (error) {
    if (own.length === 0) throw error;
    throw new pulumi.RunError([(error as Error).message, ...own].join("\n"));
  }
  if (own.length > 0) throw new pulumi.RunError(own.join("\n"));
  for (const warning of warnings) void pulumi.log.warn(platformProblemText(name, warning), resource);
}

/** Of a platform that was checked. */
export function wiringOf(platform: string): PlatformWiring {
  const wiring = platformWiring(platform);
  if (wiring) return wiring;
  throw new pulumi.RunError(`platform "${platform}" runs no steps`);
}

/** What can be wrong with taking over a cluster, the same on all clouds. */
export function adoptionProblems(args: {
  readonly cluster?: unknown;
  readonly network?: { readonly existing?: unknown };
  readonly workers?: { readonly existing?: boolean };
  readonly kubernetesVersion?: string;
}): string[] {
  const { cluster, network = {}, workers, kubernetesVersion } = args;
  const { existing, ...plan } = network;
  return [
    ...(existing
      ? Object.keys(plan).map((field) => `network.${field}: an existing network keeps its own plan; remove it`)
      : []),
    ...(cluster && !existing
      ? ["network.existing: guests must be in the network of the existing cluster; give its subnets"]
      : []),
    ...(cluster && kubernetesVersion !== undefined
      ? ["kubernetesVersion: an existing cluster keeps its own; remove it"]
      : []),
    ...(workers?.existing && !cluster
      ? ["workers.existing: a new cluster has no workers yet; remove it, or give the existing cluster"]
      : []),
  ];
}
