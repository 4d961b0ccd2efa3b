/** One HTTPS service of the relying party: what is the same for key broker and ledger. */
import { installDigest } from "../runtime/kata-chart";

/** Neither image has it, so no file of theirs is its own. */
const USER = 65_532;
const ZONE = "topology.kubernetes.io/zone";

export interface ServiceSpec {
  readonly name: string;
  readonly namespace: string;
  readonly image: string;
  readonly replicas: number;
  readonly port: number;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly object[];
  /** Path of the probe that asks whether it is alive, and of the one whether it can serve. */
  readonly probes: { readonly live: string; readonly ready: string };
  /** Secrets and ConfigMaps by mount path. */
  readonly files: readonly { readonly path: string; readonly volume: object }[];
  /** Writable memory. */
  readonly scratch: readonly string[];
  /** Writable volumes that are no memory. */
  readonly writable?: readonly { readonly path: string; readonly volume: object }[];
  readonly initContainers?: readonly InitContainer[];
  readonly resources: { readonly cpu: string; readonly memory: string };
  /** By which its pods sign in to a cloud. Default: none. */
  readonly identity?: ServiceIdentity;
  /** Changes roll the pods: digests of configuration, never of secrets' content. */
  readonly config: unknown;
  /** `startDigest` of what it reads at its start only, which rolls the pods, too; may become known later. Default: none. */
  readonly start?: unknown;
}

/** What the webhooks of AKS and EKS look for; they give the pods a short-lived token, and the API server's stays out. */
export interface ServiceIdentity {
  /** Of the service account. */
  readonly annotations: Readonly<Record<string, string>>;
  /** Of pods. */
  readonly labels?: Readonly<Record<string, string>>;
}

export interface InitContainer {
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly env: readonly object[];
}

export const PARTS_OF_SERVICE = ["account", "deployment", "service", "budget", "network"] as const;
export type PartOfService = (typeof PARTS_OF_SERVICE)[number];

/** Restricted Pod Security, whatever the image says. */
const CONTAINER_SECURITY = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  capabilities: { drop: ["ALL"] },
};

/** @returns plain objects; the caller creates the account first and the deployment after its Secrets. */
export function serviceObjects(spec: ServiceSpec): Readonly<Record<PartOfService, object>> {
  const { name, namespace, replicas, port } = spec;
  const labels = { "app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": "sealflow" };
  const selector = { matchLabels: { "app.kubernetes.io/name": name } };
  const metadata = { name, namespace, labels };
  return {
    account: {
      metadata: { ...metadata, ...(spec.identity ? { annotations: spec.identity.annotations } : {}) },
      automountServiceAccountToken: false,
    },
    deployment: {
      metadata,
      spec: {
        replicas,
        selector,
        // One more before one fewer: never less than all of them.
        strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
        template: {
          metadata: {
            labels: { ...labels, ...spec.identity?.labels },
            annotations: {
              // Its webhook looks at the account when a pod is made.
              "sealflow.config": installDigest({ config: spec.config, identity: spec.identity ?? null }),
              ...(spec.start === undefined ? {} : { "sealflow.start": spec.start }),
            },
          },
          spec: podSpec(spec, selector),
        },
      },
    },
    service: { metadata, spec: { selector: selector.matchLabels, ports: [{ name: "https", port, targetPort: port }] } },
    budget: {
      metadata,
      spec: { selector, ...(replicas > 1 ? { minAvailable: replicas - 1 } : { maxUnavailable: 1 }) },
    },
    network: {
      metadata,
      spec: {
        podSelector: selector,
        policyTypes: ["Ingress"],
        // Guests come from anywhere; nothing but the one port is there for them.
        ingress: [{ ports: [{ protocol: "TCP", port }] }],
      },
    },
  };
}

function podSpec(spec: ServiceSpec, selector: object): object {
  const { name, image, port, probes, files, scratch, resources, writable = [] } = spec;
  const mounts = [
    ...files.map(({ path }, i) => ({ name: `files-${i}`, mountPath: path, readOnly: true })),
    ...scratch.map((mountPath, i) => ({ name: `scratch-${i}`, mountPath })),
    ...writable.map(({ path }, i) => ({ name: `data-${i}`, mountPath: path })),
  ];
  const probe = (path: string, seconds: number) => ({
    httpGet: { path, port, scheme: "HTTPS" },
    periodSeconds: seconds,
    timeoutSeconds: 5,
  });
  return {
    serviceAccountName: name,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 30,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER,
      runAsGroup: USER,
      fsGroup: USER,
      seccompProfile: { type: "RuntimeDefault" },
    },
    topologySpreadConstraints: [ZONE, "kubernetes.io/hostname"].map((topologyKey) => ({
      maxSkew: 1,
      topologyKey,
      whenUnsatisfiable: "ScheduleAnyway",
      labelSelector: selector,
    })),
    ...(spec.initContainers
      ? {
          initContainers: spec.initContainers.map((init) => ({
            ...init,
            command: [...init.command],
            env: [...init.env],
            securityContext: CONTAINER_SECURITY,
            resources: sized({ cpu: "100m", memory: "64Mi" }),
          })),
        }
      : {}),
    containers: [
      {
        name,
        image,
        ...(spec.command ? { command: [...spec.command] } : {}),
        ...(spec.args ? { args: [...spec.args] } : {}),
        ...(spec.env ? { env: [...spec.env] } : {}),
        ports: [{ name: "https", containerPort: port }],
        startupProbe: { ...probe(probes.live, 2), failureThreshold: 60 },
        livenessProbe: { ...probe(probes.live, 10), failureThreshold: 6 },
        readinessProbe: probe(probes.ready, 5),
        securityContext: CONTAINER_SECURITY,
        resources: sized(resources),
        volumeMounts: mounts,
      },
    ],
    volumes: [
      ...files.map(({ volume }, i) => ({ name: `files-${i}`, ...volume })),
      ...writable.map(({ volume }, i) => ({ name: `data-${i}`, ...volume })),
      ...scratch.map((_path, i) => ({ name: `scratch-${i}`, emptyDir: { medium: "Memory", sizeLimit: "64Mi" } })),
    ],
  };
}

/** Memory has the same limit: what is over it would be killed anyway. */
const sized = ({ cpu, memory }: ServiceSpec["resources"]) => ({
  requests: { cpu, memory },
  limits: { memory },
});

export interface SecretFiles {
  /** Name of the Secret. */
  readonly name: string;
  /** Keys that are files; another name where it differs. */
  readonly items: readonly (string | { readonly key: string; readonly path: string })[];
}

/** Files of Secrets in one folder, readable by the service's group alone. */
export const secretsVolume = (...secrets: readonly SecretFiles[]): object => ({
  projected: {
    defaultMode: 0o440,
    sources: secrets.map(({ name, items }) => ({
      secret: { name, items: items.map((item) => (typeof item === "string" ? { key: item, path: item } : item)) },
    })),
  },
});

export const fromSecret = (name: string, secret: string, key: string): object => ({
  name,
  valueFrom: { secretKeyRef: { name: secret, key } },
});
