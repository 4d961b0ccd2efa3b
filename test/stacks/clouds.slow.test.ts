/**
 * stacks/azure.ts, stacks/aws.ts and stacks/baremetal.ts as they are, from the first `up` to `destroy`, on the real engine:
 * clouds are the stand-ins, their clusters answer with a real API server, whose one node simulates guests. No network.
 */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { FILLED } from "../../bench/support/filled";
import { deletionProblems, type Part, type PlatformModel, partsOf } from "../../model/platforms";
import { HttpsClient } from "../../relying-party/http/client";
import { sampleHandshake } from "../../relying-party/kbs-client";
import { type Cluster, clusterMissing, startCluster } from "../../tools/cluster";
import type { KubernetesNode } from "../../untrusted/node/kubernetes";
import { ok, sealflow } from "../support/cli";
import { leakPodInstance } from "../support/cloud-providers/aws";
import { leakPodVm, SUBSCRIPTION } from "../support/cloud-providers/azure";
import type { Call } from "../support/cloud-providers/store";
import { deletionsOf, namesOf, walkProblems } from "../support/graph";
import { type GrantedGuest, guestsOf, playHardware } from "../support/played-hardware";
import { createStackProject, relyingPartyFilled, type StackProject } from "../support/stack-project";
import { scanState } from "../support/state-secrets";
import { kubectl, offerGuests, runtimeClassOf, sealflowObjects, startNode } from "../support/test-cluster";

jest.setTimeout(600_000);

const missing = clusterMissing({ argo: true });
if (missing) console.log(`skipped: whole stacks of clouds: ${missing}`);
const suite = missing ? describe.skip : describe;

let cluster: Cluster;
let project: StackProject;
let node: KubernetesNode;
let token: string;

beforeAll(async () => {
  if (missing) return;
  project = createStackProject();
  cluster = await startCluster({ argo: true });
  const helm = path.join(project.dir, "helm");
  mkdirSync(helm);
  // What the charts' installers come to.
  const markers = {
    peerpods: [runtimeClassOf("kata-remote")],
    "confidential-containers": [runtimeClassOf("kata-qemu-snp")],
  };
  writeFileSync(path.join(helm, "markers.json"), JSON.stringify(markers));
  const read = (file: string) => readFileSync(file, "utf8");
  token = read(path.join(cluster.dir, "admin.token"));
  const admin = JSON.parse(read(cluster.kubeconfig));
  const bin = path.join(project.dir, "bin");
  mkdirSync(bin);
  for (const name of ["az", "aws"])
    symlinkSync(path.resolve(__dirname, "../support/cloud-commands.js"), path.join(bin, name));
  Object.assign(project.env, {
    PATH: [bin, project.env.PATH ?? process.env.PATH].join(path.delimiter),
    SEALFLOW_TEST_HELM: helm,
    PULUMI_DEBUG_COMMANDS: "true", // gives it --event-log
    SEALFLOW_TEST_CLUSTER_TOKEN: token,
    SEALFLOW_KBS_ADMIN_KEY_FILE: path.join(project.home, "dev/admin-key.jwk"),
  });
  for (const resource of GIVEN) project.cloud("azure-native").put(resource);
  project.cloud("azure-native").settings = { kubeconfig: read(cluster.kubeconfig) };
  project.cloud("aws").settings = {
    endpoint: cluster.url,
    authority: admin.clusters[0].cluster["certificate-authority-data"],
  };
  await ok(project, ["dev", "--detach"], project.env);
  node = await startNode(cluster, project, {
    "node.kubernetes.io/worker": "",
    "amd.feature.node.kubernetes.io/snp": "true",
  });
  offerGuests(cluster, 20);
});
afterAll(async () => {
  if (missing) return;
  await node?.stop();
  await cluster?.stop();
  if (!project) return;
  await sealflow(project, ["dev", "--stop"]);
  project.remove();
});

const connection = () => JSON.parse(readFileSync(path.join(project.home, "connection.json"), "utf8"));
const releases = () =>
  JSON.parse(readFileSync(path.join(project.env.SEALFLOW_TEST_HELM as string, "releases.json"), "utf8"));

const up = (stack: string) => project.pulumi("up", "--yes", "--skip-preview", "-s", stack);
const PRINCIPAL = "77777777-8888-4999-aaaa-bbbbbbbbbbbb";
/** Of the ledger, whose identities are made elsewhere. */
const STORAGE: Readonly<Record<string, string>> = {
  azure: `  sealflow:ledgerPrincipalId: ${PRINCIPAL}\n  sealflow:storageGroup: storage\n`,
  aws: "  sealflow:ledgerRoleArn: arn:aws:iam::123456789012:role/ledger\n",
};
/** What is in the cloud before the stack, and after it. */
const GIVEN = [
  { id: `/subscriptions/${SUBSCRIPTION}/resourceGroups/storage`, outputs: {} },
  { id: "ledger", outputs: { principalId: PRINCIPAL } },
].map((resource) => ({ ...resource, type: "given", name: "", inputs: {} }));

async function configure(stack: string): Promise<void> {
  const { kbsUrl, ledgerUrl, ledgerKey, caPem } = connection();
  const party = relyingPartyFilled(caPem, { kbsUrl, ledgerUrl, ledgerKey });
  const { stdout } = await ok(project, ["keys", "new", `${stack}.jwk`, "--run"]);
  const runKeys = `  sealflow:runKeys: [${stdout.split("\n")[0]}]\n`;
  const template = project.template(stack, { ...FILLED, ...party });
  // Hosts here have no TEE, which the checks would say.
  const unchecked = template.replace(/ {2}sealflow:preflight:\n(?: {4}.*\n)+/, "");
  await project.init(stack, `${unchecked}${runKeys}${STORAGE[stack] ?? ""}`);
}

/** Which part of a platform a resource is, by its name; the same patterns for all stacks, each has some of them. */
const PARTS_BY_NAME: readonly (readonly [RegExp, Part])[] = [
  [/^cloud-(vnet|vpc|guests-subnet|nodes-subnet|nodes-[ab])$/, "network"],
  [/^cloud-adaptor-(makes-guests|reads-guests|joins-subnet)$/, "roles"],
  [/^cloud-adaptor-(cloud-api|peerpodctrl)/, "federation"],
  [/^cloud-(adaptor|controller)-policy$/, "federation"],
  [/^cloud-(aks|eks)$/, "cluster"],
  [/^cloud-workers$/, "workers"],
  [/^runtime-cert-manager$/, "certificates"],
  [/^runtime-namespace$/, "namespace"],
  [/^runtime-adaptor-secret$/, "adaptorSecret"],
  [/^runtime-peer-pods$/, "adaptor"],
  [/^runtime-kata$/, "runtime"],
  [/^(spam-workflow|argo-(?!namespace))/, "workloads"],
];
const partOf = (name: string): Part | undefined => PARTS_BY_NAME.find(([pattern]) => pattern.test(name))?.[1];

/** Goes with what cannot be made again. */
const KEPT: Readonly<Record<string, readonly string[]>> = {
  azure: ["azure-native:storage:BlobContainer", "azure-native:storage:StorageAccount"],
};

/**
 * Gives up what is protected, and everything else; nothing goes before what needs it.
 * @param parts that the walk must have met.
 */
async function destroy(stack: string, model: PlatformModel, parts: readonly Part[]): Promise<void> {
  const state = await project.state(stack);
  const kept = state.filter(({ protect }) => protect);
  expect(kept.map(({ type }) => type).sort()).toEqual([...(KEPT[stack] ?? []), "sealflow:index:PipelineKeys"]);
  for (const { urn } of kept) await project.pulumi("state", "unprotect", "--yes", "-s", stack, urn);
  const log = path.join(project.dir, `${stack}.events`);
  await project.pulumi("destroy", "--yes", "--skip-preview", "--event-log", log, "-s", stack);
  const deletions = deletionsOf(readFileSync(log, "utf8"));
  expect(walkProblems(state, deletions)).toEqual([]);
  const deleted = namesOf(deletions).flatMap((name) => partOf(name) ?? []);
  expect(new Set(deleted)).toEqual(new Set(parts));
  expect(deletionProblems(partsOf(model), deleted)).toEqual([]);
  expect(sealflowObjects(cluster)).toBe("");
  expect(releases()).toEqual({});
}

/** Neither the cluster's token nor the admin's key, nor anything that the state itself calls a secret. */
async function expectNoSecretInClear(stack: string): Promise<void> {
  const { d } = JSON.parse(readFileSync(path.join(project.home, "dev/admin-key.jwk"), "utf8"));
  const { secrets, hits } = await scanState(project, stack, [token, d]);
  expect(secrets).toBeGreaterThan(1); // the root, and the kubeconfig
  expect(hits).toEqual([]);
}

const changesOf = (calls: readonly Call[]): string[] =>
  calls.filter(({ method }) => !["invoke", "read"].includes(method)).map(({ method, name }) => `${method} ${name}`);

/** Initdata annotations of all steps, as the cluster has them. */
const annotations = (): string[] => {
  const text = kubectl(cluster, ["get", "workflowtemplates", "-A", "-o", "json"]);
  const found = [...text.matchAll(/cc_init_data[\\"]*:\s*[\\"]*([A-Za-z0-9+/=]+)/g)];
  return [...new Set(found.map(([, annotation = ""]) => annotation))];
};

suite.each([
  { stack: "azure", pkg: "azure-native" as const, chart: "peerpods" },
  { stack: "aws", pkg: "aws" as const, chart: "peerpods" },
])("stacks/$stack.ts", ({ stack, pkg, chart }) => {
  it("comes up, the pipeline in the cluster that the cloud gave, and a second preview has no changes", async () => {
    await configure(stack);
    const { stdout } = await up(stack);
    expect(stdout).toMatch(
      /storeUrl +: "(?:https:\/\/\w+\.blob\.core\.windows\.net\/objects|s3:\/\/objects-bucket-\w+\?region=us-east-2)"/,
    );
    expect(Object.values(releases()).map((release) => (release as { chart: string }).chart.split("/").pop())).toContain(
      chart,
    );
    expect(sealflowObjects(cluster)).toMatch(/workflowtemplate/);
    await project.pulumi("preview", "--expect-no-changes", "-s", stack);
  });

  it("another number of workers changes the workers alone, and nothing of the pipeline", async () => {
    const before = project.cloud(pkg).calls().length;
    await project.pulumi("config", "set", "workers", "3", "-s", stack);
    const { stdout } = await up(stack);
    expect(changesOf(project.cloud(pkg).calls().slice(before))).toEqual(["update cloud-workers"]);
    expect(stdout).toMatch(/~ 1 updated\n\s+\d+ unchanged/);
  });

  it("its exported state shows no secret", () => expectNoSecretInClear(stack));

  if (stack === "azure") {
    it("a simulated guest gets no key of the hardware's; in its place, granted the same, it runs to verified receipts", async () => {
      const { kbsUrl, caPem } = connection();
      const guests = await guestsOf(project, "az-snp-vtpm", annotations());
      expect(guests).toHaveLength(7);
      const [{ initdata, paths }] = guests as [GrantedGuest];
      const http = new HttpsClient({ url: kbsUrl, caPem, timeoutMs: 15_000 });
      const pretender = await sampleHandshake(http, initdata);
      await expect(pretender.resource(paths[0] as string)).rejects.toMatchObject({ code: "DENIED" });
      http.close();
      await playHardware(project, guests);
      await ok(project, ["connect", ".sealflow/pipelines/azure/spam.json", "--run-key", "azure.jwk"]);
      const { stdout } = await ok(project, ["run", "--json"], { ...project.env, KUBECONFIG: cluster.kubeconfig });
      const summary = JSON.parse(stdout);
      expect(summary).toMatchObject({ state: "succeeded", receiptsExpected: 7 });
      const fetched = await ok(project, ["fetch", summary.run, "--out", "fetched"], project.env);
      expect(fetched.stdout).toMatch(/receipts verified: 7\/7/);
    });
  }

  it("a guest that was left behind is listed by `sealflow sweep`, and goes only with --delete", async () => {
    const cloud = project.cloud(pkg);
    const idOf = (name: string) => cloud.all().find((resource) => resource.name === name)?.id ?? "";
    const owner = { "sealflow-platform": `sealflow/${stack}/cloud` };
    const before = cloud.all().length;
    const other = { "sealflow-platform": "sealflow/another/cloud" };
    if (stack === "azure") leakPodVm(cloud, idOf("cloud-guests"), idOf("cloud-guests-subnet"), owner);
    else leakPodInstance(cloud, idOf("cloud-guests"), owner);
    const stranger = { id: "stranger", type: "AWS::EC2::Instance", name: "", inputs: { tags: other }, outputs: {} };
    cloud.put(stranger);
    const leaked = cloud.all().length - before - 1;
    const listed = await ok(project, ["sweep", "--stack", stack], project.env);
    expect(listed.stdout).toContain(`${leaked} left behind`);
    expect(listed.stdout).not.toContain("stranger");
    expect(cloud.all()).toHaveLength(before + leaked + 1);
    expect((await ok(project, ["sweep", "--stack", stack, "--delete"], project.env)).stdout).toContain(
      `${leaked} deleted`,
    );
    expect(cloud.all()).toHaveLength(before + 1);
    cloud.remove("stranger");
    expect((await ok(project, ["sweep", "--stack", stack], project.env)).stdout).toMatch(/nothing was left behind/);
  });

  it("destroy deletes nothing before what needs it, and leaves nothing in cloud and cluster", async () => {
    await destroy(stack, "peer-pods", [
      ...(["network", "federation", "cluster", "workers"] as const),
      ...(["certificates", "namespace", "adaptorSecret", "adaptor", "workloads"] as const),
      // Amazon's roles are those that the login carries.
      ...(stack === "azure" ? (["roles"] as const) : []),
    ]);
    expect(
      project
        .cloud(pkg)
        .all()
        .map(({ id }) => id)
        .sort(),
    ).toEqual(stack === "azure" ? GIVEN.map(({ id }) => id).sort() : []);
  });
});

suite("stacks/baremetal.ts", () => {
  it("comes up, without changes in a second preview and secrets in its state, and destroy leaves nothing", async () => {
    await configure("baremetal");
    const kubeconfig = readFileSync(cluster.kubeconfig, "utf8");
    await project.pulumi("config", "set", "--secret", "kubeconfig", "-s", "baremetal", "--", kubeconfig);
    await up("baremetal");
    expect(sealflowObjects(cluster)).toMatch(/workflowtemplate/);
    await project.pulumi("preview", "--expect-no-changes", "-s", "baremetal");
    await expectNoSecretInClear("baremetal");
    await destroy("baremetal", "bare-metal", ["namespace", "runtime", "workloads"]);
  });
});
