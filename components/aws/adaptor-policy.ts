/**
 * What adaptor and controller may do in EC2. Source: confidentialcontainers.org, AWS guide; the controller's two reads of
 * types and images are missing there, and its start fails without them (cloud-api-adaptor, aws/provider.go).
 */

export interface Reach {
  readonly region: string;
  /** On every guest; only what carries it can be ended. */
  readonly tag: { readonly key: string; readonly value: string };
}

const ec2 = (actions: readonly string[]): string[] => actions.map((action) => `ec2:${action}`);

const READS = [
  "DescribeInstances",
  "DescribeInstanceTypes",
  "DescribeImages",
  "DescribeAddresses",
  "DescribeSubnets",
  "DescribeSecurityGroups",
];
const MAKES = [
  "RunInstances",
  "CreateTags",
  "CreateNetworkInterface",
  "AttachNetworkInterface",
  "ModifyNetworkInterfaceAttribute",
  "AllocateAddress",
  "AssociateAddress",
];
const CLEANS = ["DeleteNetworkInterface", "DisassociateAddress", "ReleaseAddress"];

/** EC2 describes all or nothing; the rest ends at the region, and the end of an instance at the tag. */
function statements(actions: readonly string[], { region, tag }: Reach): object[] {
  const here = { "aws:RequestedRegion": region };
  return [
    { Sid: "InRegion", Effect: "Allow", Action: ec2(actions), Resource: "*", Condition: { StringEquals: here } },
    {
      Sid: "EndOwnGuests",
      Effect: "Allow",
      Action: ec2(["TerminateInstances"]),
      Resource: "*",
      Condition: { StringEquals: { ...here, [`aws:ResourceTag/${tag.key}`]: tag.value } },
    },
  ];
}

export const adaptorStatements = (reach: Reach): object[] => statements([...READS, ...MAKES, ...CLEANS], reach);

export const controllerStatements = (reach: Reach): object[] =>
  statements(["DescribeInstances", "DescribeInstanceTypes", "DescribeImages", "DescribeAddresses", ...CLEANS], reach);
