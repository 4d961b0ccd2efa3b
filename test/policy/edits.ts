/** Changes of a pod's requests, by kind: each adds, removes, alters or moves one thing. Deterministic. */

// biome-ignore lint/suspicious/noExplicitAny: requests are edited at any depth.
type Request = any;

export type Kind =
  | "env"
  | "arg"
  | "mount"
  | "storage"
  | "hook"
  | "annotation"
  | "device"
  | "order"
  | "rights"
  | "other";

export interface Edit {
  readonly kind: Kind;
  readonly how: string;
  readonly edit: (request: Request) => void;
}

const made = (kind: Kind, how: string, edit: (r: Request) => void): Edit => ({ kind, how, edit });

/** One text in the ways an attacker would bend it. */
function bent(text: string): string[] {
  const flips = [0, 1, Math.floor(text.length / 2), text.length - 1]
    .filter((i) => i >= 0 && i < text.length)
    .map((i) => text.slice(0, i) + (text[i] === "q" ? "z" : "q") + text.slice(i + 1));
  return [
    "",
    `${text}x`,
    `x${text}`,
    `${text}\n`,
    `\n${text}`,
    `${text} `,
    `${text}\0`,
    `${text}/../x`,
    text.slice(0, -1),
    text.slice(1),
    text.toUpperCase(),
    text.replace("/", "//"),
    ...flips,
  ].filter((other) => other !== text);
}

type ListOf = (r: Request) => Request[];

/** Every entry removed, doubled and bent; every foreign entry added at both ends. */
function listEdits(kind: Kind, what: string, of: ListOf, sample: Request, foreign: readonly unknown[]): Edit[] {
  const edits: Edit[] = [];
  of(sample).forEach((entry: unknown, i: number) => {
    edits.push(made(kind, `${what} ${i} removed`, (r) => void of(r).splice(i, 1)));
    edits.push(made(kind, `${what} ${i} doubled`, (r) => void of(r).push(structuredClone(of(r)[i]))));
    if (typeof entry === "string") {
      for (const other of bent(entry)) {
        edits.push(made(kind, `${what} ${i} as ${JSON.stringify(other)}`, (r) => void of(r).splice(i, 1, other)));
      }
    }
    for (const other of foreign) {
      edits.push(
        made(kind, `${what} ${i} replaced by ${short(other)}`, (r) => void of(r).splice(i, 1, structuredClone(other))),
      );
    }
  });
  for (const other of foreign) {
    edits.push(made(kind, `${what} added: ${short(other)}`, (r) => void of(r).push(structuredClone(other))));
    edits.push(made(kind, `${what} added first: ${short(other)}`, (r) => void of(r).unshift(structuredClone(other))));
  }
  edits.push(made(kind, `${what}: none`, (r) => void of(r).splice(0)));
  return edits;
}

const short = (value: unknown): string => JSON.stringify(value).slice(0, 90);

const ENV = [
  "LD_PRELOAD=/tmp/x.so",
  "LD_LIBRARY_PATH=/tmp",
  "LD_AUDIT=/tmp/x.so",
  "GLIBC_TUNABLES=glibc.malloc.check=3",
  "NODE_OPTIONS=--require /tmp/x.js",
  "NODE_PATH=/tmp",
  "NODE_EXTRA_CA_CERTS=/tmp/ca.pem",
  "NODE_TLS_REJECT_UNAUTHORIZED=0",
  "SSL_CERT_FILE=/tmp/ca.pem",
  "SSLKEYLOGFILE=/dev/termination-log",
  "HTTPS_PROXY=http://evil:3128",
  "https_proxy=http://evil:3128",
  "NO_PROXY=*",
  "PATH=/tmp",
  "HOME=/tmp",
  "HOSTNAME=other",
  `SEALFLOW_RESOURCE=sf-0011/step/${"ee".repeat(32)}`,
  `SEALFLOW_RUN=${"f".repeat(64)}`,
  `SEALFLOW_RUN=${"f".repeat(63)}`,
  `SEALFLOW_RUN=${"F".repeat(64)}`,
  "SEALFLOW_DEBUG=1",
  "SEALFLOW_SHARD=3",
  "KUBERNETES_SERVICE_HOST=10.0.0.1",
  "KUBERNETES_SERVICE_HOST=evil.example",
  "KUBERNETES_SERVICE_PORT=443",
  "KUBERNETES_SERVICE_PORT=443;x",
  "KUBERNETES_PORT=tcp://10.0.0.1:443",
  "KUBERNETES_PORT=http://10.0.0.1:443",
  "KUBERNETES_PORT_443_TCP_PROTO=tcp",
  "KUBERNETES_PORT_443_TCP_PROTO=udp",
  "KUBERNETES_EVIL=1",
  "JOB_COMPLETION_INDEX=7",
  "JOB_COMPLETION_INDEX=-1",
  "JOB_COMPLETION_INDEX=1e3",
  "OTHER_SERVICE_HOST=10.0.0.9",
  "=x",
  "PATH",
  "",
];

const ARGS = ["/bin/sh", "-c", "--inspect=0.0.0.0", "--require", "/tmp/x.js", "-e", "--preload", "/tmp", "", "--"];

const DESTINATIONS = [
  "/",
  "/sealflow",
  "/sealflow/runner.js",
  "/sealflow/lib/ld.so",
  "/sealflow-owner",
  "/app",
  "/etc/ld.so.preload",
  "/etc/passwd",
  "/proc/sys",
  "/run",
  "/sealflow/scratch/../lib",
  "/etc//hosts",
];
const SOURCES = [
  "/",
  "/run",
  "/run/kata-containers",
  `/run/kata-containers/shared/containers/${"2".repeat(64)}-0000000000000009-evil`,
  `/run/kata-containers/shared/containers/${"3".repeat(64)}-0000000000000001-hosts`,
  "/run/kata-containers/shared/containers/../../x",
  "/run/kata-containers/sandbox/ephemeral/../../x",
  "/run/image-security",
  "/dev/vda",
  "tmpfs",
];
const OPTIONS = ["rshared", "shared", "rslave", "bind", "exec", "suid", "dev", "upperdir=/x", "lowerdir=/x", "remount"];
const STORAGE_DRIVERS = [
  "blk",
  "blk-ccw",
  "mmioblk",
  "scsi",
  "nvdimm",
  "virtio-fs",
  "9p",
  "local",
  "ephemeral",
  "bind",
  "watchable-bind",
  "overlayfs",
  "image_guest_pull",
  "erofs.multi-layer",
];
const MOUNT_POINTS = [
  "/",
  "/sealflow",
  `/run/kata-containers/${"2".repeat(64)}/rootfs`,
  "/run/kata-containers/sandbox/ephemeral/other",
  "/run/kata-containers/sandbox/ephemeral/scratch",
];
const storage = (driver: string, mount_point: string, source: string): Request => ({
  driver,
  driver_options: [],
  source,
  fstype: driver === "ephemeral" ? "tmpfs" : "ext4",
  options: [],
  mount_point,
  fs_group: null,
  shared: false,
});

const HOOK_LISTS = ["Prestart", "Poststart", "Poststop", "CreateRuntime", "CreateContainer", "StartContainer"];
const HOOKS = ["/bin/sh", "/usr/bin/nvidia-container-runtime-hook", "/tmp/x", "", "../x"].flatMap((Path) => [
  { Path, Args: [], Env: [], Timeout: 0 },
  { Path, Args: ["-c", "cp /sealflow /x"], Env: ["LD_PRELOAD=/x"], Timeout: 9 },
]);

const ANNOTATIONS = [
  "io.katacontainers.pkg.oci.bundle_path",
  "io.katacontainers.pkg.oci.container_type",
  "io.katacontainers.pkg.agent.x",
  "io.katacontainers.config.hypervisor.cc_init_data",
  "io.katacontainers.config.hypervisor.kernel_params",
  "io.katacontainers.volume.ephemeral",
  "io.katacontainers.container.resource.swappiness",
  "io.katacontainers.container.resource.swap_in_bytes",
  "io.kubernetes.cri.container-type",
  "io.kubernetes.cri.image-name",
  "io.kubernetes.cri-o.ContainerType",
  "io.kubernetes.cri.sandbox-id",
  "cdi.k8s.io/gpu",
  "cdi.k8s.io/vfio16",
  "nerdctl/network-namespace",
  "org.opencontainers.image.ref.name",
  "run.oci.handler",
  "module.wasm.image/variant",
  "x",
  "",
];
const ANNOTATION_VALUES = ["", "sandbox", "pod_sandbox", "nvidia.com/gpu=0", "/etc"];

const DEVICES = ["blk", "mmioblk", "scsi", "nvdimm", "vfio-pci", "vfio-pci-gk", "vfio-ap", "ephemeral"].flatMap(
  (type_) =>
    ["/dev/vda", "/dev/sev-guest", "/dev/mem"].map((container_path) => ({
      id: "d",
      type_,
      vm_path: "/dev/vda",
      container_path,
      options: ["0000:00:01.0=00/01"],
    })),
);
const DEVICE_NODES = ["/dev/mem", "/dev/kmsg", "/dev/vda", "/dev/sev-guest", "/dev/tdx_guest", "/dev/tpm0"].flatMap(
  (Path) => ["c", "b"].map((Type) => ({ Path, Type, Major: 1, Minor: 1, FileMode: 0o666, UID: 0, GID: 0 })),
);
const DEVICE_RULES = ["a", "b", "c"].flatMap((Type) =>
  [-1, 1, 10].map((Major) => ({ Allow: true, Type, Major, Minor: -1, Access: "rwm" })),
);

const CAPABILITIES = (
  "AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER " +
  "FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE " +
  "NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE " +
  "SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM"
)
  .split(" ")
  .map((name) => `CAP_${name}`);
/** Files that a mask would make empty, a read-only mount would keep from being written, and what is harmless. */
const COVERED = [
  "/",
  "/app/allowed-users.txt",
  "/etc/ssl/certs/ca-certificates.crt",
  "/sealflow",
  "/sealflow/runner.js",
  "/sealflow-owner/owner.json",
  "/sealflow/scratch",
  "/proc",
  "/proc/self/status",
  "/proc/scsi/../../app/x",
  "/proc/interrupts",
  "/proc/asound",
  "/sys/devices/system/cpu/cpu0/thermal_throttle",
];
const SYSCTLS = ["kernel.core_pattern", "kernel.modprobe", "net.ipv4.ip_forward", "net.ipv4.ping_group_range", "vm.x"];

/** Every edit of a CreateContainerRequest. */
export function containerEdits(sample: Request): Edit[] {
  return [
    ...listEdits("env", "env", (r) => r.OCI.Process.Env, sample, ENV),
    ...listEdits("arg", "arg", (r) => r.OCI.Process.Args, sample, ARGS),
    ...everyCharacter("arg", (r) => r.OCI.Process.Args, sample),
    ...mountEdits(sample),
    ...storageEdits(sample),
    ...hookEdits(),
    ...annotationEdits(sample),
    ...listEdits("device", "device", (r) => r.devices, sample, DEVICES),
    ...listEdits("device", "device node", (r) => r.OCI.Linux.Devices, sample, DEVICE_NODES),
    ...listEdits("device", "device rule", (r) => r.OCI.Linux.Resources.Devices, sample, DEVICE_RULES),
    ...orderEdits(sample),
    ...rightsEdits(sample),
    ...otherEdits(sample),
  ];
}

function everyCharacter(kind: Kind, of: ListOf, sample: Request): Edit[] {
  return of(sample).flatMap((text: string, i: number) =>
    [...text].map((c, at) => {
      const other = `${text.slice(0, at)}${c === "x" ? "y" : "x"}${text.slice(at + 1)}`;
      return made(kind, `${kind} ${i}, character ${at}`, (r) => void of(r).splice(i, 1, other));
    }),
  );
}

const mountsOf: ListOf = (r) => r.OCI.Mounts;

function mountEdits(sample: Request): Edit[] {
  const foreign = DESTINATIONS.flatMap((destination) =>
    SOURCES.map((source) => ({ destination, source, type_: "bind", options: ["rbind", "rw"] })),
  );
  const edits = foreign.map((m) =>
    made("mount", `mount added: ${m.destination} from ${m.source}`, (r) => void mountsOf(r).push({ ...m })),
  );
  mountsOf(sample).forEach((mount: Request, i: number) => {
    const set = (field: string, value: unknown) =>
      edits.push(
        made("mount", `mount ${mount.destination}: ${field} = ${short(value)}`, (r) => {
          mountsOf(r)[i][field] = value;
        }),
      );
    for (const value of [...DESTINATIONS, ...bent(mount.destination)]) set("destination", value);
    for (const value of [...SOURCES, ...bent(mount.source)]) set("source", value);
    for (const value of ["bind", "tmpfs", "proc", "sysfs", "overlay", "ext4", "cgroup2", ""]) {
      if (value !== mount.type_) set("type_", value);
    }
    edits.push(
      ...listEdits(
        "mount",
        `mount ${mount.destination}: option`,
        (r) => mountsOf(r)[i].options,
        sample,
        OPTIONS,
      ).filter(({ how }) => !how.includes("added first")),
    );
    edits.push(made("mount", `mount ${mount.destination} removed`, (r) => void mountsOf(r).splice(i, 1)));
    edits.push(made("mount", `mount ${mount.destination} doubled`, (r) => void mountsOf(r).push({ ...mount })));
  });
  return edits;
}

function storageEdits(sample: Request): Edit[] {
  const of: ListOf = (r) => r.storages;
  const foreign = STORAGE_DRIVERS.flatMap((driver) =>
    MOUNT_POINTS.flatMap((point) =>
      ["tmpfs", "00/01", "evil/image:latest"].map((source) => storage(driver, point, source)),
    ),
  );
  const edits = foreign.map((s) =>
    made("storage", `storage added: ${s.driver} ${s.source} at ${s.mount_point}`, (r) => void of(r).push({ ...s })),
  );
  of(sample).forEach((s: Request, i: number) => {
    const set = (field: string, value: unknown) =>
      edits.push(
        made("storage", `storage ${i}: ${field} = ${short(value)}`, (r) => {
          of(r)[i][field] = value;
        }),
      );
    for (const value of STORAGE_DRIVERS) if (value !== s.driver) set("driver", value);
    for (const value of [...bent(s.source), "evil/image:latest", `${s.source.split("@")[0]}:latest`, "pause"]) {
      if (value !== s.source) set("source", value);
    }
    for (const value of [...bent(s.mount_point), ...MOUNT_POINTS])
      if (value !== s.mount_point) set("mount_point", value);
    for (const value of ["ext4", "erofs", "virtiofs", ""]) set("fstype", value);
    for (const value of [["ro"], ["size=1G"], ["size=1G,suid"], ["upperdir=/x"]]) set("options", value);
    set("fs_group", { group_id: 1, group_change_policy: 0 });
    set("shared", true);
    for (const value of driverOptions(s)) set("driver_options", value);
    edits.push(made("storage", `storage ${i} removed`, (r) => void of(r).splice(i, 1)));
    edits.push(made("storage", `storage ${i} doubled`, (r) => void of(r).push(structuredClone(of(r)[i]))));
  });
  return edits;
}

/** The metadata from which some agents read whether to pull an image or to take the pause program. */
function driverOptions(s: Request): unknown[] {
  const [option = ""] = s.driver_options as string[];
  const swap = (from: string, to: string) => (option.includes(from) ? [[option.replace(from, to)]] : []);
  return [
    [],
    ["encryption_key=ephemeral"],
    [...s.driver_options, "x"],
    ...bent(option)
      .filter((o) => !/^image_guest_pull=\{.*\}\}$/.test(o))
      .map((o) => [o]),
    ...swap('-type":"container"', '-type":"sandbox"'),
    ...swap('-type":"sandbox"', '-type":"container"'),
    ...swap("container-type", "container\\u002dtype"),
    ...swap("}}", ',"io.kubernetes.cri.container-type":"sandbox"}}'),
    ...swap("}}", ',"io.kubernetes.cri-o.ContainerType":"sandbox"}}'),
    ...swap("}}", ',"a":{"b":"c"}}}'),
    ...swap("}}", ',"a":1}}'),
    ...swap("}}", '},"x":{}}'),
    ...swap("{", "{ "),
  ];
}

function hookEdits(): Edit[] {
  const lists = HOOK_LISTS.flatMap((list) =>
    HOOKS.map((hook) =>
      made("hook", `${list}: ${short(hook)}`, (r) => {
        r.OCI.Hooks = { ...Object.fromEntries(HOOK_LISTS.map((name) => [name, []])), [list]: [hook] };
      }),
    ),
  );
  const empty = made("hook", "no hook, but lists for them", (r) => {
    r.OCI.Hooks = Object.fromEntries(HOOK_LISTS.map((name) => [name, []]));
  });
  return [...lists, empty];
}

function annotationEdits(sample: Request): Edit[] {
  const of = (r: Request): Record<string, string> => r.OCI.Annotations;
  const existing = Object.entries(of(sample)).flatMap(([key, value]) => [
    made("annotation", `${key} removed`, (r) => void delete of(r)[key]),
    ...bent(value).map((other) =>
      made("annotation", `${key} = ${JSON.stringify(other)}`, (r) => {
        of(r)[key] = other;
      }),
    ),
  ]);
  const added = ANNOTATIONS.flatMap((key) =>
    ANNOTATION_VALUES.map((value) =>
      made("annotation", `added ${key} = ${value}`, (r) => {
        of(r)[key] = value;
      }),
    ),
  );
  return [...existing, ...added];
}

function orderEdits(sample: Request): Edit[] {
  const { Args } = sample.OCI.Process;
  const args = permutations<string>(Args).map((order, i) =>
    made("order", `args in order ${i}`, (r) => {
      r.OCI.Process.Args = order;
    }),
  );
  const lists: [string, ListOf][] = [
    ["env", (r) => r.OCI.Process.Env],
    ["mounts", mountsOf],
    ["storages", (r) => r.storages],
    ["bounding capabilities", (r) => r.OCI.Process.Capabilities.Bounding],
    ["namespaces", (r) => r.OCI.Linux.Namespaces],
    ["masked paths", (r) => r.OCI.Linux.MaskedPaths],
  ];
  const swaps = lists.flatMap(([what, of]) => {
    const { length } = of(sample);
    const pairs = Array.from({ length }, (_, a) => Array.from({ length: length - a - 1 }, (_x, b) => [a, a + b + 1]));
    return [
      made("order", `${what} backwards`, (r) => void of(r).reverse()),
      ...pairs.flat().map(([a, b]) =>
        made("order", `${what} ${a} and ${b} swapped`, (r) => {
          const list = of(r);
          [list[a as number], list[b as number]] = [list[b as number], list[a as number]];
        }),
      ),
    ];
  });
  return [...args, ...swaps];
}

const permutations = <T>(list: readonly T[]): T[][] =>
  list.length <= 1
    ? [[...list]]
    : list.flatMap((first, i) => permutations(list.filter((_, j) => j !== i)).map((rest) => [first, ...rest]));

function rightsEdits(sample: Request): Edit[] {
  const edits: Edit[] = [];
  const set = (how: string, edit: (r: Request) => void) => edits.push(made("rights", how, edit));
  for (const list of ["Bounding", "Effective", "Permitted", "Inheritable", "Ambient"]) {
    for (const name of CAPABILITIES) set(`${list} + ${name}`, (r) => void r.OCI.Process.Capabilities[list].push(name));
    set(`${list}: none`, (r) => {
      r.OCI.Process.Capabilities[list] = [];
    });
  }
  for (const id of [0, 1, 1000, 65535, 4294967295]) {
    for (const field of ["UID", "GID"])
      set(`${field} ${id}`, (r) => {
        r.OCI.Process.User[field] = id;
      });
    set(`group ${id}`, (r) => void r.OCI.Process.User.AdditionalGids.push(id));
  }
  for (const Type of ["ipc", "uts", "mount", "pid", "user", "cgroup", "network", "time", ""]) {
    for (const Path of ["", "/proc/1/ns/pid", "/run/netns/podns", "/run/netns/podns/.."]) {
      set(`namespace ${Type} ${Path}`, (r) => void r.OCI.Linux.Namespaces.push({ Type, Path }));
    }
  }
  sample.OCI.Linux.Namespaces.forEach((n: Request, i: number) => {
    set(`namespace ${n.Type} removed`, (r) => void r.OCI.Linux.Namespaces.splice(i, 1));
    set(`namespace ${n.Type} of the host`, (r) => {
      r.OCI.Linux.Namespaces[i].Path = `/proc/1/ns/${n.Type}`;
    });
  });
  for (const list of ["MaskedPaths", "ReadonlyPaths"]) {
    sample.OCI.Linux[list].forEach((path: string, i: number) => {
      set(`${list}: ${path} left out`, (r) => void r.OCI.Linux[list].splice(i, 1));
    });
    edits.push(
      ...listEdits("rights", list, (r) => r.OCI.Linux[list], sample, COVERED).filter(
        ({ how }) => !how.includes("first"),
      ),
    );
  }
  for (const name of SYSCTLS) {
    for (const value of ["0", "1", "|/bin/sh", "0 2147483647"]) {
      set(`sysctl ${name}=${value}`, (r) => {
        r.OCI.Linux.Sysctl[name] = value;
      });
    }
  }
  return edits;
}

function otherEdits(sample: Request): Edit[] {
  const edits: Edit[] = [];
  const field = (path: string, ...values: unknown[]) => {
    for (const value of values) {
      edits.push(
        made("other", `${path} = ${short(value)}`, (r) => {
          const keys = path.split(".");
          const parent = keys.slice(0, -1).reduce((node, key) => node[key], r);
          parent[keys.at(-1) as string] = value;
        }),
      );
    }
  };
  field("container_id", ...bent(sample.container_id), "3".repeat(64));
  field("exec_id", ...bent(sample.exec_id), "3".repeat(64));
  field("string_user", { uid: "0", gid: "0", additionalGids: [] }, { uid: "root", gid: "", additionalGids: [] });
  field("sandbox_pidns", true);
  field("shared_mounts", [{ name: "x", src_ctr: "a", src_path: "/", dst_ctr: "b", dst_path: "/" }]);
  for (const port of ["stdin_port", "stdout_port", "stderr_port"]) field(port, 1, 65535);
  field("OCI.Version", "", "1.1.0\n", "2.0.0", "1.1", "1.2.1");
  field("OCI.Hostname", "", "other");
  field("OCI.Process.Terminal", true);
  field("OCI.Process.ConsoleSize", { Height: 1, Width: 1 });
  field("OCI.Process.Cwd", "", "/tmp", "/sealflow", "/.");
  field("OCI.Process.NoNewPrivileges", !sample.OCI.Process.NoNewPrivileges);
  field("OCI.Process.SelinuxLabel", "unconfined");
  field("OCI.Process.ApparmorProfile", "unconfined");
  field("OCI.Process.OOMScoreAdj", 1000);
  field("OCI.Process.Rlimits", [{ Type: "RLIMIT_CORE", Hard: 1, Soft: 1 }]);
  field("OCI.Process.User.Username", "root");
  field("OCI.Root.Path", ...bent(sample.OCI.Root.Path), "/");
  field("OCI.Root.Readonly", false);
  field("OCI.Solaris", { dummy: "" });
  field("OCI.Windows", { dummy: "" });
  field("OCI.Linux.UIDMappings", [{ HostID: 0, ContainerID: 0, Size: 1 }]);
  field("OCI.Linux.GIDMappings", [{ HostID: 0, ContainerID: 0, Size: 1 }]);
  field("OCI.Linux.Seccomp", { DefaultAction: "SCMP_ACT_ALLOW", Architectures: [], Flags: [], Syscalls: [] });
  field("OCI.Linux.RootfsPropagation", "rshared", "shared", "private");
  field("OCI.Linux.MountLabel", "x");
  field("OCI.Linux.IntelRdt", { L3CacheSchema: "" });
  field("OCI.Linux.CgroupsPath", "", "/../x");
  return edits;
}

/** Every edit of a CreateSandboxRequest. */
export function sandboxEdits(sample: Request): Edit[] {
  const edits: Edit[] = [];
  const field = (path: string, ...values: unknown[]) => {
    for (const value of values) {
      edits.push(
        made(path === "storages" ? "storage" : "other", `${path} = ${short(value)}`, (r) => {
          r[path] = value;
        }),
      );
    }
  };
  field("sandbox_id", ...bent(sample.sandbox_id));
  field("hostname", ...bent(sample.hostname), "a", "a.b", "-a", "a-", "UPPER", "x".repeat(254));
  field("sandbox_pidns", true);
  for (const path of ["/usr/share/oci/hooks", "/", "x"]) field("guest_hook_path", path);
  field("kernel_modules", [{ name: "evil.ko", parameters: [] }], [{ name: "nvidia", parameters: ["x"] }]);
  field("dns", ["nameserver 10.0.0.1"]);
  for (const driver of STORAGE_DRIVERS) {
    for (const point of [...MOUNT_POINTS, "/run/kata-containers/sandbox/shm"]) {
      field("storages", [storage(driver, point, "shm")], [...sample.storages, storage(driver, point, "shm")]);
    }
  }
  for (const option of ["exec", "suid", "dev", "mode=0777", "size=x", "size=1", "huge=always", ""]) {
    field("storages", [{ ...sample.storages[0], options: [option] }]);
  }
  field("storages", []);
  return edits;
}

/** Every edit of a CopyFileRequest. */
export function copyEdits(sample: Request): Edit[] {
  const edits: Edit[] = [];
  const field = (path: string, ...values: unknown[]) => {
    for (const value of values) {
      edits.push(
        made("other", `${path} = ${short(value)}`, (r) => {
          r[path] = value;
        }),
      );
    }
  };
  const folder = "/run/kata-containers/shared/containers/";
  const name = `${"2".repeat(64)}-${"0".repeat(16)}`;
  field("path", ...bent(sample.path), "/etc/passwd", "/run/kata-containers/x", folder, `${folder}../x`);
  for (const file of ["evil", "hosts/x", "resolv_conf", "..", "passwd", "token", "ca.crt"]) {
    field("path", `${folder}${name}-${file}`);
  }
  field("file_type", "Directory", "Symlink", "Unknown");
  field("symlink_target", "", "/sealflow");
  field("uid", 1000);
  field("offset", 4096);
  return edits;
}
