/**
 * The requests with which Kata's shim (4.2, guest pull, no shared file system) starts the pod of a Job. Pure: ids are
 * arguments. Everything is taken from the manifest, so a changed manifest makes changed requests and the agent policy
 * has the last word. Shapes: agent.proto and oci.proto of kata-containers, as in test/vectors/kata.
 */
import type { KubernetesContainer, KubernetesJob } from "../job";
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
  const [container] = job.spec.template.spec.containers;
  const fileIds = pod.fileIds ?? ["0000000000000001", "0000000000000002", "0000000000000003", "0000000000000004"];
  const files = copiedFiles(pod.containerId, fileIds);
  const pauseFiles = copiedFiles(pod.sandboxId, fileIds).filter((f) => f.destination === "/etc/resolv.conf");
  return {
    sandbox: fillDefaults("CreateSandboxRequest", {
      hostname: pod.podName,
      sandbox_id: pod.sandboxId,
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
    files: [...pauseFiles, ...files].map(({ path }) =>
      fillDefaults("CopyFileRequest", {
        path,
        file_type: "Regular",
        file_size: 0,
        file_mode: 0o100644,
        dir_mode: 0o750,
      }),
    ),
    pause: pauseRequest(pod, pauseFiles),
    step: stepRequest(job, container, pod, files),
  };
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

function linux(pod: PodIdentity, id: string) {
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

function annotations(pod: PodIdentity, id: string, type: "sandbox" | "container") {
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

function pauseRequest(pod: PodIdentity, files: readonly CopiedFile[]): Record<string, unknown> {
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
      Hostname: pod.podName,
      Mounts: [
        ...SYSTEM_MOUNTS,
        bind("/dev/shm", SHM),
        ...files.map((f) => bind(f.destination, f.path, "ro", "nosuid", "nodev", "noexec")),
      ],
      Annotations: {
        ...marks,
        "io.kubernetes.cri.sandbox-log-directory": `/var/log/pods/${pod.namespace}_${pod.podName}_${pod.podUid}`,
      },
      Linux: linux(pod, id),
    },
  });
}

function stepRequest(
  job: KubernetesJob,
  container: KubernetesContainer,
  pod: PodIdentity,
  files: readonly CopiedFile[],
): Record<string, unknown> {
  const id = pod.containerId;
  const marks = {
    ...annotations(pod, id, "container"),
    "io.kubernetes.cri.container-name": container.name,
    "io.kubernetes.cri.image-name": container.image,
  };
  const indexed = pod.completionIndex === undefined ? {} : { JOB_COMPLETION_INDEX: String(pod.completionIndex) };
  const manifestEnv = Object.fromEntries(container.env.map(({ name, value }) => [name, value]));
  const env = { HOSTNAME: pod.podName, ...manifestEnv, ...indexed, ...pod.extraEnv };
  const { securityContext } = container;
  const scratch = container.volumeMounts.map(({ name, mountPath }) => ({
    mountPath,
    source: `/run/kata-containers/sandbox/ephemeral/${name}`,
  }));
  return fillDefaults("CreateContainerRequest", {
    container_id: id,
    exec_id: id,
    storages: [
      imageStorage(id, container.image, marks),
      ...scratch.map(({ source }) => ({
        driver: "ephemeral",
        source: "tmpfs",
        fstype: "tmpfs",
        mount_point: source,
      })),
    ],
    OCI: {
      Version: "1.1.0",
      Process: {
        Args: container.command,
        Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
        Cwd: "/",
        User: {
          UID: securityContext.runAsUser,
          GID: securityContext.runAsGroup,
          AdditionalGids: [securityContext.runAsGroup],
        },
        Capabilities: capabilities(securityContext.capabilities.add),
        NoNewPrivileges: false,
        OOMScoreAdj: -997,
      },
      Root: { ...rootfs(id), Readonly: securityContext.readOnlyRootFilesystem },
      Hostname: pod.podName,
      Mounts: [
        ...SYSTEM_MOUNTS,
        CGROUP_MOUNT,
        ...files.map((f) => bind(f.destination, f.path, "rprivate", "rw")),
        bind("/dev/shm", SHM),
        ...scratch.map(({ mountPath, source }) => bind(mountPath, source, "rprivate", "rw")),
      ],
      Annotations: { ...marks, "io.kubernetes.cri.sandbox-name": pod.podName },
      Linux: linux(pod, `${job.metadata.name}-${id.slice(0, 8)}`),
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
