/**
 * The stand-in for Pulumi's Kubernetes provider where things do not go well, by the real engine on a real API server: as
 * version 4.34 of the real one behaves, as far as stacks rely on it.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { type Cluster, clusterMissing, startCluster } from "../../tools/cluster";
import { kubernetesProviderEnvironment } from "../../tools/kubernetes-provider";
import { createProject, type Project } from "../support/project";

jest.setTimeout(180_000);

const missing = clusterMissing();
const suite = missing ? describe.skip : describe;
if (missing) console.log(`skipped: faults of the Kubernetes provider for tests: ${missing}`);

/** Objects as a file has them, so that each test deploys others. */
const PROGRAM = `
const k8s = require("@pulumi/kubernetes");
const { readFileSync } = require("node:fs");
const { objects, provider } = JSON.parse(readFileSync(require("node:path").join(__dirname, "../objects.json"), "utf8"));
const opts = provider ? { provider: new k8s.Provider("cluster", provider) } : {};
for (const { type, name, args, ...own } of objects)
  new (type.split(".").reduce((at, word) => at[word], k8s))(name, args, { ...opts, ...own });
`;

interface Declared {
  readonly type: string;
  readonly name: string;
  readonly args: Record<string, unknown>;
  readonly ignoreChanges?: string[];
}

const configMap = (name: string, data: object, annotations: object = {}): Declared => ({
  type: "core.v1.ConfigMap",
  name,
  args: { metadata: { name, annotations }, data },
});
const role = (name: string, verbs: string[]): Declared => ({
  type: "rbac.v1.Role",
  name,
  args: { metadata: { name }, rules: [{ apiGroups: [""], resources: ["pods"], verbs }] },
});
const pod = (container: object = {}) => ({
  restartPolicy: "Never",
  containers: [{ name: "main", image: "none", ...container }],
});

suite("the Kubernetes provider for tests", () => {
  let cluster: Cluster;
  let project: Project;
  let env: NodeJS.ProcessEnv;
  const kubectl = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)(cluster.kubectl, ["--kubeconfig", cluster.kubeconfig, ...args])).stdout;
  const declare = (objects: Declared[], provider?: object) =>
    project.write("objects.json", JSON.stringify({ objects, provider }));
  const up = (more: NodeJS.ProcessEnv = {}) =>
    project.pulumi(["up", "--yes", "--skip-preview", "-s", "dev"], { ...env, ...more });
  const deploy = async (objects: Declared[], more?: NodeJS.ProcessEnv): Promise<void> => {
    declare(objects);
    const { code, stdout, stderr } = await up(more);
    if (code !== 0) throw new Error(`up: exit ${code}\n${stdout}\n${stderr}`);
  };
  /** @returns everything that a command said which failed. */
  const fails = async (command: Promise<{ code: number; stdout: string; stderr: string }>): Promise<string> => {
    const { code, stdout, stderr } = await command;
    expect(code).not.toBe(0);
    return (stdout + stderr).replaceAll(/\s+/g, " ");
  };

  beforeAll(async () => {
    project = createProject(PROGRAM);
    cluster = await startCluster();
    env = { ...kubernetesProviderEnvironment(), KUBECONFIG: cluster.kubeconfig };
    await project.ok(["stack", "init", "dev"], env);
  });
  afterAll(async () => {
    await cluster?.stop();
    project?.remove();
  });

  it("finds by a refresh what was changed and deleted; up repairs it, where others own a field only by force", async () => {
    const objects = [role("watched", ["get"]), configMap("kept", { a: "1" })];
    await deploy(objects);
    await kubectl(
      "patch",
      "role",
      "watched",
      "--type=json",
      "-p",
      '[{"op":"add","path":"/rules/0/verbs/-","value":"*"}]',
    );
    await kubectl("delete", "configmap", "kept");
    const seen = await project.ok(["refresh", "--yes", "-s", "dev"], env);
    expect(seen).toMatch(/watched.*updated/);
    expect(seen).toMatch(/kept.*deleted/);
    // The preview tells it, too.
    for (const command of [project.pulumi(["preview", "-s", "dev"], env), up()]) {
      expect(await fails(command)).toMatch(
        /field conflict detected.*kubectl-patch.*\.rules.*PULUMI_K8S_ENABLE_PATCH_FORCE/,
      );
    }
    expect(await kubectl("get", "role", "watched", "-o", "jsonpath={.rules[0].verbs}")).toBe('["get","*"]');
    await deploy(objects, { PULUMI_K8S_ENABLE_PATCH_FORCE: "true" });
    expect(await kubectl("get", "role", "watched", "-o", "jsonpath={.rules[0].verbs}")).toBe('["get"]');
    expect(await kubectl("get", "configmap", "kept", "-o", "jsonpath={.data.a}")).toBe("1");
    // It owns the field again: what the program no longer says goes, and changes need no force.
    await deploy([role("watched", ["list"]), configMap("kept", { a: "1" })]);
    expect(await kubectl("get", "role", "watched", "-o", "jsonpath={.rules[0].verbs}")).toBe('["list"]');
    await deploy([]);
  });

  it("takes no object over that is there already, unless it is imported or the provider is told to", async () => {
    await kubectl("create", "configmap", "theirs", "--from-literal=a=theirs");
    const theirs = configMap("theirs", { a: "theirs" });
    declare([theirs]);
    expect(await fails(up())).toMatch(/configmaps "theirs" already exists.*pulumi import.*upsertExistingObjects/);
    const imported = ["import", "kubernetes:core/v1:ConfigMap", "theirs", "default/theirs", "--yes", "--protect=false"];
    await project.ok([...imported, "--generate-code=false", "-s", "dev"], env);
    const { inputs } = (await project.state()).theirs ?? {};
    expect(inputs).toMatchObject({ data: { a: "theirs" }, metadata: { name: "theirs", namespace: "default" } });
    expect(JSON.stringify(inputs)).not.toMatch(/managedFields|resourceVersion|uid/);
    declare([{ ...theirs, args: { metadata: { name: "theirs" }, data: { a: "theirs" } } }]);
    await project.ok(["up", "--yes", "--expect-no-changes", "-s", "dev"], env);

    await kubectl("create", "configmap", "other", "--from-literal=a=theirs");
    await deploy([theirs, configMap("other", { b: "ours" })], { PULUMI_K8S_UPSERT_EXISTING_OBJECTS: "true" });
    expect(JSON.parse(await kubectl("get", "configmap", "other", "-o", "jsonpath={.data}"))).toEqual({
      a: "theirs",
      b: "ours",
    });
  });

  it("changes single fields of others by a Patch resource, refuses theirs, and gives its own back", async () => {
    await kubectl("create", "namespace", "patched");
    await kubectl("label", "namespace", "patched", "team=theirs");
    const patch = (labels: object, name = "patched"): Declared => ({
      type: "core.v1.NamespacePatch",
      name: "patch",
      args: { metadata: { name, labels } },
    });
    const labels = async (): Promise<Record<string, string>> =>
      JSON.parse(await kubectl("get", "namespace", "patched", "-o", "jsonpath={.metadata.labels}"));
    await deploy([patch({ level: "one" })]);
    expect(await labels()).toMatchObject({ team: "theirs", level: "one" });
    declare([patch({ level: "two", team: "ours" })]);
    expect(await fails(up())).toMatch(/conflict with "kubectl-label".*\.metadata\.labels\.team/);
    await deploy([patch({ level: "two" })]);
    await deploy([]);
    expect(await labels()).toEqual({ team: "theirs", "kubernetes.io/metadata.name": "patched" });
    declare([patch({ level: "one" }, "nowhere")]);
    expect(await fails(up())).toContain("a patch needs an object that is there");
  });

  it("says what is not ready and why, keeps it in the state, and goes on when it is", async () => {
    await kubectl("label", "namespace", "default", "pod-security.kubernetes.io/enforce=restricted", "--overwrite");
    const labels = { app: "web" };
    const deployment = (annotations: object): Declared => ({
      type: "apps.v1.Deployment",
      name: "web",
      args: {
        metadata: { name: "web", annotations },
        spec: {
          selector: { matchLabels: labels },
          template: {
            metadata: { labels },
            spec: { ...pod({ securityContext: { privileged: true } }), restartPolicy: "Always" },
          },
        },
      },
    });
    const job = (name: string, spec: object): Declared => ({
      type: "batch.v1.Job",
      name,
      args: { metadata: { name }, spec: { template: { spec: pod() }, ...spec } },
    });
    declare([
      deployment({ "pulumi.com/timeoutSeconds": "6" }),
      job("late", { activeDeadlineSeconds: 1 }),
      job("nothing", { completions: 0 }),
    ]);
    const said = await fails(up());
    expect(said).toMatch(/Deployment default\/web not ready after 6 s: 0 of 1 replicas are ready/);
    expect(said).toMatch(/ReplicaFailure: .*violates PodSecurity "restricted/);
    expect(said).toMatch(/the Job failed: DeadlineExceeded/);
    expect(Object.keys(await project.state())).toEqual(expect.arrayContaining(["web", "late", "nothing"]));
    await deploy([deployment({ "pulumi.com/skipAwait": "true" }), job("nothing", { completions: 0 })]);
    expect(await kubectl("get", "jobs", "-o", "name")).toBe("job.batch/nothing\n");
    await kubectl("label", "namespace", "default", "pod-security.kubernetes.io/enforce-");
    await deploy([]);
  });

  it("waits for what holds an object that is deleted, and names it", async () => {
    const held: Declared = {
      type: "core.v1.ConfigMap",
      name: "held",
      args: {
        metadata: {
          name: "held",
          finalizers: ["test.sealflow/held"],
          annotations: { "pulumi.com/timeoutSeconds": "3" },
        },
      },
    };
    await deploy([held]);
    declare([]);
    expect(await fails(up())).toMatch(
      /ConfigMap default\/held is not gone in time: its finalizers test.sealflow\/held/,
    );
    const again = up();
    await sleep(2000);
    await kubectl("patch", "configmap", "held", "--type=merge", "-p", '{"metadata":{"finalizers":null}}');
    expect((await again).code).toBe(0);
    expect((await project.state()).held).toBeUndefined();
  });

  it("goes on waiting for an end while the server is away", async () => {
    const finalizers = ["test.sealflow/away"];
    await deploy([{ type: "core.v1.ConfigMap", name: "away", args: { metadata: { name: "away", finalizers } } }]);
    declare([]);
    const going = up();
    const asked = () => kubectl("get", "configmap", "away", "-o", "jsonpath={.metadata.deletionTimestamp}");
    for (let n = 0; n < 100 && (await asked()) === ""; n++) await sleep(200);
    // Its request to delete has been answered by then.
    await sleep(1000);
    await cluster.kill("kube-apiserver");
    await sleep(1500);
    await cluster.start("kube-apiserver");
    await kubectl("patch", "configmap", "away", "--type=merge", "-p", '{"metadata":{"finalizers":null}}');
    const { code, stdout, stderr } = await going;
    expect({ code, output: code === 0 ? "" : stdout + stderr }).toEqual({ code: 0, output: "" });
    expect((await project.state()).away).toBeUndefined();
  });

  it("lets a Patch resource go at once whose kind is gone", async () => {
    const object = (kind: string, apiVersion: string, metadata: object, more: object) =>
      JSON.stringify({ apiVersion, kind, metadata, ...more });
    const schema = { type: "object" };
    const versions = [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: schema } }];
    const spec = { group: "gone.test", scope: "Cluster", names: { plural: "things", kind: "Thing" }, versions };
    project.write(
      "kind.json",
      object("CustomResourceDefinition", "apiextensions.k8s.io/v1", { name: "things.gone.test" }, { spec }),
    );
    project.write("thing.json", object("Thing", "gone.test/v1", { name: "thing" }, {}));
    await kubectl("apply", "-f", join(project.dir, "kind.json"));
    await kubectl("wait", "--for=condition=Established", "crd/things.gone.test");
    await kubectl("apply", "-f", join(project.dir, "thing.json"));
    const metadata = { name: "thing", labels: { level: "one" } };
    const args = { apiVersion: "gone.test/v1", kind: "Thing", metadata };
    await deploy([{ type: "apiextensions.CustomResourcePatch", name: "patch", args }]);
    await kubectl("delete", "crd", "things.gone.test");
    const started = Date.now();
    await deploy([]);
    expect(Date.now() - started).toBeLessThan(15_000);
  });

  it("replaces what cannot be changed: in its place under a fixed name, beside the old one under a name of its own", async () => {
    const binding = (name: string): Declared => ({
      type: "rbac.v1.RoleBinding",
      name: "binding",
      args: {
        metadata: { name: "binding" },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
        subjects: [{ kind: "ServiceAccount", name: "default", namespace: "default" }],
      },
    });
    const own = (a: string): Declared => ({ type: "core.v1.ConfigMap", name: "own", args: { data: { a } } });
    const secret = (a: string): Declared => ({
      type: "core.v1.Secret",
      name: "secret",
      args: { metadata: { name: "secret" }, stringData: { a } },
    });
    const runtime = (handler: string): Declared => ({
      type: "node.v1.RuntimeClass",
      name: "class",
      args: { metadata: { name: "class" }, handler },
    });
    const uid = (kind: string, name: string) => kubectl("get", kind, name, "-o", "jsonpath={.metadata.uid}");
    await deploy([binding("one"), own("1"), secret("1"), runtime("runc")]);
    const before = [await uid("rolebinding", "binding"), await uid("secret", "secret")];
    const name = (await project.state()).own?.id;
    await deploy([binding("two"), own("2"), secret("2"), runtime("runc")]);
    const after = [await uid("rolebinding", "binding"), await uid("secret", "secret")];
    expect(after.filter((one) => before.includes(one))).toEqual([]);
    expect(await kubectl("get", "rolebinding", "binding", "-o", "jsonpath={.roleRef.name}")).toBe("two");
    expect((await project.state()).own?.id).not.toBe(name);
    expect((await kubectl("get", "configmaps", "-o", "name")).match(/configmap\/own-/g)).toHaveLength(1);
    // Nobody but the server knows of this one.
    declare([binding("two"), own("2"), secret("2"), runtime("kata")]);
    expect(await fails(up())).toMatch(/handler.*immutable/);
    await deploy([]);
  });

  it("says that the cluster is away, goes on waiting when it comes back, and forgets it only when told to", async () => {
    const waits = configMap("waits", { ready: "no" }, { "pulumi.com/waitFor": "jsonpath={.data.ready}=yes" });
    declare([waits]);
    const waiting = up();
    for (let n = 0; n < 200 && !/waits/.test(await kubectl("get", "configmaps", "-o", "name")); n++) await sleep(200);
    await cluster.kill("kube-apiserver");
    await sleep(1500);
    await cluster.start("kube-apiserver");
    await kubectl("patch", "configmap", "waits", "--type=merge", "-p", '{"data":{"ready":"yes"}}');
    const { code, stdout, stderr } = await waiting;
    expect({ code, output: code === 0 ? "" : stdout + stderr }).toEqual({ code: 0, output: "" });

    await cluster.kill("kube-apiserver");
    try {
      declare([waits, configMap("more", {})]);
      expect(await fails(up())).toMatch(/API server https:\/\/127\.0\.0\.1.*ECONNREFUSED/);
      expect(await fails(project.pulumi(["refresh", "--yes", "-s", "dev"], env))).toMatch(
        /configured Kubernetes cluster is unreachable.*PULUMI_K8S_DELETE_UNREACHABLE=true/,
      );
    } finally {
      await cluster.start("kube-apiserver");
    }
    // Nothing was lost: the next update makes what was missing.
    await deploy([waits, configMap("more", {})]);
    await cluster.kill("kube-apiserver");
    try {
      await project.ok(["destroy", "--yes", "-s", "dev"], { ...env, PULUMI_K8S_DELETE_UNREACHABLE: "true" });
    } finally {
      await cluster.start("kube-apiserver");
    }
    expect(await kubectl("get", "configmaps", "-o", "name")).toContain("configmap/more");
  });

  it.each<[string, Declared, object | undefined, RegExp]>([
    [
      "generateName",
      { type: "core.v1.ConfigMap", name: "a", args: { metadata: { generateName: "a-" } } },
      undefined,
      /generateName.*not supported in Server-Side Apply mode/,
    ],
    [
      "an annotation that it does not follow",
      configMap("a", {}, { "pulumi.com/replaceUnready": "true" }),
      undefined,
      /does not follow the annotation pulumi.com\/replaceUnready/,
    ],
    [
      "a Patch without the name of its object",
      { type: "core.v1.NamespacePatch", name: "a", args: { metadata: { labels: { a: "b" } } } },
      undefined,
      /patch resources require the `.metadata.name` field/,
    ],
    ["render mode", configMap("a", {}), { renderYamlToDirectory: "out" }, /renderYamlToDirectory.*no such option/],
    ["client-side apply", configMap("a", {}), { enableServerSideApply: false }, /applies on the server only/],
  ])("refuses %s by name", async (_what, object, provider, words) => {
    declare([object], provider);
    expect(await fails(project.pulumi(["preview", "-s", "dev"], env))).toMatch(words);
  });
});
