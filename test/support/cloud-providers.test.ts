/** The stand-in clouds notice what the real ones would: a test that passes against them has to mean something. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { Declarations } from "./cloud-providers/declarations";
import { strike } from "./cloud-providers/faults";
import { inputProblems } from "./cloud-providers/shapes";
import { Store } from "./cloud-providers/store";

const azure = new Declarations("azure-native");
const aws = new Declarations("aws");

function problems(sdk: Declarations, token: string, inputs: object): string[] {
  const declaration = sdk.resource(token);
  if (!declaration) throw new Error(`no ${token}`);
  return inputProblems(declaration.inputs, inputs as never);
}

const SUBNET = { resourceGroupName: "g", virtualNetworkName: "v" };
const POOL = { resourceGroupName: "g", resourceName: "c" };

test.each([
  [
    "a wrong name",
    azure,
    "azure-native:network:Subnet",
    { ...SUBNET, addresPrefix: "10.0.0.0/8" },
    /addresPrefix: the SDK has no such property/,
  ],
  [
    "a wrong name inside",
    azure,
    "azure-native:network:Subnet",
    { ...SUBNET, natGateway: { ids: "x" } },
    /natGateway\.ids: the SDK has no such/,
  ],
  [
    "a wrong name in a list",
    azure,
    "azure-native:network:NetworkSecurityGroup",
    { resourceGroupName: "g", securityRules: [{ nam: "x" }] },
    /securityRules\[0\]\.nam: the SDK/,
  ],
  ["a missing one", azure, "azure-native:network:Subnet", { resourceGroupName: "g" }, /virtualNetworkName: required/],
  [
    "a number for a text",
    azure,
    "azure-native:containerservice:AgentPool",
    { ...POOL, vmSize: 4 },
    /vmSize: expected a string, found a number/,
  ],
  [
    "a text for a number",
    azure,
    "azure-native:containerservice:AgentPool",
    { ...POOL, count: "2" },
    /count: expected a number/,
  ],
  [
    "a value outside of a closed list",
    azure,
    "azure-native:containerservice:ManagedCluster",
    { resourceGroupName: "g", identity: { type: "Nobody" } },
    /identity\.type: "Nobody" is none of/,
  ],
  [
    "a name of another cloud",
    aws,
    "aws:ec2/launchTemplate:LaunchTemplate",
    { cpuOptions: { amdSevSNP: "enabled" } },
    /cpuOptions\.amdSevSNP: the SDK/,
  ],
  ["a list for a map", aws, "aws:ec2/vpc:Vpc", { tags: ["a"] }, /tags: expected a map, found a list/],
])("%s is refused", (_what, sdk, token, inputs, words) => {
  expect(problems(sdk, token, inputs).join("\n")).toMatch(words);
});

test("what the types allow passes", () => {
  const inputs = { ...SUBNET, addressPrefix: "10.0.0.0/8", natGateway: { id: "x" }, defaultOutboundAccess: false };
  expect(problems(azure, "azure-native:network:Subnet", inputs)).toEqual([]);
  expect(problems(aws, "aws:ec2/launchTemplate:LaunchTemplate", { cpuOptions: { amdSevSnp: "enabled" } })).toEqual([]);
});

test("a resource that the SDK does not have is known as such", () => {
  expect(azure.resource("azure-native:network:Sublet")).toBeUndefined();
  expect(aws.resource("aws:ec2/vpn:Vpc")).toBeUndefined();
});

describe("a fault", () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(path.join(tmpdir(), "sealflow-cloud-"));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));
  const tries = async (store: Store, n: number): Promise<boolean[]> => {
    const fine: boolean[] = [];
    for (let i = 0; i < n; i++) {
      fine.push(
        await strike(store, "create", "type", "name").then(
          () => true,
          () => false,
        ),
      );
    }
    return fine;
  };

  test("strikes at the call it is meant for, as often as it says, and is known to the next process", async () => {
    const store = new Store(dir);
    store.faults = [{ on: "create", of: "name", after: 1, times: 2, kind: "quota" }];
    expect(await tries(store, 2)).toEqual([true, false]);
    expect(await tries(new Store(dir), 3)).toEqual([false, true, true]);
  });

  test("for good stays, and another name is spared", async () => {
    const store = new Store(dir);
    store.faults = [{ on: "create", of: "name", kind: "conflict", times: null }];
    expect(await tries(store, 3)).toEqual([false, false, false]);
    await expect(strike(store, "create", "type", "other")).resolves.toBeUndefined();
  });

  test("slow takes its time", async () => {
    const store = new Store(dir);
    store.faults = [{ on: "create", kind: "slow", ms: 60 }];
    const start = Date.now();
    expect(await tries(store, 1)).toEqual([true]);
    expect(Date.now() - start).toBeGreaterThanOrEqual(55);
  });
});
