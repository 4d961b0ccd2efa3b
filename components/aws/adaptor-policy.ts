/**
 * What adaptor and controller may do in EC2. Whoever rules the cluster can take their roles, so this is what he can do to
 * the rest of the account. Source: cloud-api-adaptor, aws/provider.go, for guests with one interface and no public
 * address. The AWS guide of confidentialcontainers.org has more (interfaces and addresses, anybody's; instances of any
 * kind), and lacks the controller's two reads of types and images, without which it does not start. What a start is asked
 * for: Service Authorization Reference, Amazon EC2, RunInstances.
 */

export interface Reach {
  readonly region: string;
  /** On every guest; only what carries it can be ended. */
  readonly tag: { readonly key: string; readonly value: string };
}

/** What a guest is made of. Another image, size, subnet or security group starts nothing. */
export interface Launch {
  readonly imageId: string;
  readonly instances: readonly string[];
  readonly subnetId: string;
  readonly securityGroupIds: readonly string[];
}

const ec2 = (actions: readonly string[]): string[] => actions.map((action) => `ec2:${action}`);

/** Both build the same client; before the end of a guest it asks for addresses of the guest, which has none. */
const READS = ["DescribeInstances", "DescribeInstanceTypes", "DescribeImages", "DescribeAddresses"];
const NETWORK_READS = ["DescribeSubnets", "DescribeSecurityGroups"];

const PARTITIONS: readonly (readonly [string, string])[] = [
  ["cn-", "aws-cn"],
  ["us-gov-", "aws-us-gov"],
];

/** Of any account: the role's own is all that it reaches, and a subnet may be one that another account shares. */
function arn({ region }: Reach, resource: string, account = "*"): string {
  const partition = PARTITIONS.find(([prefix]) => region.startsWith(prefix))?.[1] ?? "aws";
  return `arn:${partition}:ec2:${region}:${account}:${resource}`;
}

/** EC2 describes all or nothing; the end of an instance ends at the tag. */
function statements(actions: readonly string[], reach: Reach): object[] {
  const here = { "aws:RequestedRegion": reach.region };
  const tagged = { [`aws:ResourceTag/${reach.tag.key}`]: reach.tag.value };
  return [
    {
      Sid: "ReadInRegion",
      Effect: "Allow",
      Action: ec2(actions),
      Resource: "*",
      Condition: { StringEquals: here },
    },
    {
      Sid: "EndOwnGuests",
      Effect: "Allow",
      Action: ec2(["TerminateInstances"]),
      Resource: arn(reach, "instance/*"),
      Condition: { StringEquals: { ...here, ...tagged } },
    },
  ];
}

/**
 * A start is allowed for each thing that it names or makes. An instance profile would need iam:PassRole, and a snapshot or
 * launch template a right on it, which there are none of.
 */
function startStatements(reach: Reach, { imageId, instances, subnetId, securityGroupIds }: Launch): object[] {
  const Action = ec2(["RunInstances"]);
  const here = { "aws:RequestedRegion": reach.region };
  const subnet = arn(reach, `subnet/${subnetId}`);
  return [
    {
      Sid: "StartGuests",
      Effect: "Allow",
      Action,
      Resource: arn(reach, "instance/*"),
      Condition: {
        StringEquals: {
          ...here,
          // What starts carries the tag, so it is found and can be ended.
          [`aws:RequestTag/${reach.tag.key}`]: reach.tag.value,
          "ec2:InstanceType": [...instances],
        },
      },
    },
    {
      Sid: "FromItsImageInItsNetwork",
      Effect: "Allow",
      Action,
      // Images have no account in their name.
      Resource: [arn(reach, `image/${imageId}`, ""), subnet].concat(
        securityGroupIds.map((id) => arn(reach, `security-group/${id}`)),
      ),
      Condition: { StringEquals: here },
    },
    {
      // Not an interface of others that is free, with their address and groups.
      Sid: "WithAnInterfaceThere",
      Effect: "Allow",
      Action,
      Resource: arn(reach, "network-interface/*"),
      Condition: { StringEquals: here, ArnLike: { "ec2:Subnet": subnet } },
    },
    {
      // The adaptor takes the workers' key pair where they have one: the public half of a key, for a guest without sshd.
      Sid: "WithADisk",
      Effect: "Allow",
      Action,
      Resource: [arn(reach, "volume/*"), arn(reach, "key-pair/*")],
      Condition: { StringEquals: here },
    },
  ];
}

/** Guests are tagged as they are made. Tags for what is there already would let it end any instance of the account. */
export const adaptorStatements = (reach: Reach, launch: Launch): object[] => [
  ...statements([...READS, ...NETWORK_READS], reach),
  ...startStatements(reach, launch),
  {
    Sid: "TagOwnGuests",
    Effect: "Allow",
    Action: ec2(["CreateTags"]),
    Resource: arn(reach, "instance/*"),
    Condition: { StringEquals: { "aws:RequestedRegion": reach.region, "ec2:CreateAction": "RunInstances" } },
  },
];

export const controllerStatements = (reach: Reach): object[] => statements(READS, reach);
