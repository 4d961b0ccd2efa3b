/** What the roles of adaptor and controller may do, and what is kept from everybody but the ledger. */
import { adaptorStatements, controllerStatements } from "../../../components/aws/adaptor-policy";

interface Statement {
  readonly Action: readonly string[];
  readonly Condition: { readonly StringEquals: Readonly<Record<string, string>> };
}

const REACH = { region: "us-east-2", tag: { key: "sealflow-platform", value: "p/s/cloud" } };
const adaptor = adaptorStatements(REACH) as Statement[];
const controller = controllerStatements(REACH) as Statement[];
const conditionsOf = (statements: Statement[], action: string) =>
  statements.filter(({ Action }) => Action.includes(action)).map(({ Condition }) => Condition.StringEquals);

test("whoever takes over the cluster cannot tag an instance of the account to end it then", () => {
  const region = { "aws:RequestedRegion": "us-east-2" };
  const own = { ...region, "aws:ResourceTag/sealflow-platform": "p/s/cloud" };
  expect(conditionsOf(adaptor, "ec2:TerminateInstances")).toEqual([own]);
  expect(conditionsOf(controller, "ec2:TerminateInstances")).toEqual([own]);
  expect(conditionsOf(adaptor, "ec2:CreateTags")).toEqual([{ ...region, "ec2:CreateAction": "RunInstances" }]);
  expect(conditionsOf(controller, "ec2:CreateTags")).toEqual([]);
});

test("beside reads, the adaptor starts, tags and ends guests, and the controller ends them", () => {
  const changes = (statements: Statement[]) =>
    statements.flatMap(({ Action }) => Action).filter((action) => !action.startsWith("ec2:Describe"));
  expect(changes(adaptor).sort()).toEqual(["ec2:CreateTags", "ec2:RunInstances", "ec2:TerminateInstances"]);
  expect(changes(controller)).toEqual(["ec2:TerminateInstances"]);
});
