/**
 * The operator 0.17 on a real API server: its objects, its rights, and a CcRuntime as config/samples/ccruntime/default of
 * confidential-containers/operator has it at v0.17.0, but for what docs/kubernetes.md names. Its image is not run.
 */
import { readFileSync } from "node:fs";
import { type KubernetesObject, OPERATOR_NAMESPACE, operatorObjects } from "../../../policy/runtime";
import { type Cluster, clusterMissing, startCluster } from "../../../tools/cluster";
import { clusterOf, KubernetesClient } from "../../../untrusted/kubernetes";
import { eventually } from "../../support/cluster-stage";

jest.setTimeout(120_000);
const missing = clusterMissing();
if (missing) console.log(`skipped: the operator's objects on a real API server: ${missing}`);

const REQUIREMENTS = `quay.io/confidential-containers/reqs-payload@sha256:${"a".repeat(64)}`;
const CCRUNTIMES = "/apis/confidentialcontainers.org/v1beta1/ccruntimes";
const ACCOUNT = `system:serviceaccount:${OPERATOR_NAMESPACE}:cc-operator-controller-manager`;
// biome-ignore lint/suspicious/noExplicitAny: plain objects, edited at any depth
type Plain = any;

const hook = {
  image: REQUIREMENTS,
  environmentVariables: [
    { name: "INSTALL_COCO_CONTAINERD", value: "false" },
    { name: "INSTALL_OFFICIAL_CONTAINERD", value: "false" },
    { name: "INSTALL_VFIO_GPU_CONTAINERD", value: "false" },
    { name: "INSTALL_NYDUS_SNAPSHOTTER", value: "true" },
  ],
  volumeMounts: [
    { mountPath: "/opt/confidential-containers/", name: "confidential-containers-artifacts" },
    { mountPath: "/etc/systemd/system/", name: "etc-systemd-system" },
    { mountPath: "/etc/containerd/", name: "containerd-conf" },
    { mountPath: "/usr/local/bin/", name: "local-bin" },
    { mountPath: "/var/lib/containerd-nydus/", name: "containerd-nydus" },
  ],
  volumes: [
    {
      hostPath: { path: "/opt/confidential-containers/", type: "DirectoryOrCreate" },
      name: "confidential-containers-artifacts",
    },
    { hostPath: { path: "/etc/systemd/system/", type: "" }, name: "etc-systemd-system" },
    { hostPath: { path: "/etc/containerd/", type: "" }, name: "containerd-conf" },
    { hostPath: { path: "/usr/local/bin/", type: "" }, name: "local-bin" },
    { hostPath: { path: "/var/lib/containerd-nydus/", type: "" }, name: "containerd-nydus" },
  ],
};
/** Written down from upstream's files, not taken from the builder. */
const SPEC = {
  runtimeName: "kata",
  ccNodeSelector: { matchLabels: { "node.kubernetes.io/worker": "" } },
  config: {
    installType: "bundle",
    payloadImage: "quay.io/kata-containers/kata-deploy:3.23.0",
    installDoneLabel: { "katacontainers.io/kata-runtime": "true" },
    uninstallDoneLabel: { "katacontainers.io/kata-runtime": "cleanup" },
    installerVolumeMounts: [
      { mountPath: "/etc/crio/", name: "crio-conf" },
      { mountPath: "/etc/containerd/", name: "containerd-conf" },
      { mountPath: "/usr/local/bin/", name: "local-bin" },
      { mountPath: "/host/", name: "host" },
    ],
    installerVolumes: [
      { hostPath: { path: "/etc/crio/", type: "" }, name: "crio-conf" },
      { hostPath: { path: "/etc/containerd/", type: "" }, name: "containerd-conf" },
      { hostPath: { path: "/usr/local/bin/", type: "" }, name: "local-bin" },
      { hostPath: { path: "/", type: "" }, name: "host" },
    ],
    installCmd: ["/opt/kata-artifacts/scripts/kata-deploy.sh", "install"],
    uninstallCmd: ["/opt/kata-artifacts/scripts/kata-deploy.sh", "cleanup"],
    cleanupCmd: ["/opt/kata-artifacts/scripts/kata-deploy.sh", "reset"],
    runtimeClasses: [{ name: "kata-qemu-snp", snapshotter: "nydus", pulltype: "guest-pull" }],
    debug: false,
    environmentVariables: [
      { name: "NODE_NAME", valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "spec.nodeName" } } },
      { name: "CONFIGURE_CC", value: "yes" },
      { name: "DEBUG", value: "false" },
    ],
    preInstall: hook,
    postUninstall: hook,
  },
};

(missing ? describe.skip : describe)("the operator on a real API server", () => {
  let cluster: Cluster;
  let api: KubernetesClient;
  let runtime: Plain;
  const create = (path: string, object: object, more = "") =>
    api.create(`${path}?fieldValidation=Strict&fieldManager=test${more}`, object);
  const {
    crd,
    operator,
    runtime: made,
  } = operatorObjects({
    runtimeClasses: ["kata-qemu-snp"],
    requirementsImage: REQUIREMENTS,
  });

  beforeAll(async () => {
    cluster = await startCluster();
    api = new KubernetesClient(clusterOf(readFileSync(cluster.kubeconfig, "utf8"), cluster.kubeconfig));
    await create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd);
    for (const object of operator) await create(pathOf(object), object);
    // A definition takes a moment to be served.
    runtime = await eventually("the CcRuntime", () => create(CCRUNTIMES, made).catch(() => undefined));
  });
  afterAll(async () => {
    api?.close();
    await cluster?.stop();
  });

  it("is asked for exactly the runtime of upstream's sample, with the classes that are wanted and no default class", () => {
    expect(runtime.metadata.name).toBe("ccruntime");
    expect(runtime.spec).toEqual(SPEC);
  });

  it.each<[string, (spec: Plain) => void, RegExp]>([
    [
      "a field that it does not know",
      (s) => (s.config.snapshotter = "nydus"),
      /unknown field "spec.config.snapshotter"/,
    ],
    ["a class with one", (s) => (s.config.runtimeClasses[0].pullType = "x"), /unknown field .*pullType/],
    ["another runtime", (s) => (s.runtimeName = "gvisor"), /Unsupported value: "gvisor"/],
    ["another way to install", (s) => (s.config.installType = "helm"), /Unsupported value: "helm"/],
    ["no payload", (s) => delete s.config.payloadImage, /payloadImage.*Required/],
    ["a command as text", (s) => (s.config.installCmd = "install"), /installCmd.*must be of type array/],
  ])("a CcRuntime with %s is refused", async (_what, change, message) => {
    const wrong: Plain = structuredClone(made);
    wrong.metadata.name = "wrong";
    change(wrong.spec);
    await expect(create(CCRUNTIMES, wrong)).rejects.toThrow(message);
  });

  it.each(["install", "pre-install", "post-uninstall"])("its %s pods are ones that the server takes", async (which) => {
    const { config } = runtime.spec;
    const hooks: Plain = { "pre-install": config.preInstall, "post-uninstall": config.postUninstall };
    const { [which]: chosen } = hooks;
    // As controllers/ccruntime_controller.go puts them together.
    const pod = {
      metadata: { name: which, namespace: OPERATOR_NAMESPACE },
      spec: {
        serviceAccountName: "cc-operator-controller-manager",
        hostPID: true,
        nodeSelector: runtime.spec.ccNodeSelector.matchLabels,
        containers: [
          {
            name: "main",
            image: chosen?.image ?? config.payloadImage,
            command: chosen?.cmd ?? config.installCmd,
            securityContext: { privileged: true, runAsUser: 0 },
            env: [...config.environmentVariables, ...(chosen?.environmentVariables ?? [])],
            volumeMounts: chosen?.volumeMounts ?? config.installerVolumeMounts,
          },
        ],
        volumes: chosen?.volumes ?? config.installerVolumes,
      },
    };
    await create(`/api/v1/namespaces/${OPERATOR_NAMESPACE}/pods`, pod, "&dryRun=All");
  });

  it("has the rights that its controller asks for, and no other on secrets, pods or workloads", async () => {
    const may = async (verb: string, group: string, resource: string, namespace = "") => {
      const [kind, subresource] = resource.split("/");
      const resourceAttributes = { verb, group, resource: kind, subresource: subresource ?? "", namespace };
      const review = await create("/apis/authorization.k8s.io/v1/subjectaccessreviews", {
        apiVersion: "authorization.k8s.io/v1",
        kind: "SubjectAccessReview",
        spec: { user: ACCOUNT, resourceAttributes },
      });
      return `${verb} ${resource} ${(review as Plain).status.allowed}`;
    };
    for (const [group, resource, verbs] of [
      ["", "namespaces", "get update"],
      ["apps", "daemonsets", "create delete get list patch update watch"],
      ["confidentialcontainers.org", "ccruntimes", "create delete get list patch update watch"],
      ["confidentialcontainers.org", "ccruntimes/finalizers", "update"],
      ["confidentialcontainers.org", "ccruntimes/status", "get patch update"],
      ["", "nodes", "get list patch update watch"],
      ["node.k8s.io", "runtimeclasses", "create delete get list patch update watch"],
    ] as const) {
      for (const verb of verbs.split(" ")) expect(await may(verb, group, resource)).toBe(`${verb} ${resource} true`);
    }
    expect(await may("create", "coordination.k8s.io", "leases", OPERATOR_NAMESPACE)).toBe("create leases true");
    for (const [verb, group, resource] of [
      ["create", "coordination.k8s.io", "leases"],
      ["get", "", "secrets"],
      ["create", "", "pods"],
      ["create", "apps", "deployments"],
      ["delete", "", "namespaces"],
    ] as const) {
      expect(await may(verb, group, resource, "default")).toBe(`${verb} ${resource} false`);
    }
  });
});

function pathOf({ kind, metadata: { namespace } }: KubernetesObject): string {
  const inside = namespace === undefined ? "" : `/namespaces/${namespace}`;
  const rbac = "/apis/rbac.authorization.k8s.io/v1";
  const path = {
    Namespace: "/api/v1/namespaces",
    ServiceAccount: `/api/v1${inside}/serviceaccounts`,
    Deployment: `/apis/apps/v1${inside}/deployments`,
    Role: `${rbac}${inside}/roles`,
    RoleBinding: `${rbac}${inside}/rolebindings`,
    ClusterRole: `${rbac}/clusterroles`,
    ClusterRoleBinding: `${rbac}/clusterrolebindings`,
  }[kind];
  if (path === undefined) throw new Error(`no path for ${kind}`);
  return path;
}
