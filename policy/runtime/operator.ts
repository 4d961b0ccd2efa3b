/**
 * The operator of Confidential Containers 0.17, for clusters whose owners stay with it; upstream has archived it. Its
 * objects as confidential-containers/operator has them at v0.17.0 (config/release, config/samples/ccruntime).
 */
import { PolicyError } from "../errors";
import { VERSIONS } from "../versions";
import { CCRUNTIME_SCHEMA } from "./ccruntime-schema";

export const OPERATOR_NAMESPACE = "confidential-containers-system";
const GROUP = "confidentialcontainers.org";
const NAME = "cc-operator-controller-manager";
const LABELS = { "control-plane": "controller-manager" };
const WORKER_LABEL = "node.kubernetes.io/worker";
/** Kata of that release. */
const KATA = "3.23.0";

/** Runtime classes with a TEE that it can make. */
export const OPERATOR_CLASSES = ["kata-qemu-snp", "kata-qemu-tdx"] as const;

export interface OperatorArgs {
  /** Of OPERATOR_CLASSES. */
  readonly runtimeClasses: readonly string[];
  /**
   * Image that prepares nodes (`quay.io/confidential-containers/reqs-payload`, by digest or commit). The sample of v0.17.0
   * names the commit; there is no tag of the release.
   */
  readonly requirementsImage: string;
}

export interface OperatorObjects {
  readonly crd: KubernetesObject;
  /** Namespace first. */
  readonly operator: readonly KubernetesObject[];
  /** Needs the CRD and the operator. */
  readonly runtime: KubernetesObject;
}

export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Record<string, string> };
  readonly [field: string]: unknown;
}

/** @throws PolicyError RUNTIME */
export function operatorObjects(args: OperatorArgs): OperatorObjects {
  const known: readonly string[] = OPERATOR_CLASSES;
  const { runtimeClasses, requirementsImage } = args;
  const problems = [
    ...(runtimeClasses.length > 0 ? [] : ["runtimeClasses is empty"]),
    ...runtimeClasses
      .filter((name) => !known.includes(name))
      .map((name) => `the operator makes no confidential class "${name}"; it has ${known.join(", ")}`),
    ...(/^\S+(@sha256:[0-9a-f]{64}|:[0-9a-f]{40})$/.test(requirementsImage ?? "")
      ? []
      : [
          `requirementsImage "${requirementsImage ?? ""}" is pinned by neither digest nor commit; take the one of config/samples/ccruntime/default at v${VERSIONS.operator}`,
        ]),
  ];
  if (problems.length > 0) throw new PolicyError("RUNTIME", `operator ${VERSIONS.operator}: ${problems.join("; ")}`);
  return { crd: crd(), operator: operator(), runtime: ccRuntime(args) };
}

const crd = (): KubernetesObject => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `ccruntimes.${GROUP}` },
  spec: {
    group: GROUP,
    scope: "Cluster",
    names: {
      kind: "CcRuntime",
      listKind: "CcRuntimeList",
      plural: "ccruntimes",
      singular: "ccruntime",
      shortNames: ["ccr"],
    },
    versions: [
      {
        name: "v1beta1",
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: { openAPIV3Schema: CCRUNTIME_SCHEMA },
      },
    ],
  },
});

const READ = ["get", "list", "watch"];
const WRITE = [...READ, "create", "delete", "patch", "update"];

function operator(): KubernetesObject[] {
  const inside = { namespace: OPERATOR_NAMESPACE };
  const subjects = [{ kind: "ServiceAccount", name: NAME, ...inside }];
  const role = (kind: "Role" | "ClusterRole", name: string, rules: object[]): KubernetesObject[] => {
    const metadata = { name, ...(kind === "Role" ? inside : {}) };
    const api = "rbac.authorization.k8s.io";
    return [
      { apiVersion: `${api}/v1`, kind, metadata, rules },
      { apiVersion: `${api}/v1`, kind: `${kind}Binding`, metadata, subjects, roleRef: { apiGroup: api, kind, name } },
    ];
  };
  return [
    {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: {
        name: OPERATOR_NAMESPACE,
        // Its installers change the hosts.
        labels: { ...LABELS, "pod-security.kubernetes.io/enforce": "privileged" },
      },
    },
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: NAME, ...inside } },
    ...role("Role", "cc-operator-leader-election-role", [
      { apiGroups: [""], resources: ["configmaps"], verbs: WRITE },
      { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: WRITE },
      { apiGroups: [""], resources: ["events"], verbs: ["create", "patch"] },
    ]),
    ...role("ClusterRole", "cc-operator-manager-role", [
      // It lets its own namespace take its installers.
      { apiGroups: [""], resources: ["namespaces"], verbs: ["get", "update"] },
      { apiGroups: ["apps"], resources: ["daemonsets"], verbs: WRITE },
      { apiGroups: [GROUP], resources: ["ccruntimes"], verbs: WRITE },
      { apiGroups: [GROUP], resources: ["ccruntimes/finalizers"], verbs: ["update"] },
      { apiGroups: [GROUP], resources: ["ccruntimes/status"], verbs: ["get", "patch", "update"] },
      { apiGroups: [""], resources: ["nodes"], verbs: [...READ, "patch", "update"] },
      { apiGroups: ["node.k8s.io"], resources: ["runtimeclasses"], verbs: WRITE },
    ]),
    deployment(),
  ];
}

const deployment = (): KubernetesObject => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: NAME, namespace: OPERATOR_NAMESPACE, labels: LABELS },
  spec: {
    replicas: 1,
    selector: { matchLabels: LABELS },
    template: {
      metadata: { labels: LABELS },
      spec: {
        serviceAccountName: NAME,
        terminationGracePeriodSeconds: 10,
        securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
        containers: [
          {
            name: "manager",
            image: `quay.io/confidential-containers/operator:v${VERSIONS.operator}`,
            command: ["/manager"],
            // Upstream's release serves figures behind a review of tokens, for which it gets rights of its own. Without
            // the flag they are open to whoever reaches the pod; nobody asks for them here.
            args: ["--leader-elect", "--metrics-bind-address=0"],
            env: [{ name: "CCRUNTIME_NAMESPACE", valueFrom: { fieldRef: { fieldPath: "metadata.namespace" } } }],
            livenessProbe: { httpGet: { path: "/healthz", port: 8081 }, initialDelaySeconds: 15, periodSeconds: 20 },
            readinessProbe: { httpGet: { path: "/readyz", port: 8081 }, initialDelaySeconds: 5, periodSeconds: 10 },
            resources: { limits: { cpu: "200m", memory: "100Mi" }, requests: { cpu: "100m", memory: "20Mi" } },
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
          },
        ],
      },
    },
  },
});

const hostPath = (name: string, path: string, type = "") => ({ name, hostPath: { path, type } });
const mount = (name: string, mountPath: string) => ({ name, mountPath });

const INSTALLER: readonly (readonly [string, string, string])[] = [
  ["crio-conf", "/etc/crio/", ""],
  ["containerd-conf", "/etc/containerd/", ""],
  ["local-bin", "/usr/local/bin/", ""],
];
/** kata-deploy writes its artefacts below /host. */
const HOST = "host";
const REQUIREMENTS: readonly (readonly [string, string, string])[] = [
  ["confidential-containers-artifacts", "/opt/confidential-containers/", "DirectoryOrCreate"],
  ["etc-systemd-system", "/etc/systemd/system/", ""],
  ["containerd-conf", "/etc/containerd/", ""],
  ["local-bin", "/usr/local/bin/", ""],
  ["containerd-nydus", "/var/lib/containerd-nydus/", ""],
];

/** Nydus in the guest, no other containerd than the node's own. */
function requirements(image: string) {
  const on = (name: string, value: boolean) => ({ name, value: String(value) });
  return {
    image,
    volumes: REQUIREMENTS.map(([name, path, type]) => hostPath(name, path, type)),
    volumeMounts: REQUIREMENTS.map(([name, path]) => mount(name, path)),
    environmentVariables: [
      on("INSTALL_COCO_CONTAINERD", false),
      on("INSTALL_OFFICIAL_CONTAINERD", false),
      on("INSTALL_VFIO_GPU_CONTAINERD", false),
      on("INSTALL_NYDUS_SNAPSHOTTER", true),
    ],
  };
}

function ccRuntime({ runtimeClasses, requirementsImage }: OperatorArgs): KubernetesObject {
  const script = (word: string) => ["/opt/kata-artifacts/scripts/kata-deploy.sh", word];
  return {
    apiVersion: `${GROUP}/v1beta1`,
    kind: "CcRuntime",
    metadata: { name: "ccruntime" },
    spec: {
      runtimeName: "kata",
      ccNodeSelector: { matchLabels: { [WORKER_LABEL]: "" } },
      config: {
        installType: "bundle",
        payloadImage: `quay.io/kata-containers/kata-deploy:${KATA}`,
        installDoneLabel: { "katacontainers.io/kata-runtime": "true" },
        uninstallDoneLabel: { "katacontainers.io/kata-runtime": "cleanup" },
        installerVolumes: [...INSTALLER.map(([name, path, type]) => hostPath(name, path, type)), hostPath(HOST, "/")],
        installerVolumeMounts: [...INSTALLER.map(([name, path]) => mount(name, path)), mount(HOST, "/host/")],
        installCmd: script("install"),
        uninstallCmd: script("cleanup"),
        cleanupCmd: script("reset"),
        runtimeClasses: runtimeClasses.map((name) => ({ name, snapshotter: "nydus", pulltype: "guest-pull" })),
        debug: false,
        environmentVariables: [
          { name: "NODE_NAME", valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "spec.nodeName" } } },
          { name: "CONFIGURE_CC", value: "yes" },
          { name: "DEBUG", value: "false" },
        ],
        preInstall: requirements(requirementsImage),
        postUninstall: requirements(requirementsImage),
      },
    },
  };
}
