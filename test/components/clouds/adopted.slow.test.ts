/** Platforms on networks and clusters that are there, and confidential nodes, in both clouds: what was given stays as it is. */
import { readFileSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { EngineStack } from "../../support/engine-stack";
import { graphText, orderProblems } from "../../support/graph";
import { GIVEN_EKS, give, onlyGiven } from "./given";

let stack: EngineStack;
beforeAll(async () => {
  stack = await EngineStack.create({ module: path.join(__dirname, "programs.ts") });
  give(stack.cloud("azure-native"), stack.cloud("aws"));
  await stack.program("adopted");
}, 120_000);
afterAll(() => stack?.close());

const clouds = () => [stack.cloud("azure-native"), stack.cloud("aws")];
const inputs = (pkg: string, name: string) =>
  stack
    .cloud(pkg)
    .all()
    .find((resource) => resource.name === name)?.inputs as Record<string, never>;

test("up, a second preview without changes, and one after a refresh", async () => {
  expect(await stack.up()).toMatchObject({ ok: true });
  expect(await stack.preview("--expect-no-changes")).toMatchObject({ ok: true });
  expect(await stack.refresh()).toMatchObject({ ok: true });
  expect(await stack.preview("--expect-no-changes")).toMatchObject({ ok: true });
}, 120_000);

test("the graph is as reviewed: no network, no cluster", () => {
  const file = path.join(__dirname, "graphs", "adopted.txt");
  const text = graphText(stack.state());
  if (process.env.SEALFLOW_WRITE_VECTORS) writeFileSync(file, text);
  expect(text).toBe(readFileSync(file, "utf8"));
  expect(text).not.toMatch(/VirtualNetwork|ManagedCluster|ec2\/vpc:Vpc|eks\/cluster:Cluster/);
});

test("confidential nodes are: by their size on Azure, by the option of their processor on AWS", () => {
  expect(inputs("azure-native", "azure-cvm-pool")).toMatchObject({ vmSize: "Standard_DC4as_v5", enableFIPS: false });
  const template = inputs("aws", "aws-cvm-template");
  expect(template).toMatchObject({ cpuOptions: { amdSevSnp: "enabled" }, metadataOptions: { httpTokens: "required" } });
  expect(Buffer.from(template.userData ?? "", "base64").toString("utf8")).toContain("172.20.0.0/16");
});

test("access to the given cluster is in no exported state in clear", () => {
  expect(stack.exported()).not.toContain(GIVEN_EKS.kubeconfig);
});

test("destroy deletes nothing before what needs it, and nothing that was given", async () => {
  const state = stack.state();
  const before = clouds().map((cloud) => cloud.calls().length);
  expect(await stack.destroy()).toMatchObject({ ok: true });
  const calls = clouds().flatMap((cloud, i) => cloud.calls().slice(before[i]));
  expect(calls.filter(({ error }) => error !== undefined)).toEqual([]);
  expect(orderProblems(state, calls)).toEqual([]);
  expect(clouds().map(onlyGiven)).toEqual([true, true]);
}, 120_000);
