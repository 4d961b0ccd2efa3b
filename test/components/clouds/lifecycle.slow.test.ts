/** The platforms of both clouds through the real engine, from the first preview to the end. */
import { readFileSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { deletionProblems, type Part, partsOf } from "../../../model/platforms";
import { leakPodInstance } from "../../support/cloud-providers/aws";
import { leakPodVm } from "../../support/cloud-providers/azure";
import { EngineStack } from "../../support/engine-stack";
import { graphText, orderProblems } from "../../support/graph";

const MODULE = path.join(__dirname, "programs.ts");

/** Tag that the adaptor puts on guests. */
const OWNER = { "sealflow-platform": "project/dev/cloud" };

interface Cloud {
  readonly pkg: "azure-native" | "aws";
  readonly program: string;
  /** Which part of a platform a resource is, by its name. */
  readonly parts: readonly (readonly [RegExp, Part])[];
  /** What another number of workers changes. */
  readonly workers: string;
}

const CLOUDS: readonly Cloud[] = [
  {
    pkg: "azure-native",
    program: "azurePeerPods",
    workers: "cloud-workers",
    parts: [
      [/^cloud-(vnet|guests-subnet|nodes-subnet)$/, "network"],
      [/^cloud-adaptor-(makes-guests|reads-guests|joins-subnet)$/, "roles"],
      [/^cloud-adaptor-(cloud-api|peerpodctrl)/, "federation"],
      [/^cloud-adaptor$/, "identity"],
      [/^cloud-aks$/, "cluster"],
      [/^cloud-workers$/, "workers"],
    ],
  },
  {
    pkg: "aws",
    program: "awsPeerPods",
    workers: "cloud-workers",
    parts: [
      [/^cloud-(vpc|nodes-[ab]|guests)$/, "network"],
      [/^cloud-(adaptor|controller)(-policy)?$/, "federation"],
      [/^cloud-eks$/, "cluster"],
      [/^cloud-workers$/, "workers"],
    ],
  },
];

describe.each(CLOUDS)("$pkg", ({ pkg, program, parts, workers }) => {
  let stack: EngineStack;
  beforeAll(async () => {
    stack = await EngineStack.create({ module: MODULE });
  }, 60_000);
  afterAll(() => stack?.close());

  const cloud = () => stack.cloud(pkg);
  const ok = async (step: Promise<{ ok: boolean; text: string }>): Promise<string> => {
    const { ok: fine, text } = await step;
    if (!fine) throw new Error(text);
    return text;
  };

  test("a first preview knows no kubeconfig, shows every resource, and touches nothing", async () => {
    await stack.program(program);
    const text = await ok(stack.preview());
    expect(text).toMatch(/chart +: \[unknown\]/);
    expect(text).toMatch(/kubeconfig: \[secret\]/);
    expect(cloud().all()).toEqual([]);
    await ok(stack.up());
    const planned = Number(/\+ (\d+) to create/.exec(text)?.[1]);
    expect(planned).toBe(stack.state().filter(({ type }) => !type.startsWith("pulumi:providers:")).length);
  }, 120_000);

  test("a second preview has no changes, and neither has one after a refresh", async () => {
    await ok(stack.preview("--expect-no-changes"));
    await ok(stack.refresh());
    await ok(stack.preview("--expect-no-changes"));
  }, 120_000);

  test("a region that lists other zones later changes nothing", async () => {
    cloud().settings = { ...cloud().settings, zones: "bcd" };
    await ok(stack.preview("--expect-no-changes"));
    cloud().settings = { ...cloud().settings, zones: "abc" };
  }, 120_000);

  test("the graph is as reviewed", () => {
    const file = path.join(__dirname, "graphs", `${program}.txt`);
    const text = graphText(stack.state());
    if (process.env.SEALFLOW_WRITE_VECTORS) writeFileSync(file, text);
    expect(text).toBe(readFileSync(file, "utf8"));
  });

  test("another number of workers changes the workers alone", async () => {
    const before = cloud().calls().length;
    await stack.program(program, { workers: { count: 3 } });
    await ok(stack.up());
    const changes = cloud()
      .calls()
      .slice(before)
      .filter(({ method }) => !["invoke", "read"].includes(method));
    expect(changes.map(({ method, name }) => `${method} ${name}`)).toEqual([`update ${workers}`]);
  }, 120_000);

  test("another setting of the adaptor changes the label that rolls its DaemonSet", async () => {
    const label = async () => {
      const { chart } = (await stack.outputs()) as { chart: { values: { daemonset: { podLabels: object } } } };
      return (chart.values.daemonset.podLabels as Record<string, string>)["sealflow.config"];
    };
    const old = await label();
    await stack.program(program, { workers: { count: 3 }, limitPerWorker: 3 });
    await ok(stack.up());
    expect(await label()).not.toBe(old);
  }, 120_000);

  test("what was deleted behind Pulumi's back comes again", async () => {
    const lost = cloud()
      .all()
      .find(({ name }) => name === workers);
    cloud().remove(lost?.id ?? "");
    await ok(stack.refresh());
    expect(await ok(stack.up())).toMatch(/\+ 1 created/);
  }, 120_000);

  test("access to the cluster is in no exported state in clear", async () => {
    const { kubeconfig } = (await stack.outputs()) as { kubeconfig: string };
    const known = pkg === "aws" ? "get-token" : "planted-cluster-token";
    expect(kubeconfig).toContain(known);
    expect(stack.exported()).not.toContain(known);
  }, 120_000);

  test("a guest that was left behind holds its subnet: Azure's goes with its resource group, AWS's stops destroy", async () => {
    const idOf = (name: string) =>
      cloud()
        .all()
        .find((resource) => resource.name === name)?.id ?? "";
    if (pkg === "azure-native") {
      leakPodVm(cloud(), idOf("cloud-guests"), idOf("cloud-guests-subnet"), OWNER);
      return; // and the next test finds nothing left
    }
    leakPodInstance(cloud(), idOf("cloud-guests"), OWNER);
    const { sweep } = (await stack.outputs()) as { sweep: { list: string[] } };
    expect(sweep.list.join("\n")).toContain("Name=tag:sealflow-platform,Values=project/dev/cloud");
    const stopped = await stack.destroy();
    expect(stopped).toMatchObject({ ok: false });
    expect(stopped.text).toMatch(/DependencyViolation: subnet-\w+ has dependencies \(i-0123456789abcdef0\)/);
    cloud().remove("i-0123456789abcdef0");
    await stack.program(program);
    await ok(stack.up()); // all again: the walk below is to see a whole destroy
  }, 120_000);

  test("destroy deletes nothing before what needs it, and leaves nothing", async () => {
    const state = stack.state();
    const before = cloud().calls().length;
    await ok(stack.destroy());
    const calls = cloud().calls().slice(before);
    expect(calls.filter(({ error }) => error !== undefined)).toEqual([]);
    expect(orderProblems(state, calls)).toEqual([]);
    const deleted = calls.flatMap(({ method, name }) => {
      const part = method === "delete" ? parts.find(([pattern]) => pattern.test(name))?.[1] : undefined;
      return part ?? [];
    });
    expect(new Set(deleted)).toEqual(new Set(parts.map(([, part]) => part)));
    expect(deletionProblems(partsOf("peer-pods"), deleted)).toEqual([]);
    expect(cloud().all()).toEqual([]);
  }, 120_000);
});
