/** Who reaches guests: the workers, on two ports. Groups name each other, so no address can be borrowed. */
import * as ec2 from "@pulumi/aws/ec2";
import * as vpc from "@pulumi/aws/vpc";
import type * as pulumi from "@pulumi/pulumi";
import { FORWARDER_PORT, VXLAN_PORT } from "../../policy/peer-pods";
import { childOf } from "../options";
import type { EksPeerPodsArgs } from "./args";

export interface GuestsScope {
  readonly name: string;
  readonly args: EksPeerPodsArgs;
  readonly vpcId: pulumi.Output<string>;
  /** Of the cluster's workers. */
  readonly clusterGroupId: pulumi.Output<string>;
  readonly tags: Record<string, string>;
  readonly parent: pulumi.ComponentResource;
}

export interface GuestsGroup {
  readonly id: pulumi.Output<string>;
  readonly resources: pulumi.Resource[];
}

export function createGuestsGroup({ name, args, vpcId, clusterGroupId, tags, parent }: GuestsScope): GuestsGroup {
  const tunnel = { ipProtocol: "udp", fromPort: args.vxlanPort ?? VXLAN_PORT, toPort: args.vxlanPort ?? VXLAN_PORT };
  const agent = { ipProtocol: "tcp", fromPort: FORWARDER_PORT, toPort: FORWARDER_PORT };
  const group = new ec2.SecurityGroup(
    `${name}-guests-group`,
    { description: "Guests of peer pods", vpcId, tags },
    childOf(parent),
  );
  const reach = (what: string, args: Omit<vpc.SecurityGroupIngressRuleArgs, "tags">) =>
    new vpc.SecurityGroupIngressRule(`${name}-${what}`, { ...args, tags }, childOf(parent));
  const rules = [
    reach("workers-to-agent", { securityGroupId: group.id, referencedSecurityGroupId: clusterGroupId, ...agent }),
    reach("workers-to-tunnel", { securityGroupId: group.id, referencedSecurityGroupId: clusterGroupId, ...tunnel }),
    reach("guests-to-tunnel", { securityGroupId: clusterGroupId, referencedSecurityGroupId: group.id, ...tunnel }),
    // Registry, key broker and ledger are wherever the program says.
    new vpc.SecurityGroupEgressRule(
      `${name}-guests-way-out`,
      { securityGroupId: group.id, ipProtocol: "-1", cidrIpv4: "0.0.0.0/0", tags },
      childOf(parent),
    ),
  ];
  return { id: group.id, resources: [group, ...rules] };
}
