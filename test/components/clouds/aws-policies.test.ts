/** What the roles of adaptor and controller may do, and what is kept from everybody but the ledger. */
import { adaptorStatements, controllerStatements } from "../../../components/aws/adaptor-policy";
import { keyStatements } from "../../../components/aws/bucket-policy";

interface Statement {
  readonly Action: readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

const TAG = { key: "sealflow-platform", value: "p/s/cloud" };
const REACH = { region: "us-east-2", tag: TAG };
const LAUNCH = {
  imageId: "ami-0ours",
  instances: ["m6a.large", "c6a.large"],
  subnetId: "subnet-guests",
  securityGroupIds: ["sg-guests"],
};
const adaptor = adaptorStatements(REACH, LAUNCH) as Statement[];
const controller = controllerStatements(REACH) as Statement[];
const of = (statements: Statement[], action: string) => statements.filter(({ Action }) => Action.includes(action));
const conditionsOf = (statements: Statement[], action: string) =>
  of(statements, action).map(({ Condition }) => Condition.StringEquals);

/** `*` stands for anything; what else is in a pattern stands for itself. */
const like = (pattern: string, text: string): boolean =>
  new RegExp(
    `^${pattern
      .split("*")
      .map((part) => part.replace(/[.^$+?()[\]{}|\\/]/g, "\\$&"))
      .join(".*")}$`,
  ).test(text);

type Context = Readonly<Record<string, string>>;
const HERE = { "aws:RequestedRegion": "us-east-2" };

/** As EC2 judges a start: each thing that it names or makes, with what is known of that thing, needs a statement. */
function mayStart(things: Readonly<Record<string, Context>>): boolean {
  return Object.entries(things).every(([resource, more]) =>
    of(adaptor, "ec2:RunInstances").some(({ Resource, Condition }) => {
      const known: Context = { ...HERE, ...more };
      const met = (kind: string, test: (wanted: string, found: string) => boolean) =>
        Object.entries(Condition[kind] ?? {}).every(([key, wanted]) =>
          [wanted].flat().some((one) => known[key] !== undefined && test(one, known[key])),
        );
      return (
        Object.keys(Condition).every((kind) => ["StringEquals", "ArnLike"].includes(kind)) &&
        [Resource].flat().some((pattern) => like(pattern, resource)) &&
        met("StringEquals", (wanted, found) => wanted === found) &&
        met("ArnLike", like)
      );
    }),
  );
}

const arn = (resource: string, account = "111122223333") => `arn:aws:ec2:us-east-2:${account}:${resource}`;
const INSTANCE = { "aws:RequestTag/sealflow-platform": "p/s/cloud", "ec2:InstanceType": "m6a.large" };
const SUBNET = { "ec2:Subnet": arn("subnet/subnet-guests") };
/** What the adaptor's own request is judged by. */
const GUEST: Readonly<Record<string, Context>> = {
  [arn("instance/*")]: INSTANCE,
  [arn("image/ami-0ours", "")]: {},
  [arn("subnet/subnet-guests")]: {},
  [arn("security-group/sg-guests")]: {},
  [arn("network-interface/*")]: SUBNET,
  [arn("volume/*")]: {},
};
const without = (resource: string) => Object.fromEntries(Object.entries(GUEST).filter(([name]) => name !== resource));

test("whoever takes over the cluster cannot tag an instance of the account to end it then", () => {
  const region = { "aws:RequestedRegion": "us-east-2" };
  const own = { ...region, "aws:ResourceTag/sealflow-platform": "p/s/cloud" };
  expect(conditionsOf(adaptor, "ec2:TerminateInstances")).toEqual([own]);
  expect(conditionsOf(controller, "ec2:TerminateInstances")).toEqual([own]);
  expect(conditionsOf(adaptor, "ec2:CreateTags")).toEqual([{ ...region, "ec2:CreateAction": "RunInstances" }]);
  expect(of(adaptor, "ec2:CreateTags").map(({ Resource }) => Resource)).toEqual([arn("instance/*", "*")]);
  expect(conditionsOf(controller, "ec2:CreateTags")).toEqual([]);
});

test("beside reads, the adaptor starts, tags and ends guests, and the controller ends them", () => {
  const changes = (statements: Statement[]) =>
    [...new Set(statements.flatMap(({ Action }) => Action))].filter((action) => !action.startsWith("ec2:Describe"));
  expect(changes(adaptor).sort()).toEqual(["ec2:CreateTags", "ec2:RunInstances", "ec2:TerminateInstances"]);
  expect(changes(controller)).toEqual(["ec2:TerminateInstances"]);
});

test("the adaptor starts guests as it makes them, of every size of the platform, with the workers' key pair and without", () => {
  expect(mayStart(GUEST)).toBe(true);
  expect(mayStart({ ...GUEST, [arn("instance/*")]: { ...INSTANCE, "ec2:InstanceType": "c6a.large" } })).toBe(true);
  expect(mayStart({ ...GUEST, [arn("key-pair/workers")]: {} })).toBe(true);
  // A subnet that another account shares.
  const shared = { [arn("subnet/subnet-guests", "999988887777")]: {} };
  expect(mayStart({ ...without(arn("subnet/subnet-guests")), ...shared })).toBe(true);
});

test.each<[string, Readonly<Record<string, Context>>]>([
  ["another size", { [arn("instance/*")]: { ...INSTANCE, "ec2:InstanceType": "p5.48xlarge" } }],
  ["no tag, so that nobody finds it", { [arn("instance/*")]: { "ec2:InstanceType": "m6a.large" } }],
  [
    "the tag of another platform",
    { [arn("instance/*")]: { ...INSTANCE, "aws:RequestTag/sealflow-platform": "p/s/x" } },
  ],
  ["another region", { [arn("instance/*")]: { ...INSTANCE, "aws:RequestedRegion": "eu-west-1" } }],
  ["another image", { [arn("image/ami-0theirs", "")]: {} }],
  ["another subnet", { [arn("subnet/subnet-database")]: {} }],
  ["another security group", { [arn("security-group/sg-database")]: {} }],
  ["an interface of others that is free", { [arn("network-interface/eni-9")]: { "ec2:Subnet": arn("subnet/other") } }],
  ["a snapshot of others as a disk", { [arn("snapshot/snap-1", "")]: {} }],
  ["a launch template", { [arn("launch-template/lt-1")]: {} }],
  ["a capacity reservation", { [arn("capacity-reservation/cr-1")]: {} }],
])("whoever takes over the cluster starts no instance with %s", (_what, things) => {
  expect(mayStart({ ...GUEST, ...things })).toBe(false);
});

test("other partitions have their own names", () => {
  const [first] = of(
    adaptorStatements({ ...REACH, region: "us-gov-west-1" }, LAUNCH) as Statement[],
    "ec2:RunInstances",
  );
  expect(first?.Resource).toBe("arn:aws-us-gov:ec2:us-gov-west-1:*:instance/*");
});

test("nobody in the account uses the key of the ledger's objects, nor gives its use to others by a grant", () => {
  const [administer, use] = keyStatements("111122223333", "arn:aws:iam::111122223333:role/ledger") as Statement[];
  expect(administer?.Action.filter((action) => action.includes("*"))).toEqual([]);
  const uses =
    /:(Create|Decrypt|Encrypt|GenerateDataKey|ReEncrypt|Sign|DeriveSharedSecret|GenerateMac|ReplicateKey|Import)/;
  expect(administer?.Action.filter((action) => uses.test(action))).toEqual([]);
  // Without these the program could neither keep nor delete it.
  for (const needed of ["PutKeyPolicy", "DescribeKey", "GetKeyPolicy", "EnableKeyRotation", "ScheduleKeyDeletion"]) {
    expect(administer?.Action).toContain(`kms:${needed}`);
  }
  expect(use?.Action).toEqual(["kms:Decrypt", "kms:GenerateDataKey"]);
});
