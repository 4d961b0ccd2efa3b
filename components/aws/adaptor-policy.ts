/**
 * What adaptor and controller may do in EC2. Whoever rules the cluster can take their roles, so this is what he can do to
 * the rest of the account. Source: cloud-api-adaptor, aws/provider.go, for guests with one interface and no public
 * address. The AWS guide of confidentialcontainers.org has more (interfaces and addresses, anybody's), and lacks the
 * controller's two reads of types and images, without which it does not start.
 */

export interface Reach {
  readonly region: string;
  /** On every guest; only what carries it can be ended. */
  readonly tag: { readonly key: string; readonly value: string };
}

const ec2 = (actions: readonly string[]): string[] => actions.map((action) => `ec2:${action}`);

/** Both build the same client; before the end of a guest it asks for addresses of the guest, which has none. */
const READS = ["DescribeInstances", "DescribeInstanceTypes", "DescribeImages", "DescribeAddresses"];
const NETWORK_READS = ["DescribeSubnets", "DescribeSecurityGroups"];

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

/** Guests are tagged as they are made. Tags for what is there already would let it end any instance of the account. */
export const adaptorStatements = (reach: Reach): object[] => [
  ...statements([...READS, ...NETWORK_READS, "RunInstances"], reach),
  {
    Sid: "TagOwnGuests",
    Effect: "Allow",
    Action: ec2(["CreateTags"]),
    Resource: "*",
    Condition: { StringEquals: { "aws:RequestedRegion": reach.region, "ec2:CreateAction": "RunInstances" } },
  },
];

export const controllerStatements = (reach: Reach): object[] => statements(READS, reach);
