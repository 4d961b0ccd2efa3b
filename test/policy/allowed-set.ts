/**
 * What a step's guest may be asked, written a second time and independently of the Rego text: from docs/trust/agent-policy.md.
 * The mutation test compares both on thousands of requests, so an error in either shows. Only for requests whose fields
 * have the types of the protobuf messages, which is all that the agent can hand to its policy.
 */
import type { AgentPolicyData } from "../../policy/agent/text";

// biome-ignore lint/suspicious/noExplicitAny: a request as it comes, of every shape that a mutation may give it.
type Request = any;

export interface Guest {
  readonly data: AgentPolicyData;
  /** What was admitted before. */
  readonly state: { readonly sandbox?: string; readonly pause?: string; readonly step?: string };
}

const ID = /^[0-9a-f]{64}$/;
const NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
/** Number of the signal with which Node opens its debugger. */
const SIGUSR1 = 10;
const SHARED = "/run/kata-containers/shared/containers/";
const only = (allowed: readonly string[], found: readonly string[]): boolean => found.every((v) => allowed.includes(v));
const all = (required: readonly string[], found: readonly string[]): boolean =>
  required.every((v) => found.includes(v));
const unique = (list: readonly unknown[]): boolean => new Set(list).size === list.length;

export function admits(name: string, r: Request, guest: Guest): boolean {
  switch (name) {
    case "CreateSandboxRequest":
      return guest.state.sandbox === undefined && sandbox(r);
    case "CreateContainerRequest":
      return r.container_id === guest.state.sandbox ? pause(r, guest) : step(r, guest);
    case "CopyFileRequest":
      return (
        guest.state.sandbox !== undefined &&
        r.file_type === "Regular" &&
        r.symlink_target === null &&
        /^[0-9a-f]{64}-[0-9a-f]{16}-(hosts|hostname|resolv\.conf|termination-log)$/.test(
          r.path.startsWith(SHARED) ? r.path.slice(SHARED.length) : "",
        )
      );
    case "StartContainerRequest":
    case "WaitProcessRequest":
    case "RemoveContainerRequest":
    case "StatsContainerRequest":
      return [guest.state.pause, guest.state.step].includes(r.container_id);
    case "SignalProcessRequest":
      return [guest.state.pause, guest.state.step].includes(r.container_id) && r.signal !== SIGUSR1;
    case "UpdateInterfaceRequest":
      return interfaceOf(r.interface);
    case "UpdateRoutesRequest":
      return r.routes.Routes.every(
        (route: Request) => link(route.device) && [route.dest, route.source, route.gateway].every(notLoopback),
      );
    case "DestroySandboxRequest":
    case "GetOOMEventRequest":
    case "GuestDetailsRequest":
    case "OnlineCPUMemRequest":
    case "RemoveStaleVirtiofsShareMountsRequest":
      return true;
    default:
      return false;
  }
}

function sandbox(r: Request): boolean {
  return (
    ID.test(r.sandbox_id) &&
    NAME.test(r.hostname) &&
    !r.sandbox_pidns &&
    r.guest_hook_path === "" &&
    r.kernel_modules.length === 0 &&
    r.storages.length <= 1 &&
    r.storages.every(
      (s: Request) =>
        s.driver === "ephemeral" &&
        s.source === "shm" &&
        s.fstype === "tmpfs" &&
        s.mount_point === "/run/kata-containers/sandbox/shm" &&
        s.driver_options.length === 0 &&
        s.fs_group === null &&
        s.options.every((o: string) => /^(noexec|nosuid|nodev|mode=1777|size=[0-9]{1,15})$/.test(o)),
    )
  );
}

function pause(r: Request, { state }: Guest): boolean {
  const p = r.OCI?.Process;
  return (
    state.pause === undefined &&
    container(r, "sandbox", state.sandbox) &&
    JSON.stringify(p.Args) === '["/pause"]' &&
    p.NoNewPrivileges === true &&
    user(p.User, 65535) &&
    p.Env.every((e: string) => /^(PATH=[a-zA-Z0-9/:._-]*|HOSTNAME=[a-z0-9.-]+)$/.test(e)) &&
    only(CONTAINERD_CAPABILITIES, capabilities(p)) &&
    r.OCI.Mounts.every((m: Request) => podMount(m, r.container_id)) &&
    r.storages.length <= 1 &&
    r.storages.every((s: Request) => image(s, r.container_id, "sandbox"))
  );
}

function step(r: Request, { data, state }: Guest): boolean {
  const p = r.OCI?.Process;
  if (state.pause === undefined || state.pause !== state.sandbox || state.step !== undefined) return false;
  if (!container(r, "container", state.sandbox)) return false;
  const scratch = r.OCI.Mounts.filter((m: Request) => data.scratch.includes(m.destination));
  const sources = new Set(scratch.map((m: Request) => m.source));
  const images = r.storages.filter((s: Request) => s.driver === "image_guest_pull");
  const volumes = r.storages.filter((s: Request) => s.driver !== "image_guest_pull");
  return (
    r.OCI.Annotations["io.kubernetes.cri.container-name"] === data.container &&
    JSON.stringify(p.Args) === JSON.stringify(data.args) &&
    p.NoNewPrivileges === false &&
    user(p.User, 0) &&
    environment(p.Env, data.env, r.OCI.Annotations["io.kubernetes.cri.sandbox-name"]) &&
    only(data.capabilities, capabilities(p)) &&
    r.OCI.Mounts.every((m: Request) => podMount(m, r.container_id) || stepMount(m, r.container_id, data)) &&
    scratch.length === data.scratch.length &&
    all(
      ["/dev", "/proc"],
      r.OCI.Mounts.map((m: Request) => m.destination),
    ) &&
    images.length === 1 &&
    images[0].source === data.image &&
    image(images[0], r.container_id, "container") &&
    volumes.length === sources.size &&
    volumes.every((s: Request) => tmpfs(s) && sources.has(s.mount_point))
  );
}

function container(r: Request, type: "sandbox" | "container", sandboxId: string | undefined): boolean {
  const { OCI: o } = r;
  return (
    ID.test(r.container_id) &&
    r.exec_id === r.container_id &&
    [r.string_user, o?.Hooks, o?.Solaris, o?.Windows].every((v) => v === null) &&
    !r.sandbox_pidns &&
    [r.devices, r.shared_mounts].every((list) => list.length === 0) &&
    [r.stdin_port, r.stdout_port, r.stderr_port].every((port) => port === 0) &&
    /^1\.[0-9]+\.[0-9]+$/.test(o.Version) &&
    o.Root?.Path === `/run/kata-containers/${r.container_id}/rootfs` &&
    o.Root.Readonly === true &&
    unique(o.Mounts.map((m: Request) => m.destination)) &&
    process(o.Process) &&
    linux(o.Linux) &&
    annotations(o.Annotations, type, r.container_id, sandboxId)
  );
}

const process = (p: Request): boolean =>
  p !== null &&
  !p.Terminal &&
  p.ConsoleSize === null &&
  p.Cwd === "/" &&
  p.SelinuxLabel === "" &&
  p.Rlimits.length === 0 &&
  p.User !== null &&
  p.Capabilities !== null &&
  p.Capabilities.Ambient.length === 0 &&
  p.Capabilities.Inheritable.length === 0;

const capabilities = (p: Request): string[] => [
  ...p.Capabilities.Bounding,
  ...p.Capabilities.Effective,
  ...p.Capabilities.Permitted,
];

const user = (u: Request, id: number): boolean =>
  u.UID === id && u.GID === id && u.Username === "" && u.AdditionalGids.every((g: number) => g === id);

const SYSCTLS: Record<string, string> = {
  "net.ipv4.ip_unprivileged_port_start": "0",
  "net.ipv4.ping_group_range": "0 2147483647",
};
const MASKED =
  "/proc/acpi /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/sched_debug /proc/scsi /sys/firmware".split(
    " ",
  );
const MAY_BE_MASKED = ["/proc/asound", "/proc/interrupts", "/proc/timer_stats", "/sys/devices/virtual/powercap"];
const THERMAL = /^\/sys\/devices\/system\/cpu\/cpu[0-9]+\/thermal_throttle$/;
const READONLY = "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger".split(" ");
const NAMESPACES = ["ipc", "uts", "mount", "pid", "cgroup", "network"];

function linux(l: Request): boolean {
  return (
    l !== null &&
    l.Resources !== null &&
    [l.UIDMappings, l.GIDMappings, l.Devices, l.Resources.Devices].every((list) => list.length === 0) &&
    l.Seccomp === null &&
    l.IntelRdt === null &&
    l.MountLabel === "" &&
    l.RootfsPropagation === "" &&
    Object.entries(l.Sysctl).every(([k, v]) => Object.hasOwn(SYSCTLS, k) && SYSCTLS[k] === v) &&
    l.Namespaces.every(
      (n: Request) =>
        (NAMESPACES.includes(n.Type) && n.Path === "") || (n.Type === "network" && n.Path === "/run/netns/podns"),
    ) &&
    all(
      ["ipc", "mount", "uts"],
      l.Namespaces.map((n: Request) => n.Type),
    ) &&
    all(MASKED, l.MaskedPaths) &&
    l.MaskedPaths.every((path: string) => [...MASKED, ...MAY_BE_MASKED].includes(path) || THERMAL.test(path)) &&
    all(READONLY, l.ReadonlyPaths) &&
    only(READONLY, l.ReadonlyPaths)
  );
}

function annotations(a: Record<string, string>, type: string, id: string, sandboxId: string | undefined): boolean {
  return (
    a["io.kubernetes.cri.container-type"] === type &&
    a["io.katacontainers.pkg.oci.container_type"] === `pod_${type}` &&
    a["io.kubernetes.cri.sandbox-id"] === sandboxId &&
    a["io.katacontainers.pkg.oci.bundle_path"] === `/run/containerd/io.containerd.runtime.v2.task/k8s.io/${id}` &&
    NAME.test(a["io.kubernetes.cri.sandbox-name"] ?? "") &&
    NAME.test(a["io.kubernetes.cri.sandbox-namespace"] ?? "") &&
    Object.keys(a).every(
      (k) =>
        k.startsWith("io.kubernetes.cri.") ||
        k.startsWith("io.katacontainers.config.") ||
        k === "io.katacontainers.pkg.oci.container_type" ||
        k === "io.katacontainers.pkg.oci.bundle_path" ||
        k === "nerdctl/network-namespace",
    )
  );
}

/** Ours exactly, one hint which run, and what Kubernetes adds to every container. */
function environment(env: string[], own: readonly string[], podName: string | undefined): boolean {
  const port = "[0-9]{1,5}";
  const kubernetes = [
    "SEALFLOW_RUN=[0-9a-f]{64}",
    "JOB_COMPLETION_INDEX=[0-9]{1,6}",
    "KUBERNETES_SERVICE_HOST=[0-9a-f.:]{2,45}",
    `KUBERNETES_PORT_${port}_TCP_ADDR=[0-9a-f.:]{2,45}`,
    `KUBERNETES_SERVICE_PORT=${port}`,
    `KUBERNETES_SERVICE_PORT_HTTPS=${port}`,
    `KUBERNETES_PORT_${port}_TCP_PORT=${port}`,
    `KUBERNETES_PORT=tcp://[0-9a-f.:[\\]]{2,47}:${port}`,
    `KUBERNETES_PORT_${port}_TCP=tcp://[0-9a-f.:[\\]]{2,47}:${port}`,
    `KUBERNETES_PORT_${port}_TCP_PROTO=tcp`,
  ].map((pattern) => new RegExp(`^(?:${pattern})$`));
  return (
    all(own, env) &&
    unique(env.map((e) => e.split("=")[0])) &&
    env.every((e) => own.includes(e) || e === `HOSTNAME=${podName}` || kubernetes.some((pattern) => pattern.test(e)))
  );
}

/** Destination → type, source, options. */
const SYSTEM: Record<string, [string, string, string]> = {
  "/proc": ["proc", "proc", "nosuid noexec nodev"],
  "/dev": ["tmpfs", "tmpfs", "nosuid strictatime mode=755 size=65536k"],
  "/dev/pts": ["devpts", "devpts", "nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5"],
  "/dev/mqueue": ["mqueue", "mqueue", "nosuid noexec nodev"],
  "/sys": ["sysfs", "sysfs", "nosuid noexec nodev ro"],
  "/sys/fs/cgroup": ["cgroup", "cgroup", "nosuid noexec nodev relatime ro nsdelegate memory_recursiveprot"],
  "/dev/shm": ["bind", "/run/kata-containers/sandbox/shm", "rbind"],
};

function podMount(m: Request, id: string): boolean {
  if (m.destination === "/etc/resolv.conf") {
    return copied(m, id, "resolv.conf", "rbind rprivate ro rw nosuid noexec nodev");
  }
  if (!Object.hasOwn(SYSTEM, m.destination)) return false;
  const [type, source, options] = SYSTEM[m.destination] as [string, string, string];
  return m.type_ === type && m.source === source && only(options.split(" "), m.options);
}

const FILES: Record<string, string> = {
  "/etc/hosts": "hosts",
  "/etc/hostname": "hostname",
  "/dev/termination-log": "termination-log",
};

function stepMount(m: Request, id: string, data: AgentPolicyData): boolean {
  if (data.scratch.includes(m.destination)) {
    return (
      m.type_ === "bind" &&
      /^\/run\/kata-containers\/sandbox\/ephemeral\/[a-z0-9-]+$/.test(m.source) &&
      only(["rbind", "rprivate", "rw"], m.options)
    );
  }
  return Object.hasOwn(FILES, m.destination) && copied(m, id, FILES[m.destination] as string, "rbind rprivate ro rw");
}

/** A file that the host copied into the guest for this very container. */
function copied(m: Request, id: string, name: string, options: string): boolean {
  const start = `${SHARED}${id}-`;
  const rest = m.source.startsWith(start) ? m.source.slice(start.length) : "";
  return (
    m.type_ === "bind" && /^[0-9a-f]{16}-/.test(rest) && rest.slice(17) === name && only(options.split(" "), m.options)
  );
}

const tmpfs = (s: Request): boolean =>
  s.driver === "ephemeral" &&
  s.source === "tmpfs" &&
  s.fstype === "tmpfs" &&
  s.driver_options.length === 0 &&
  s.fs_group === null &&
  s.options.every((o: string) => /^size=[0-9]{1,15}[kMG]?$/.test(o));

/** The agent takes `container-type` of the metadata for the choice between pulling and the pause program. */
function image(s: Request, id: string, type: string): boolean {
  const shape =
    s.driver === "image_guest_pull" &&
    s.fstype === "overlay" &&
    s.fs_group === null &&
    s.options.length === 0 &&
    s.mount_point === `/run/kata-containers/${id}/rootfs` &&
    s.driver_options.length === 1;
  const prefix = "image_guest_pull=";
  const [option] = s.driver_options;
  if (!shape || !option.startsWith(prefix) || /[\\\n]/.test(option)) return false;
  const text = option.slice(prefix.length);
  if (text.split("container-type").length !== 2 || text.includes("cri-o.ContainerType")) return false;
  try {
    const parsed = JSON.parse(text);
    const canonical = JSON.stringify(parsed) === text && Object.keys(parsed).join() === "metadata";
    return (
      canonical &&
      Object.entries(parsed.metadata).every(([k, v]) => /^[A-Za-z0-9./_-]+$/.test(k) && typeof v === "string") &&
      parsed.metadata["io.kubernetes.cri.container-type"] === type
    );
  } catch {
    return false;
  }
}

/** A link's name that Linux takes as written, and not the loopback interface's. */
const link = (name: string): boolean =>
  name.length <= 15 && [...name].every((c) => /[A-Za-z0-9._-]/.test(c)) && name !== "lo";

/** Six pairs of digits, not all zero as those of the loopback interface. */
function hardware(address: string): boolean {
  const bytes = address.split(":");
  return bytes.length === 6 && bytes.every((b) => /^[0-9A-Fa-f]{2}$/.test(b)) && bytes.some((b) => b !== "00");
}

const interfaceOf = (i: Request): boolean =>
  i !== null &&
  [i.name, i.device].every(link) &&
  hardware(i.hwAddr) &&
  [0, 128].includes(i.raw_flags) &&
  i.IPAddresses.every((a: Request) => notLoopback(a.address));

/** An address, or a network, that reaches the loopback interface in no spelling. */
function notLoopback(text: string): boolean {
  const [address = "", bits = "0", more] = text.split("/");
  if (more !== undefined || !/^[0-9]*$/.test(bits)) return false;
  if (!address.includes(":"))
    return /^[0-9.]*$/.test(address) ? !/^0*127\./.test(address) : /^[0-9a-fA-F]*$/.test(address);
  // IPv4 inside IPv6 in its own form: several spellings of ::1 are.
  if (!/^[0-9a-fA-F:]*$/.test(address)) return false;
  const groups = address.split(":");
  const zero = (g: string) => /^0{0,4}$/.test(g);
  const lead = groups.slice(0, -1);
  if (groups.length <= 8 && lead.every(zero) && /^0{0,3}1$/.test(groups.at(-1) ?? "")) return false;
  // The same in hexadecimal, whatever address it is.
  const at = groups.findIndex((g) => /^ffff$/i.test(g));
  return !(at >= 1 && at <= 6 && at < groups.length - 1 && groups.slice(0, at).every(zero));
}

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
].map((name) => `CAP_${name}`);
