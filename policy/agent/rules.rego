# Purpose: what the host may ask of a guest that runs one Sealflow step. Evaluated by the Kata agent (4.2) for every
# request: the rule named after the request must be true, or {"allowed": true, "ops": [...]}; ops is a JSON Patch on data.
# Input: the request, all fields filled with defaults. State: data.pstate, {} at boot. Data: policy_data, the last lines.
# Deny by default. One sandbox, then the pause container, then one step container, each once; nothing else runs.
package agent_policy

import rego.v1

# Requests that tell or stop, and give the host nothing it does not have.
default DestroySandboxRequest := true
default GetOOMEventRequest := true
default GuestDetailsRequest := true
default OnlineCPUMemRequest := true
default RemoveStaleVirtiofsShareMountsRequest := true

# Whatever is not true below has no value, which the agent takes as a refusal; so nothing here is set to false. Requests
# without any rule are refused the same way: policy change, memory and CPU changes, swap, tracing, iptables, clock,
# streams to the program, pausing, updating a running container, mounts into a running pod.

id_pattern := "^[0-9a-f]{64}$"
name_pattern := "^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"
shared := "/run/kata-containers/shared/containers/"
bundles := "/run/containerd/io.containerd.runtime.v2.task/k8s.io/"

# --- The sandbox: once, without hooks, modules or other storages than shared memory.
CreateSandboxRequest := {"allowed": true, "ops": [{"op": "add", "path": "/pstate/sandbox", "value": input.sandbox_id}]} if {
	not data.pstate.sandbox
	regex.match(id_pattern, input.sandbox_id)
	regex.match(name_pattern, input.hostname)
	input.sandbox_pidns == false
	input.guest_hook_path == ""
	count(input.kernel_modules) == 0
	count(input.storages) <= 1
	every s in input.storages { shm_storage(s) }
}

shm_storage(s) if {
	s.driver == "ephemeral"
	s.source == "shm"
	s.fstype == "tmpfs"
	s.mount_point == "/run/kata-containers/sandbox/shm"
	count(s.driver_options) == 0
	s.fs_group == null
	every o in s.options { regex.match("^(noexec|nosuid|nodev|mode=1777|size=[0-9]{1,15})$", o) }
}

# --- The pause container: the sandbox's own id, so that the agent takes the pause program of the measured guest image.
CreateContainerRequest := {"allowed": true, "ops": [{"op": "add", "path": "/pstate/pause", "value": input.container_id}]} if {
	input.container_id == data.pstate.sandbox
	not data.pstate.pause
	container_shape
	annotations_of("sandbox", "pod_sandbox")
	input.OCI.Process.Args == ["/pause"]
	input.OCI.Process.NoNewPrivileges == true
	user_is(65535)
	every e in input.OCI.Process.Env { regex.match("^(PATH=[a-zA-Z0-9/:._-]*|HOSTNAME=[a-z0-9.-]+)$", e) }
	input.OCI.Root.Readonly == true
	every c in all_capabilities { c in default_capabilities }
	every m in input.OCI.Mounts { pause_mount(m) }
	count(input.storages) <= 1
	every s in input.storages { image_storage(s, "sandbox") }
}

# --- The step container.
CreateContainerRequest := {"allowed": true, "ops": [{"op": "add", "path": "/pstate/step", "value": input.container_id}]} if {
	data.pstate.pause == data.pstate.sandbox
	not data.pstate.step
	input.container_id != data.pstate.sandbox
	container_shape
	annotations_of("container", "pod_container")
	input.OCI.Annotations["io.kubernetes.cri.container-name"] == policy_data.container
	input.OCI.Process.Args == policy_data.args
	input.OCI.Process.NoNewPrivileges == false
	user_is(0)
	every e in input.OCI.Process.Env { allowed_env(e) }
	every e in policy_data.env { e in input.OCI.Process.Env }
	names := {split(e, "=")[0] | some e in input.OCI.Process.Env}
	count(names) == count(input.OCI.Process.Env)
	input.OCI.Root.Readonly == true
	every c in all_capabilities { c in policy_data.capabilities }
	every m in input.OCI.Mounts { step_mount(m) }
	every d in policy_data.scratch { some m in input.OCI.Mounts; m.destination == d }
	every d in ["/dev", "/proc"] { some m in input.OCI.Mounts; m.destination == d }
	# One image by digest, and the scratch volumes in guest memory; no other storage.
	images := [s | some s in input.storages; s.driver == "image_guest_pull"]
	count(images) == 1
	images[0].source == policy_data.image
	image_storage(images[0], "container")
	count(input.storages) == 1 + count(scratch_volumes)
	every s in input.storages { step_storage(s) }
}

# Facts that hold for both containers.
container_shape if {
	regex.match(id_pattern, input.container_id)
	input.exec_id == input.container_id
	input.string_user == null
	input.sandbox_pidns == false
	count(input.devices) == 0
	count(input.shared_mounts) == 0
	input.stdin_port == 0
	input.stdout_port == 0
	input.stderr_port == 0
	regex.match("^1\\.[0-9]+\\.[0-9]+$", input.OCI.Version)
	input.OCI.Hooks == null
	input.OCI.Solaris == null
	input.OCI.Windows == null
	input.OCI.Root.Path == concat("", ["/run/kata-containers/", input.container_id, "/rootfs"])
	count(input.OCI.Mounts) == count({m.destination | some m in input.OCI.Mounts})
	process_shape
	linux_shape
}

process_shape if {
	p := input.OCI.Process
	p.Terminal == false
	p.ConsoleSize == null
	p.Cwd == "/"
	p.SelinuxLabel == ""
	count(p.Rlimits) == 0
	every kind in ["Bounding", "Effective", "Permitted"] { is_array(p.Capabilities[kind]) }
	count(p.Capabilities.Ambient) == 0
	count(p.Capabilities.Inheritable) == 0
}

linux_shape if {
	l := input.OCI.Linux
	count(l.UIDMappings) == 0
	count(l.GIDMappings) == 0
	count(l.Devices) == 0
	count(l.Resources.Devices) == 0
	l.Seccomp == null
	l.IntelRdt == null
	l.MountLabel == ""
	l.RootfsPropagation == ""
	every k, v in l.Sysctl { sysctls[k] == v }
	every n in l.Namespaces { allowed_namespace(n) }
	{n.Type | some n in l.Namespaces} & {"ipc", "mount", "uts"} == {"ipc", "mount", "uts"}
	every path in masked_paths { path in l.MaskedPaths }
	every path in l.MaskedPaths { regex.match(maskable, path) }
	every path in readonly_paths { path in l.ReadonlyPaths }
	every path in l.ReadonlyPaths { path in readonly_paths }
}

sysctls := {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}

allowed_namespace(n) if {
	n.Type in {"ipc", "uts", "mount", "pid", "cgroup", "network"}
	n.Path == ""
}

allowed_namespace(n) if n == {"Type": "network", "Path": "/run/netns/podns"}

# What Kubernetes masks. A mask makes a file empty, so none may lie over the image's files.
maskable := "^/(proc/(acpi|asound|interrupts|kcore|keys|latency_stats|sched_debug|scsi|timer_list|timer_stats)|sys/(firmware|devices/virtual/powercap|devices/system/cpu/cpu[0-9]+/thermal_throttle))$"
masked_paths := {"/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"}
readonly_paths := {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}

user_is(id) if {
	u := input.OCI.Process.User
	u.UID == id
	u.GID == id
	u.Username == ""
	every g in u.AdditionalGids { g == id }
}

all_capabilities contains c if {
	some kind in ["Bounding", "Effective", "Permitted"]
	some c in input.OCI.Process.Capabilities[kind]
}

default_capabilities := {"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"}

# Kubernetes' and containerd's own annotations are information, but those the agent acts on must be right.
annotations_of(cri, kata) if {
	a := input.OCI.Annotations
	a["io.kubernetes.cri.container-type"] == cri
	a["io.katacontainers.pkg.oci.container_type"] == kata
	a["io.kubernetes.cri.sandbox-id"] == data.pstate.sandbox
	a["io.katacontainers.pkg.oci.bundle_path"] == concat("", [bundles, input.container_id])
	regex.match(name_pattern, a["io.kubernetes.cri.sandbox-name"])
	regex.match(name_pattern, a["io.kubernetes.cri.sandbox-namespace"])
	every k, _ in a { known_annotation(k) }
}

known_annotation(k) if startswith(k, "io.kubernetes.cri.")

# Configuration of the host's runtime, such as the initdata itself; the agent does not read it.
known_annotation(k) if startswith(k, "io.katacontainers.config.")

known_annotation(k) if k in {"io.katacontainers.pkg.oci.container_type", "io.katacontainers.pkg.oci.bundle_path", "nerdctl/network-namespace"}

# --- Environment: exactly ours, a hint which run, and what Kubernetes adds by itself.
allowed_env(e) if e in policy_data.env

allowed_env(e) if regex.match("^SEALFLOW_RUN=[0-9a-f]{64}$", e)

allowed_env(e) if e == concat("", ["HOSTNAME=", input.OCI.Annotations["io.kubernetes.cri.sandbox-name"]])

allowed_env(e) if regex.match("^JOB_COMPLETION_INDEX=[0-9]{1,6}$", e)

allowed_env(e) if regex.match("^KUBERNETES_(SERVICE_HOST|PORT_[0-9]{1,5}_TCP_ADDR)=[0-9a-f.:]{2,45}$", e)

allowed_env(e) if regex.match("^KUBERNETES_(SERVICE_PORT|SERVICE_PORT_HTTPS|PORT_[0-9]{1,5}_TCP_PORT)=[0-9]{1,5}$", e)

allowed_env(e) if regex.match("^KUBERNETES_PORT(_[0-9]{1,5}_TCP)?=tcp://[0-9a-f.:\\[\\]]{2,47}:[0-9]{1,5}$", e)

allowed_env(e) if regex.match("^KUBERNETES_PORT_[0-9]{1,5}_TCP_PROTO=tcp$", e)

# --- Mounts: destination -> type, pattern of the source, options that may occur.
mount_as(m, type, source, options) if {
	m.type_ == type
	regex.match(concat("", ["^", source, "$"]), m.source)
	every o in m.options { regex.match(concat("", ["^(", options, ")$"]), o) }
}

# A file that the host copied into the guest for this container.
copied_file(m, name, options) if {
	mount_as(m, "bind", concat("", [shared, input.container_id, "-[0-9a-f]{16}-", name]), options)
}

base_mounts := {
	"/proc": ["proc", "proc", "nosuid|noexec|nodev"],
	"/dev": ["tmpfs", "tmpfs", "nosuid|strictatime|mode=755|size=65536k"],
	"/dev/pts": ["devpts", "devpts", "nosuid|noexec|newinstance|ptmxmode=0666|mode=0620|gid=5"],
	"/dev/mqueue": ["mqueue", "mqueue", "nosuid|noexec|nodev"],
	"/sys": ["sysfs", "sysfs", "nosuid|noexec|nodev|ro"],
	"/sys/fs/cgroup": ["cgroup", "cgroup", "nosuid|noexec|nodev|relatime|ro|nsdelegate|memory_recursiveprot"],
	"/dev/shm": ["bind", "/run/kata-containers/sandbox/shm", "rbind"],
}

pause_mount(m) if {
	t := base_mounts[m.destination]
	mount_as(m, t[0], t[1], t[2])
}

pause_mount(m) if {
	m.destination == "/etc/resolv.conf"
	copied_file(m, "resolv\\.conf", "rbind|rprivate|ro|rw|nosuid|noexec|nodev")
}

step_mount(m) if pause_mount(m)

step_mount(m) if {
	name := {"/etc/hosts": "hosts", "/etc/hostname": "hostname", "/dev/termination-log": "termination-log"}[m.destination]
	copied_file(m, name, "rbind|rprivate|ro|rw")
}

step_mount(m) if {
	m.destination in policy_data.scratch
	mount_as(m, "bind", "/run/kata-containers/sandbox/ephemeral/[a-z0-9-]+", "rbind|rprivate|rw")
}

# --- Storages.
scratch_volumes := {m.source | some m in input.OCI.Mounts; m.destination in policy_data.scratch}

step_storage(s) if s.driver == "image_guest_pull"

step_storage(s) if {
	s.driver == "ephemeral"
	s.source == "tmpfs"
	s.fstype == "tmpfs"
	s.mount_point in scratch_volumes
	count(s.driver_options) == 0
	s.fs_group == null
	every o in s.options { regex.match("^size=[0-9]{1,15}[kMG]?$", o) }
}

# The metadata says to some agent versions whether to pull an image or take the pause program: one plain JSON object
# without escapes, in which the type occurs once, so that every reader reads the same.
image_storage(s, type) if {
	s.driver == "image_guest_pull"
	s.fstype == "overlay"
	s.fs_group == null
	count(s.options) == 0
	s.mount_point == concat("", ["/run/kata-containers/", input.container_id, "/rootfs"])
	count(s.driver_options) == 1
	o := s.driver_options[0]
	regex.match("^image_guest_pull=\\{\"metadata\":\\{(\"[A-Za-z0-9./_-]+\":\"[^\"\\\\]*\",)*\"[A-Za-z0-9./_-]+\":\"[^\"\\\\]*\"\\}\\}$", o)
	contains(o, concat("", ["\"io.kubernetes.cri.container-type\":\"", type, "\""]))
	count(split(o, "container-type")) == 2
	not contains(o, "cri-o.ContainerType")
}

# --- Requests about a container: only the two that exist.
known(id) if id == data.pstate.pause

known(id) if id == data.pstate.step

StartContainerRequest if known(input.container_id)

RemoveContainerRequest if known(input.container_id)

# SIGUSR1 opens the debugger of Node, which is the runner.
SignalProcessRequest if {
	known(input.container_id)
	input.signal != 10
}

StatsContainerRequest if known(input.container_id)

WaitProcessRequest if known(input.container_id)

# --- Files that Kubernetes gives every pod; nothing else, no links, no directories.
CopyFileRequest if {
	data.pstate.sandbox
	input.file_type == "Regular"
	input.symlink_target == null
	regex.match(concat("", ["^", shared, "[0-9a-f]{64}-[0-9a-f]{16}-(hosts|hostname|resolv\\.conf|termination-log)$"]), input.path)
}

# --- The network is the host's, but the loopback interface is the guest's: keys pass there.
UpdateInterfaceRequest if {
	i := input.interface
	not_lo(i.name)
	not_lo(i.device)
	regex.match("^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$", i.hwAddr)
	i.hwAddr != "00:00:00:00:00:00"
	i.raw_flags in {0, 128}
	every a in i.IPAddresses { not_loopback(a.address) }
}

UpdateRoutesRequest if {
	every r in input.routes.Routes {
		not_lo(r.device)
		not_loopback(r.dest)
		not_loopback(r.source)
		not_loopback(r.gateway)
	}
}

AddARPNeighborsRequest if {
	every n in input.neighbors.ARPNeighbors {
		not_lo(n.device)
		not_loopback(n.toIPAddress.address)
	}
}

# Linux reads a name up to its first zero byte.
not_lo(name) if {
	regex.match("^[a-zA-Z0-9._-]{0,15}$", name)
	name != "lo"
}

not_loopback(text) if {
	regex.match("^([0-9.]*|[0-9a-fA-F:]*)(/[0-9]*)?$", text)
	not regex.match("^0*127\\.", text)
	not regex.match("^(0{0,4}:){1,7}0{0,3}1(/.*)?$", text)
	not regex.match("(?i)^(0{0,4}:){1,6}ffff:", text)
}

# --- Debugging: logs and exec, only when the data says so, which changes the identity.
ExecProcessRequest if {
	policy_data.debug == true
	input.container_id == data.pstate.step
}

ReadStreamRequest if {
	policy_data.debug == true
	known(input.container_id)
}

# --- The step. One strict JSON value; nothing follows it.
