/**
 * What the Kata agent makes of a request before the policy sees it: every missing field of a message gets its default,
 * unknown fields are dropped, message fields that are absent are null. Written from the agent's protobuf files
 * (kata-containers 4.2, src/libs/protocols/protos/{agent,oci,types}.proto); a field named `type` is `type_`.
 */

export type Message = Readonly<Record<string, unknown>>;

/** Message → field → default. */
export const DEFAULTS: Readonly<Record<string, Message>> = {
  ARPNeighbor: {
    toIPAddress: null,
    device: "",
    lladdr: "",
    state: 0,
    flags: 0,
  },
  ARPNeighbors: {
    ARPNeighbors: [],
  },
  AddARPNeighborsRequest: {
    neighbors: null,
  },
  AddSwapPathRequest: {
    path: "",
  },
  AddSwapRequest: {
    PCIPath: [],
  },
  Box: {
    Height: 0,
    Width: 0,
  },
  CloseStdinRequest: {
    container_id: "",
    exec_id: "",
  },
  CopyFileRequest: {
    path: "",
    file_type: "Unknown",
    symlink_target: null,
    file_size: 0,
    file_mode: 0,
    dir_mode: 0,
    uid: 0,
    gid: 0,
    offset: 0,
  },
  CreateContainerRequest: {
    container_id: "",
    exec_id: "",
    string_user: null,
    devices: [],
    storages: [],
    OCI: null,
    sandbox_pidns: false,
    shared_mounts: [],
    stdin_port: 0,
    stdout_port: 0,
    stderr_port: 0,
  },
  CreateSandboxRequest: {
    hostname: "",
    dns: [],
    storages: [],
    sandbox_pidns: false,
    sandbox_id: "",
    guest_hook_path: "",
    kernel_modules: [],
  },
  DestroySandboxRequest: {},
  Device: {
    id: "",
    type_: "",
    vm_path: "",
    container_path: "",
    options: [],
  },
  ExecProcessRequest: {
    container_id: "",
    exec_id: "",
    string_user: null,
    process: null,
    stdin_port: 0,
    stdout_port: 0,
    stderr_port: 0,
  },
  FSGroup: {
    group_id: 0,
    group_change_policy: 0,
  },
  GetDiagnosticDataRequest: {
    log_type: "",
    container_id: "",
  },
  GetIPTablesRequest: {
    is_ipv6: false,
  },
  GetMetricsRequest: {},
  GetOOMEventRequest: {},
  GuestDetailsRequest: {
    mem_block_size: false,
    mem_hotplug_probe: false,
  },
  Hook: {
    Path: "",
    Args: [],
    Env: [],
    Timeout: 0,
  },
  Hooks: {
    Prestart: [],
    Poststart: [],
    Poststop: [],
    CreateRuntime: [],
    CreateContainer: [],
    StartContainer: [],
  },
  IPAddress: {
    family: 0,
    address: "",
    mask: "",
  },
  Interface: {
    device: "",
    name: "",
    IPAddresses: [],
    mtu: 0,
    hwAddr: "",
    devicePath: "",
    type_: "",
    raw_flags: 0,
  },
  KernelModule: {
    name: "",
    parameters: [],
  },
  Linux: {
    UIDMappings: [],
    GIDMappings: [],
    Sysctl: {},
    Resources: null,
    CgroupsPath: "",
    Namespaces: [],
    Devices: [],
    Seccomp: null,
    RootfsPropagation: "",
    MaskedPaths: [],
    ReadonlyPaths: [],
    MountLabel: "",
    IntelRdt: null,
  },
  LinuxBlockIO: {
    Weight: 0,
    LeafWeight: 0,
    WeightDevice: [],
    ThrottleReadBpsDevice: [],
    ThrottleWriteBpsDevice: [],
    ThrottleReadIOPSDevice: [],
    ThrottleWriteIOPSDevice: [],
  },
  LinuxCPU: {
    Shares: 0,
    Quota: 0,
    Period: 0,
    RealtimeRuntime: 0,
    RealtimePeriod: 0,
    Cpus: "",
    Mems: "",
  },
  LinuxCapabilities: {
    Bounding: [],
    Effective: [],
    Inheritable: [],
    Permitted: [],
    Ambient: [],
  },
  LinuxDevice: {
    Path: "",
    Type: "",
    Major: 0,
    Minor: 0,
    FileMode: 0,
    UID: 0,
    GID: 0,
  },
  LinuxDeviceCgroup: {
    Allow: false,
    Type: "",
    Major: 0,
    Minor: 0,
    Access: "",
  },
  LinuxHugepageLimit: {
    Pagesize: "",
    Limit: 0,
  },
  LinuxIDMapping: {
    HostID: 0,
    ContainerID: 0,
    Size: 0,
  },
  LinuxIntelRdt: {
    L3CacheSchema: "",
  },
  LinuxInterfacePriority: {
    Name: "",
    Priority: 0,
  },
  LinuxMemory: {
    Limit: 0,
    Reservation: 0,
    Swap: 0,
    Kernel: 0,
    KernelTCP: 0,
    Swappiness: 0,
    DisableOOMKiller: false,
  },
  LinuxNamespace: {
    Type: "",
    Path: "",
  },
  LinuxNetwork: {
    ClassID: 0,
    Priorities: [],
  },
  LinuxPids: {
    Limit: 0,
  },
  LinuxResources: {
    Devices: [],
    Memory: null,
    CPU: null,
    Pids: null,
    BlockIO: null,
    HugepageLimits: [],
    Network: null,
  },
  LinuxSeccomp: {
    DefaultAction: "",
    Architectures: [],
    Flags: [],
    Syscalls: [],
  },
  LinuxSeccompArg: {
    Index: 0,
    Value: 0,
    ValueTwo: 0,
    Op: "",
  },
  LinuxSyscall: {
    Names: [],
    Action: "",
    Args: [],
    ErrnoRet: null,
  },
  LinuxThrottleDevice: {
    Major: 0,
    Minor: 0,
    Rate: 0,
  },
  LinuxWeightDevice: {
    Major: 0,
    Minor: 0,
    Weight: 0,
    LeafWeight: 0,
  },
  ListInterfacesRequest: {},
  ListRoutesRequest: {},
  MemAgentCompactConfig: {
    disabled: null,
    period_secs: null,
    period_psi_percent_limit: null,
    compact_psi_percent_limit: null,
    compact_sec_max: null,
    compact_order: null,
    compact_threshold: null,
    compact_force_times: null,
  },
  MemAgentMemcgConfig: {
    disabled: null,
    swap: null,
    swappiness_max: null,
    period_secs: null,
    period_psi_percent_limit: null,
    eviction_psi_percent_limit: null,
    eviction_run_aging_count_min: null,
  },
  MemHotplugByProbeRequest: {
    memHotplugProbeAddr: [],
  },
  Mount: {
    destination: "",
    source: "",
    type_: "",
    options: [],
  },
  OnlineCPUMemRequest: {
    wait: false,
    nb_cpus: 0,
    cpu_only: false,
  },
  POSIXRlimit: {
    Type: "",
    Hard: 0,
    Soft: 0,
  },
  PauseContainerRequest: {
    container_id: "",
  },
  Process: {
    Terminal: false,
    ConsoleSize: null,
    User: null,
    Args: [],
    Env: [],
    Cwd: "",
    Capabilities: null,
    Rlimits: [],
    NoNewPrivileges: false,
    ApparmorProfile: "",
    OOMScoreAdj: 0,
    SelinuxLabel: "",
  },
  ReadStreamRequest: {
    container_id: "",
    exec_id: "",
    len: 0,
  },
  RemoveContainerRequest: {
    container_id: "",
    timeout: 0,
  },
  RemoveStaleVirtiofsShareMountsRequest: {},
  ReseedRandomDevRequest: {
    data: [],
  },
  ResizeVolumeRequest: {
    volume_guest_path: "",
    size: 0,
  },
  ResumeContainerRequest: {
    container_id: "",
  },
  Root: {
    Path: "",
    Readonly: false,
  },
  Route: {
    dest: "",
    gateway: "",
    device: "",
    source: "",
    scope: 0,
    family: 0,
    flags: 0,
    mtu: 0,
  },
  Routes: {
    Routes: [],
  },
  SetGuestDateTimeRequest: {
    Sec: 0,
    Usec: 0,
  },
  SetIPTablesRequest: {
    is_ipv6: false,
    data: [],
  },
  SetPolicyRequest: {
    policy: "",
  },
  SharedMount: {
    name: "",
    src_ctr: "",
    src_path: "",
    dst_ctr: "",
    dst_path: "",
  },
  SignalProcessRequest: {
    container_id: "",
    exec_id: "",
    signal: 0,
  },
  Solaris: {
    dummy: "",
  },
  Spec: {
    Version: "",
    Process: null,
    Root: null,
    Hostname: "",
    Mounts: [],
    Hooks: null,
    Annotations: {},
    Linux: null,
    Solaris: null,
    Windows: null,
  },
  StartContainerRequest: {
    container_id: "",
  },
  StatsContainerRequest: {
    container_id: "",
  },
  Storage: {
    driver: "",
    driver_options: [],
    source: "",
    fstype: "",
    options: [],
    mount_point: "",
    fs_group: null,
    shared: false,
  },
  StringUser: {
    uid: "",
    gid: "",
    additionalGids: [],
  },
  TtyWinResizeRequest: {
    container_id: "",
    exec_id: "",
    row: 0,
    column: 0,
  },
  UpdateContainerRequest: {
    container_id: "",
    resources: null,
  },
  UpdateEphemeralMountsRequest: {
    storages: [],
  },
  UpdateInterfaceRequest: {
    interface: null,
  },
  UpdateRoutesRequest: {
    routes: null,
  },
  User: {
    UID: 0,
    GID: 0,
    AdditionalGids: [],
    Username: "",
  },
  VolumeStatsRequest: {
    volume_guest_path: "",
  },
  WaitProcessRequest: {
    container_id: "",
    exec_id: "",
  },
  Windows: {
    dummy: "",
  },
  WriteStreamRequest: {
    container_id: "",
    exec_id: "",
    data: [],
  },
};

/** Message → field → message of the field (or of its elements). */
const NESTED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  ARPNeighbor: {
    toIPAddress: "IPAddress",
  },
  ARPNeighbors: {
    ARPNeighbors: "ARPNeighbor",
  },
  AddARPNeighborsRequest: {
    neighbors: "ARPNeighbors",
  },
  CreateContainerRequest: {
    string_user: "StringUser",
    devices: "Device",
    storages: "Storage",
    OCI: "Spec",
    shared_mounts: "SharedMount",
  },
  CreateSandboxRequest: {
    storages: "Storage",
    kernel_modules: "KernelModule",
  },
  ExecProcessRequest: {
    string_user: "StringUser",
    process: "Process",
  },
  Hooks: {
    Prestart: "Hook",
    Poststart: "Hook",
    Poststop: "Hook",
    CreateRuntime: "Hook",
    CreateContainer: "Hook",
    StartContainer: "Hook",
  },
  Interface: {
    IPAddresses: "IPAddress",
  },
  Linux: {
    UIDMappings: "LinuxIDMapping",
    GIDMappings: "LinuxIDMapping",
    Resources: "LinuxResources",
    Namespaces: "LinuxNamespace",
    Devices: "LinuxDevice",
    Seccomp: "LinuxSeccomp",
    IntelRdt: "LinuxIntelRdt",
  },
  LinuxBlockIO: {
    WeightDevice: "LinuxWeightDevice",
    ThrottleReadBpsDevice: "LinuxThrottleDevice",
    ThrottleWriteBpsDevice: "LinuxThrottleDevice",
    ThrottleReadIOPSDevice: "LinuxThrottleDevice",
    ThrottleWriteIOPSDevice: "LinuxThrottleDevice",
  },
  LinuxNetwork: {
    Priorities: "LinuxInterfacePriority",
  },
  LinuxResources: {
    Devices: "LinuxDeviceCgroup",
    Memory: "LinuxMemory",
    CPU: "LinuxCPU",
    Pids: "LinuxPids",
    BlockIO: "LinuxBlockIO",
    HugepageLimits: "LinuxHugepageLimit",
    Network: "LinuxNetwork",
  },
  LinuxSeccomp: {
    Syscalls: "LinuxSyscall",
  },
  LinuxSyscall: {
    Args: "LinuxSeccompArg",
  },
  Process: {
    ConsoleSize: "Box",
    User: "User",
    Capabilities: "LinuxCapabilities",
    Rlimits: "POSIXRlimit",
  },
  Routes: {
    Routes: "Route",
  },
  Spec: {
    Process: "Process",
    Root: "Root",
    Mounts: "Mount",
    Hooks: "Hooks",
    Linux: "Linux",
    Solaris: "Solaris",
    Windows: "Windows",
  },
  Storage: {
    fs_group: "FSGroup",
  },
  UpdateContainerRequest: {
    resources: "LinuxResources",
  },
  UpdateEphemeralMountsRequest: {
    storages: "Storage",
  },
  UpdateInterfaceRequest: {
    interface: "Interface",
  },
  UpdateRoutesRequest: {
    routes: "Routes",
  },
};

/** Requests that the agent asks its policy about. */
export const CHECKED_REQUESTS: readonly string[] = [
  "AddARPNeighborsRequest",
  "AddSwapPathRequest",
  "AddSwapRequest",
  "CloseStdinRequest",
  "CopyFileRequest",
  "CreateContainerRequest",
  "CreateSandboxRequest",
  "DestroySandboxRequest",
  "ExecProcessRequest",
  "GetDiagnosticDataRequest",
  "GetIPTablesRequest",
  "GetMetricsRequest",
  "GetOOMEventRequest",
  "GuestDetailsRequest",
  "ListInterfacesRequest",
  "ListRoutesRequest",
  "MemAgentCompactConfig",
  "MemAgentMemcgConfig",
  "MemHotplugByProbeRequest",
  "OnlineCPUMemRequest",
  "PauseContainerRequest",
  "ReadStreamRequest",
  "RemoveContainerRequest",
  "RemoveStaleVirtiofsShareMountsRequest",
  "ReseedRandomDevRequest",
  "ResizeVolumeRequest",
  "ResumeContainerRequest",
  "SetGuestDateTimeRequest",
  "SetIPTablesRequest",
  "SetPolicyRequest",
  "SignalProcessRequest",
  "StartContainerRequest",
  "StatsContainerRequest",
  "TtyWinResizeRequest",
  "UpdateContainerRequest",
  "UpdateEphemeralMountsRequest",
  "UpdateInterfaceRequest",
  "UpdateRoutesRequest",
  "VolumeStatsRequest",
  "WaitProcessRequest",
  "WriteStreamRequest",
];

/** @throws RangeError for a message that the agent does not know. */
export function fillDefaults(message: string, value: Message): Record<string, unknown> {
  const defaults = DEFAULTS[message];
  if (!defaults) throw new RangeError(`${message}: no such request of the Kata agent`);
  const filled: Record<string, unknown> = {};
  for (const [field, initial] of Object.entries(defaults)) {
    const given = Object.hasOwn(value, field) ? value[field] : initial;
    const inner = NESTED[message]?.[field];
    if (inner === undefined || given === null) filled[field] = structuredClone(given);
    else if (Array.isArray(given)) filled[field] = given.map((entry) => fillDefaults(inner, entry as Message));
    else filled[field] = fillDefaults(inner, given as Message);
  }
  return filled;
}
