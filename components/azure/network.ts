/** Virtual network, subnets, the guests' way out, and who may reach guests. */
import * as network from "@pulumi/azure-native/network";
import * as pulumi from "@pulumi/pulumi";
import { FORWARDER_PORT, VXLAN_PORT } from "../../policy/peer-pods";
import { childOf } from "../options";
import type { AksPeerPodsArgs, ExistingAzureNetworkArgs } from "./args";
import { NETWORK } from "./check";

export interface AzureNetwork {
  readonly nodesSubnetId: pulumi.Output<string>;
  readonly guestsSubnetId: pulumi.Output<string>;
  /** Must be there before VMs, and after them. */
  readonly resources: pulumi.Resource[];
}

export interface NetworkScope {
  readonly name: string;
  readonly args: AksPeerPodsArgs;
  readonly resourceGroupName: pulumi.Output<string>;
  readonly tags: Record<string, string>;
  readonly parent: pulumi.ComponentResource;
}

export function createNetwork({ name, args, resourceGroupName, tags, parent }: NetworkScope): AzureNetwork {
  const { addressSpace, nodes, guests } = { ...NETWORK, ...args.network };
  const place = { resourceGroupName, location: args.location, tags };
  const address = new network.PublicIPAddress(
    `${name}-egress-ip`,
    { ...place, publicIPAllocationMethod: "Static", sku: { name: "Standard" } },
    childOf(parent),
  );
  const egress = new network.NatGateway(
    `${name}-egress`,
    { ...place, publicIpAddresses: [{ id: address.id }], sku: { name: "Standard" } },
    childOf(parent),
  );
  const rules = new network.NetworkSecurityGroup(
    `${name}-guests-rules`,
    { ...place, securityRules: guestRules(nodes, guests, args.vxlanPort ?? VXLAN_PORT) },
    childOf(parent),
  );
  const vnet = new network.VirtualNetwork(
    `${name}-vnet`,
    { ...place, addressSpace: { addressPrefixes: [addressSpace] } },
    childOf(parent),
  );
  const inVnet = { resourceGroupName, virtualNetworkName: vnet.name };
  const nodesSubnet = new network.Subnet(
    `${name}-nodes-subnet`,
    { ...inVnet, subnetName: "nodes", addressPrefix: nodes },
    childOf(parent),
  );
  const guestsSubnet = new network.Subnet(
    `${name}-guests-subnet`,
    {
      ...inVnet,
      subnetName: "guests",
      addressPrefix: guests,
      natGateway: { id: egress.id },
      networkSecurityGroup: { id: rules.id },
      defaultOutboundAccess: false,
    },
    // Azure takes one write to a virtual network at a time.
    childOf(parent, { dependsOn: nodesSubnet }),
  );
  return {
    nodesSubnetId: nodesSubnet.id,
    guestsSubnetId: guestsSubnet.id,
    resources: [address, egress, rules, vnet, nodesSubnet, guestsSubnet],
  };
}

export const existingNetwork = ({ nodesSubnetId, guestsSubnetId }: ExistingAzureNetworkArgs): AzureNetwork => ({
  nodesSubnetId: pulumi.output(nodesSubnetId),
  guestsSubnetId: pulumi.output(guestsSubnetId),
  resources: [],
});

/** Workers reach the agent and the tunnel; guests do not reach each other, and nobody else reaches a guest. */
function guestRules(nodes: string, guests: string, vxlanPort: number) {
  const inbound = { direction: "Inbound", sourcePortRange: "*", destinationAddressPrefix: guests } as const;
  const fromNodes = { ...inbound, access: "Allow", sourceAddressPrefix: nodes } as const;
  return [
    { ...fromNodes, name: "agent", priority: 100, protocol: "Tcp", destinationPortRange: String(FORWARDER_PORT) },
    { ...fromNodes, name: "tunnel", priority: 110, protocol: "Udp", destinationPortRange: String(vxlanPort) },
    {
      ...inbound,
      name: "nobody-else",
      priority: 4000,
      access: "Deny",
      protocol: "*",
      sourceAddressPrefix: "*",
      destinationPortRange: "*",
    },
  ];
}
