/** VPC with a public subnet for the way out, private ones for workers in two zones, one for guests. */
import * as ec2 from "@pulumi/aws/ec2";
import { getAvailabilityZonesOutput } from "@pulumi/aws/getAvailabilityZones";
import * as pulumi from "@pulumi/pulumi";
import { childOf } from "../options";
import type { EksPeerPodsArgs, ExistingAwsNetworkArgs } from "./args";
import { NETWORK } from "./check";

export interface AwsNetwork {
  readonly vpcId: pulumi.Output<string>;
  readonly nodesSubnetIds: pulumi.Output<string>[];
  readonly guestsSubnetId: pulumi.Output<string>;
  /** Must be there before VMs, and after them. */
  readonly resources: pulumi.Resource[];
}

export interface NetworkScope {
  readonly name: string;
  readonly args: EksPeerPodsArgs;
  readonly tags: Record<string, string>;
  readonly parent: pulumi.ComponentResource;
}

export const existingNetwork = (existing: ExistingAwsNetworkArgs): AwsNetwork => ({
  vpcId: pulumi.output(existing.vpcId),
  nodesSubnetIds: existing.nodesSubnetIds.map((id) => pulumi.output(id)),
  guestsSubnetId: pulumi.output(existing.guestsSubnetId),
  resources: [],
});

export function createNetwork({ name, args, tags, parent }: NetworkScope): AwsNetwork {
  const cidr = args.network?.cidr ?? NETWORK.cidr;
  const [first = "", second = ""] = zonesOf(args);
  // Found zones are for the first time: a region that lists others later would replace the network and all in it.
  const keepsZone = args.network?.zones ? {} : { ignoreChanges: ["availabilityZone"] };
  const vpc = new ec2.Vpc(
    `${name}-vpc`,
    { cidrBlock: cidr, enableDnsHostnames: true, enableDnsSupport: true, tags: named(tags, `${name}-vpc`) },
    childOf(parent),
  );
  const subnet = (part: string, quarter: number, availabilityZone: pulumi.Input<string>) =>
    new ec2.Subnet(
      `${name}-${part}`,
      { vpcId: vpc.id, cidrBlock: quarterOf(cidr, quarter), availabilityZone, tags: named(tags, `${name}-${part}`) },
      childOf(parent, keepsZone),
    );
  const egress = subnet("egress", 0, first);
  const nodes = [subnet("nodes-a", 1, first), subnet("nodes-b", 2, second)];
  // EBS volumes and guests are of one zone.
  const guests = subnet("guests", 3, first);
  const internet = new ec2.InternetGateway(`${name}-internet`, { vpcId: vpc.id, tags }, childOf(parent));
  const address = new ec2.Eip(`${name}-egress-ip`, { domain: "vpc", tags }, childOf(parent, { dependsOn: internet }));
  const gateway = new ec2.NatGateway(
    `${name}-nat`,
    { subnetId: egress.id, allocationId: address.allocationId, tags },
    childOf(parent, { dependsOn: internet }),
  );
  const route = routes({ name, tags, parent }, vpc);
  const ways = [
    ...route("public", { gatewayId: internet.id }, { egress }),
    ...route("private", { natGatewayId: gateway.id }, { "nodes-a": nodes[0], "nodes-b": nodes[1], guests }),
  ];
  return {
    vpcId: vpc.id,
    nodesSubnetIds: nodes.map(({ id }) => id),
    guestsSubnetId: guests.id,
    resources: [vpc, egress, ...nodes, guests, internet, address, gateway, ...ways],
  };
}

/** A route table with a default route, for some subnets. */
const routes =
  ({ name, tags, parent }: Omit<NetworkScope, "args">, vpc: ec2.Vpc) =>
  (
    what: string,
    target: Pick<ec2.RouteArgs, "gatewayId" | "natGatewayId">,
    subnets: Record<string, ec2.Subnet | undefined>,
  ) => {
    const table = new ec2.RouteTable(`${name}-${what}`, { vpcId: vpc.id, tags }, childOf(parent));
    const way = new ec2.Route(
      `${name}-${what}-way-out`,
      { routeTableId: table.id, destinationCidrBlock: "0.0.0.0/0", ...target },
      childOf(parent),
    );
    const uses = Object.entries(subnets).map(
      ([part, subnet]) =>
        new ec2.RouteTableAssociation(
          `${name}-${part}-routes`,
          { routeTableId: table.id, subnetId: (subnet as ec2.Subnet).id },
          childOf(parent),
        ),
    );
    return [table, way, ...uses];
  };

const named = (tags: Record<string, string>, Name: string): Record<string, string> => ({ ...tags, Name });

function zonesOf({ network }: EksPeerPodsArgs): pulumi.Input<string>[] {
  if (network?.zones) return network.zones;
  // Not local zones that the account has opted in to: EKS takes none.
  const regular = [{ name: "opt-in-status", values: ["opt-in-not-required"] }];
  const { names } = getAvailabilityZonesOutput({ state: "available", filters: regular });
  return [names.apply(([first = ""]) => first), names.apply(([, second = ""]) => second)];
}

/** The nth /18 of a /16. */
export const quarterOf = (cidr: string, n: number): string => cidr.replace(/\.[0-9]+\.[0-9]+\/16$/, `.${n * 64}.0/18`);
