/**
 * The requests with which Kata's shim (4.2, guest pull, no shared file system) starts the pod of a Job. Pure: ids are
 * arguments. Everything is taken from the manifest, so a changed manifest makes changed requests and the agent policy
 * has the last word. Shapes: agent.proto and oci.proto of kata-containers, as in test/vectors/kata.
 */
import { INITDATA_ANNOTATION } from "../initdata/document";
import type { KubernetesJob } from "../job";
import { fillDefaults } from "./defaults";

export interface PodIdentity {
  /** Such as `spam-train-x7k2p`. */
  readonly podName: string;
  readonly namespace: string;
  /** 64 hex digits; also the id of the pause container. */
  readonly sandboxId: string;
  /** 64 hex digits. */
  readonly containerId: string;
  readonly podUid: string;
  /** Environment that the engine adds to the manifest's, such as the hint SEALFLOW_RUN. */
  readonly extraEnv?: Readonly<Record<string, string>>;
  /** Index of an indexed Job's pod. */
  readonly completionIndex?: number;
  /** 16 hex digits each, in names of copied files; fixed values by default. */
  readonly fileIds?: readonly string[];
}

/** A container as the kubelet hands it on: Kubernetes' own fields, environment resolved to values. */
export interface PodContainer {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly workingDir?: string;
  readonly tty?: boolean;
  readonly securityContext?: {
    readonly privileged?: boolean;
    readonly allowPrivilegeEscalation?: boolean;
    readonly runAsUser?: number;
    readonly runAsGroup?: number;
    readonly readOnlyRootFilesystem?: boolean;
    readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] };
  };
  readonly volumeMounts?: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly subPath?: string;
    readonly readOnly?: boolean;
  }[];
  readonly volumeDevices?: readonly { readonly name: string; readonly devicePath: string }[];
  readonly lifecycle?: { readonly postStart?: { readonly exec?: { readonly command?: readonly string[] } } };
}

/** The parts of a pod that reach the guest. */
export interface PodManifest {
  readonly annotations: Readonly<Record<string, string>>;
  readonly containers: readonly PodContainer[];
  /** Anything that is no emptyDir in memory comes from the host. */
  readonly volumes: readonly { readonly name: string; readonly emptyDir?: { readonly medium?: string } }[];
  readonly shareProcessNamespace?: boolean;
  readonly hostname?: string;
  readonly securityContext?: {
    readonly runAsUser?: number;
    readonly runAsGroup?: number;
    readonly fsGroup?: number;
    readonly supplementalGroups?: readonly number[];
    readonly sysctls?: readonly { readonly name: string; readonly value: string }[];
  };
}

export interface ManifestRequests extends Omit<PodRequests, "step"> {
  /** One for each container, in the order of the manifest. */
  readonly containers: readonly Record<string, unknown>[];
  /** Container id → what is run in it after its start (`postStart`). */
  readonly hooks?: Readonly<Record<string, Record<string, unknown>>>;
}

export interface PodRequests {
  readonly sandbox: Record<string, unknown>;
  readonly pause: Record<string, unknown>;
  readonly step: Record<string, unknown>;
  /** The files that the host copies in before the containers start, in order. */
  readonly files: readonly Record<string, unknown>[];
}

const SHARED = "/run/kata-containers/shared/containers";
const SHM = "/run/kata-containers/sandbox/shm";
const CONTAINERD_CAPABILITIES = [
  "CHOWN",
  "DAC_OVERRIDE",
  "FSETID",
  "FOWNER",
  "MKNOD",
  "NET_RAW",
  "SETGID",
  "SETUID",
  "SETFCAP",
  "SETPCAP",
  "NET_BIND_SERVICE",
  "SYS_CHROOT",
  "KILL",
  "AUDIT_WRITE",
];

/** What the shim sends to the agent for the pod of `job`, defaults filled. */
export function podRequests(job: KubernetesJob, pod: PodIdentity): PodRequests {
  const { metadata, spec } = job.spec.template;
  const { containers, ...requests } = manifestRequests({ ...spec, annotations: metadata.annotations }, pod, [
    pod.containerId,
  ]);
  return { ...requests, step: containers[0] as Record<string, unknown> };
}

/**
 * What the shim sends for any pod: nothing of the manifest is left out because Sealflow would not write it, so that what
 * somebody with the API server's power adds is judged by the agent policy.
 * @param containerIds 64 hex digits each, in the order of the containers.
 */
export function manifestRequests(
  manifest: PodManifest,
  pod: Omit<PodIdentity, "containerId">,
  containerIds: readonly string[],
): ManifestRequests {
  const fileIds = pod.fileIds ?? ["0000000000000001", "0000000000000002", "0000000000000003", "0000000000000004"];
  const files = containerIds.map((id) => copiedFiles(id, fileIds));
  const pauseFiles = copiedFiles(pod.sandboxId, fileIds).filter((f) => f.destination === "/etc/resolv.conf");
  const sandboxPidns = manifest.shareProcessNamespace === true;
  return {
    sandbox: fillDefaults("CreateSandboxRequest", {
      hostname: manifest.hostname ?? pod.podName,
      sandbox_id: pod.sandboxId,
      sandbox_pidns: sandboxPidns,
      storages: [
        {
          driver: "ephemeral",
          source: "shm",
          fstype: "tmpfs",
          options: ["noexec", "nosuid", "nodev", "mode=1777", "size=67108864"],
          mount_point: SHM,
        },
      ],
    }),
    files: [...pauseFiles, ...files.flat()].map(({ path }) =>
      fillDefaults("CopyFileRequest", {
        path,
        file_type: "Regular",
        file_size: 0,
        file_mode: 0o100644,
        dir_mode: 0o750,
      }),
    ),
    pause: pauseRequest(manifest, pod, pauseFiles),
    containers: manifest.containers.map((container, i) =>
      containerRequestOf(manifest, container, pod, containerIds[i] as string, files[i] ?? []),
    ),
    ...hooksOf(manifest.containers, containerIds),
  };
}

function hooksOf(containers: readonly PodContainer[], ids: readonly string[]): Pick<ManifestRequests, "hooks"> {
  const hooks = containers.flatMap(({ lifecycle }, i) => {
    const { command } = lifecycle?.postStart?.exec ?? {};
    const id = ids[i] as string;
    const process = { Args: command, Cwd: "/", Capabilities: capabilities(CONTAINERD_CAPABILITIES) };
    const request = { container_id: id, exec_id: `${id}-hook`, process };
    return command ? [[id, fillDefaults("ExecProcessRequest", request)] as const] : [];
  });
  return hooks.length > 0 ? { hooks: Object.fromEntries(hooks) } : {};
}

interface CopiedFile {
  readonly destination: string;
  readonly path: string;
}

function copiedFiles(id: string, fileIds: readonly string[]): CopiedFile[] {
  const names = ["/etc/hosts", "/dev/termination-log", "/etc/hostname", "/etc/resolv.conf"];
  return names.map((destination, i) => ({
    destination,
    path: `${SHARED}/${id}-${fileIds[i]}-${destination.split("/").at(-1)}`,
  }));
}

const bind = (destination: string, source: string, ...options: string[]) => ({
  destination,
  source,
  type_: "bind",
  options: ["rbind", ...options],
});

const SYSTEM_MOUNTS = [
  { destination: "/proc", source: "proc", type_: "proc", options: ["nosuid", "noexec", "nodev"] },
  {
    destination: "/dev",
    source: "tmpfs",
    type_: "tmpfs",
    options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
  },
  {
    destination: "/dev/pts",
    source: "devpts",
    type_: "devpts",
    options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
  },
  { destination: "/dev/mqueue", source: "mqueue", type_: "mqueue", options: ["nosuid", "noexec", "nodev"] },
  { destination: "/sys", source: "sysfs", type_: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
];
const CGROUP_MOUNT = {
  destination: "/sys/fs/cgroup",
  source: "cgroup",
  type_: "cgroup",
  options: ["nosuid", "noexec", "nodev", "relatime", "ro"],
};

function linux(pod: Pick<PodIdentity, "podUid">, id: string) {
  return {
    CgroupsPath: `kubepods-pod${pod.podUid.replaceAll("-", "_")}.slice:cri-containerd:${id}`,
    Namespaces: ["ipc", "uts", "mount"].map((Type) => ({ Type, Path: "" })),
    MaskedPaths: [
      "/proc/asound",
      "/proc/acpi",
      "/proc/kcore",
      "/proc/keys",
      "/proc/latency_stats",
      "/proc/timer_list",
      "/proc/timer_stats",
      "/proc/sched_debug",
      "/proc/scsi",
      "/sys/firmware",
      "/sys/devices/virtual/powercap",
    ],
    ReadonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    Resources: { Devices: [] },
  };
}

function capabilities(names: readonly string[]) {
  const all = names.map((name) => `CAP_${name}`);
  return { Bounding: all, Effective: all, Permitted: all, Inheritable: [], Ambient: [] };
}

function annotations(
  pod: Pick<PodIdentity, "sandboxId" | "podName" | "namespace" | "podUid">,
  id: string,
  type: "sandbox" | "container",
) {
  return {
    "io.katacontainers.pkg.oci.bundle_path": `/run/containerd/io.containerd.runtime.v2.task/k8s.io/${id}`,
    "io.katacontainers.pkg.oci.container_type": `pod_${type}`,
    "io.kubernetes.cri.container-type": type,
    "io.kubernetes.cri.sandbox-id": pod.sandboxId,
    "io.kubernetes.cri.sandbox-name": pod.podName,
    "io.kubernetes.cri.sandbox-namespace": pod.namespace,
    "io.kubernetes.cri.sandbox-uid": pod.podUid,
  };
}

/** Guest pull: the image is named in the storage, and the shim repeats the annotations beside it. */
const imageStorage = (id: string, source: string, metadata: Record<string, string>) => ({
  driver: "image_guest_pull",
  driver_options: [`image_guest_pull=${JSON.stringify({ metadata })}`],
  source,
  fstype: "overlay",
  mount_point: `/run/kata-containers/${id}/rootfs`,
});

const rootfs = (id: string) => ({ Path: `/run/kata-containers/${id}/rootfs`, Readonly: true });

/** Those that containerd hands on to the runtime; the initdata itself goes another way. */
const runtimeAnnotations = ({ annotations: all }: PodManifest): Record<string, string> =>
  Object.fromEntries(
    Object.entries(all).filter(([name]) => name.startsWith("io.katacontainers.") && name !== INITDATA_ANNOTATION),
  );

function pauseRequest(
  manifest: PodManifest,
  pod: Omit<PodIdentity, "containerId">,
  files: readonly CopiedFile[],
): Record<string, unknown> {
  const id = pod.sandboxId;
  const marks = annotations(pod, id, "sandbox");
  return fillDefaults("CreateContainerRequest", {
    container_id: id,
    exec_id: id,
    storages: [imageStorage(id, "pause", marks)],
    OCI: {
      Version: "1.1.0",
      Process: {
        Args: ["/pause"],
        Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        Cwd: "/",
        User: { UID: 65535, GID: 65535, AdditionalGids: [65535] },
        Capabilities: capabilities(CONTAINERD_CAPABILITIES),
        NoNewPrivileges: true,
        OOMScoreAdj: -998,
      },
      Root: rootfs(id),
      Hostname: manifest.hostname ?? pod.podName,
      Mounts: [
        ...SYSTEM_MOUNTS,
        bind("/dev/shm", SHM),
        ...files.map((f) => bind(f.destination, f.path, "ro", "nosuid", "nodev", "noexec")),
      ],
      Annotations: {
        ...runtimeAnnotations(manifest),
        ...marks,
        "io.kubernetes.cri.sandbox-log-directory": `/var/log/pods/${pod.namespace}_${pod.podName}_${pod.podUid}`,
      },
      Linux: { ...linux(pod, id), ...sysctlsOf(manifest) },
    },
  });
}

const sysctlsOf = ({ securityContext }: PodManifest) =>
  securityContext?.sysctls
    ? { Sysctl: Object.fromEntries(securityContext.sysctls.map(({ name, value }) => [name, value])) }
    : {};

const ALL_CAPABILITIES = [
  ...CONTAINERD_CAPABILITIES,
  ...["DAC_READ_SEARCH", "LINUX_IMMUTABLE", "NET_BROADCAST", "NET_ADMIN", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE"],
  ...["SYS_RAWIO", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME"],
  ...["SYS_TTY_CONFIG", "LEASE", "AUDIT_CONTROL", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM"],
  ...["BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"],
];

/** As containerd does it: what is dropped from its own set, then what is added. */
function capabilitiesOf({ securityContext = {} }: PodContainer): string[] {
  const { privileged = false, capabilities: { drop = [], add = [] } = {} } = securityContext;
  if (privileged) return ALL_CAPABILITIES;
  const kept = drop.includes("ALL") ? [] : CONTAINERD_CAPABILITIES.filter((name) => !drop.includes(name));
  return add.includes("ALL") ? ALL_CAPABILITIES : [...new Set([...kept, ...add])];
}

/** Volumes in guest memory, and everything else, which the host shares or plugs in. */
function volumesOf(manifest: PodManifest, container: PodContainer, id: string) {
  return (container.volumeMounts ?? []).map(({ name, mountPath, subPath, readOnly = false }) => {
    const volume = manifest.volumes.find((one) => one.name === name);
    const inMemory = volume?.emptyDir?.medium === "Memory";
    const source = inMemory
      ? `/run/kata-containers/sandbox/ephemeral/${name}`
      : `${SHARED}/${id}-${Buffer.from(name).toString("hex").padEnd(16, "0").slice(0, 16)}-${name}`;
    const at = subPath === undefined ? source : `${source}/${subPath}`;
    return { storage: inMemory ? source : undefined, mount: bind(mountPath, at, "rprivate", readOnly ? "ro" : "rw") };
  });
}

function containerRequestOf(
  manifest: PodManifest,
  container: PodContainer,
  pod: Omit<PodIdentity, "containerId">,
  id: string,
  files: readonly CopiedFile[],
): Record<string, unknown> {
  const marks = {
    ...annotations(pod, id, "container"),
    "io.kubernetes.cri.container-name": container.name,
    "io.kubernetes.cri.image-name": container.image,
  };
  const indexed = pod.completionIndex === undefined ? {} : { JOB_COMPLETION_INDEX: String(pod.completionIndex) };
  const manifestEnv = Object.fromEntries((container.env ?? []).map(({ name, value = "" }) => [name, value]));
  const env = { HOSTNAME: manifest.hostname ?? pod.podName, ...manifestEnv, ...indexed, ...pod.extraEnv };
  const { securityContext = {} } = container;
  const podContext = manifest.securityContext ?? {};
  const gid = securityContext.runAsGroup ?? podContext.runAsGroup ?? 0;
  const groups = [gid, ...(podContext.supplementalGroups ?? []), ...(podContext.fsGroup ? [podContext.fsGroup] : [])];
  const volumes = volumesOf(manifest, container, id);
  const ephemeral = [...new Set(volumes.flatMap(({ storage }) => storage ?? []))];
  const devices = (container.volumeDevices ?? []).map(({ devicePath }) => ({
    type_: "blk",
    vm_path: "",
    container_path: devicePath,
    id: devicePath,
    options: [],
  }));
  return fillDefaults("CreateContainerRequest", {
    container_id: id,
    exec_id: id,
    sandbox_pidns: manifest.shareProcessNamespace === true,
    ...(devices.length > 0 ? { devices } : {}),
    storages: [
      imageStorage(id, container.image, marks),
      ...ephemeral.map((source) => ({ driver: "ephemeral", source: "tmpfs", fstype: "tmpfs", mount_point: source })),
    ],
    OCI: {
      Version: "1.1.0",
      Process: {
        Args: [...(container.command ?? []), ...(container.args ?? [])],
        Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
        Cwd: container.workingDir ?? "/",
        ...(container.tty ? { Terminal: true } : {}),
        User: { UID: securityContext.runAsUser ?? podContext.runAsUser ?? 0, GID: gid, AdditionalGids: groups },
        Capabilities: capabilities(capabilitiesOf(container)),
        NoNewPrivileges: securityContext.allowPrivilegeEscalation === false,
        OOMScoreAdj: -997,
      },
      Root: { ...rootfs(id), Readonly: securityContext.readOnlyRootFilesystem === true },
      Hostname: manifest.hostname ?? pod.podName,
      Mounts: [
        ...SYSTEM_MOUNTS,
        CGROUP_MOUNT,
        ...files.map((f) => bind(f.destination, f.path, "rprivate", "rw")),
        bind("/dev/shm", SHM),
        ...volumes.map(({ mount }) => mount),
      ],
      Annotations: { ...runtimeAnnotations(manifest), ...marks, "io.kubernetes.cri.sandbox-name": pod.podName },
      Linux: { ...linux(pod, `${pod.podName}-${id.slice(0, 8)}`), ...sysctlsOf(manifest) },
    },
  });
}

/** Requests about a container that exists: Start, Wait, Signal, Remove, Stats. */
export const containerRequest = (
  name:
    | "StartContainerRequest"
    | "WaitProcessRequest"
    | "SignalProcessRequest"
    | "RemoveContainerRequest"
    | "StatsContainerRequest",
  containerId: string,
): Record<string, unknown> => fillDefaults(name, { container_id: containerId, exec_id: containerId });
