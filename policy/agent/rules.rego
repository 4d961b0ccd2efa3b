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

hex64 := "^[0-9a-f]{64}$"
dns_name := "^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"
shared := "/run/kata-containers/shared/containers/"

# --- The sandbox: once, without hooks, modules or other storages than shared memory.
CreateSandboxRequest := {"allowed": true, "ops": [{"op": "add", "path": "/pstate/sandbox", "value": input.sandbox_id}]} if {
	not data.pstate.sandbox
	regex.match(hex64, input.sandbox_id)
	regex.match(dns_name, input.hostname)
	input.sandbox_pidns == false
	input.guest_hook_path == ""
	count(input.kernel_modules) == 0
	count(input.storages) <= 1
	every s in input.storages { shm(s) }
}

shm(s) if {
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
	shape
	annotated("sandbox", "pod_sandbox")
	input.OCI.Process.Args == ["/pause"]
	input.OCI.Process.NoNewPrivileges == true
	user_is(65535)
	every e in input.OCI.Process.Env { regex.match("^(PATH=[a-zA-Z0-9/:._-]*|HOSTNAME=[a-z0-9.-]+)$", e) }
	input.OCI.Root.Readonly == true
	every c in capabilities { c in defaults }
	every m in input.OCI.Mounts { mount(m) }
	count(input.storages) <= 1
	every s in input.storages { image(s, "sandbox") }
}

# --- The step container.
CreateContainerRequest := {"allowed": true, "ops": [{"op": "add", "path": "/pstate/step", "value": input.container_id}]} if {
	data.pstate.pause == data.pstate.sandbox
	not data.pstate.step
	input.container_id != data.pstate.sandbox
	shape
	annotated("container", "pod_container")
	input.OCI.Annotations["io.kubernetes.cri.container-name"] == policy_data.container
	input.OCI.Process.Args == policy_data.args
	input.OCI.Process.NoNewPrivileges == false
	user_is(0)
	every e in input.OCI.Process.Env { env(e) }
	every e in policy_data.env { e in input.OCI.Process.Env }
	names := {split(e, "=")[0] | some e in input.OCI.Process.Env}
	count(names) == count(input.OCI.Process.Env)
	input.OCI.Root.Readonly == true
	every c in capabilities { c in policy_data.capabilities }
	every m in input.OCI.Mounts { own_mount(m) }
	every d in policy_data.scratch { some m in input.OCI.Mounts; m.destination == d }
	every d in ["/dev", "/proc"] { some m in input.OCI.Mounts; m.destination == d }
	# One image by digest, and the scratch volumes in guest memory; no other storage.
	images := [s | some s in input.storages; s.driver == "image_guest_pull"]
	count(images) == 1
	images[0].source == policy_data.image
	image(images[0], "container")
	count(input.storages) == 1 + count(volumes)
	every s in input.storages { storage(s) }
}

# Facts that hold for both containers.
shape if {
	regex.match(hex64, input.container_id)
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
	process
	linux
}

process if {
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

linux if {
	l := input.OCI.Linux
	count(l.UIDMappings) == 0
	count(l.GIDMappings) == 0
	count(l.Devices) == 0
	count(l.Resources.Devices) == 0
	l.Seccomp == null
	l.IntelRdt == null
	l.MountLabel == ""
	l.RootfsPropagation == ""
	every k, v in l.Sysctl { {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}[k] == v }
	every n in l.Namespaces { namespace(n) }
	{n.Type | some n in l.Namespaces} & {"ipc", "mount", "uts"} == {"ipc", "mount", "uts"}
	every path in masked { path in l.MaskedPaths }
	every path in l.MaskedPaths { maskable(path) }
	{path | some path in l.ReadonlyPaths} == {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
}

namespace(n) if {
	n.Type in {"ipc", "uts", "mount", "pid", "cgroup", "network"}
	n.Path == ""
}

namespace(n) if n == {"Type": "network", "Path": "/run/netns/podns"}

# What Kubernetes masks. A mask makes a file empty, so none may lie over the image's files.
masked := {"/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"}

maskable(path) if path in masked

maskable(path) if regex.match("^/(proc/(asound|interrupts|timer_stats)|sys/devices/(virtual/powercap|system/cpu/cpu[0-9]+/thermal_throttle))$", path)

user_is(id) if {
	u := input.OCI.Process.User
	u.UID == id
	u.GID == id
	u.Username == ""
	every g in u.AdditionalGids { g == id }
}

capabilities contains c if {
	some kind in ["Bounding", "Effective", "Permitted"]
	some c in input.OCI.Process.Capabilities[kind]
}

defaults := {"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SETFCAP", "CAP_FSETID", "CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_NET_BIND_SERVICE", "CAP_AUDIT_WRITE"}

# Kubernetes' and containerd's own annotations are information, but those the agent acts on must be right.
annotated(cri, kata) if {
	a := input.OCI.Annotations
	a["io.kubernetes.cri.container-type"] == cri
	a["io.katacontainers.pkg.oci.container_type"] == kata
	a["io.kubernetes.cri.sandbox-id"] == data.pstate.sandbox
	a["io.katacontainers.pkg.oci.bundle_path"] == concat("", ["/run/containerd/io.containerd.runtime.v2.task/k8s.io/", input.container_id])
	regex.match(dns_name, a["io.kubernetes.cri.sandbox-name"])
	regex.match(dns_name, a["io.kubernetes.cri.sandbox-namespace"])
	every k, _ in a { noted(k) }
}

# io.katacontainers.config is for the host's runtime, such as the initdata itself; the agent does not read it.
noted(k) if regex.match("^(io\\.kubernetes\\.cri\\.|io\\.katacontainers\\.(config\\.|pkg\\.oci\\.(container_type|bundle_path)$)|nerdctl/network-namespace$)", k)

# --- Environment: exactly ours, a hint which run, and what Kubernetes adds by itself.
env(e) if e in policy_data.env

env(e) if e == concat("", ["HOSTNAME=", input.OCI.Annotations["io.kubernetes.cri.sandbox-name"]])

env(e) if regex.match("^(SEALFLOW_RUN=[0-9a-f]{64}|JOB_COMPLETION_INDEX=[0-9]{1,6}|KUBERNETES_((SERVICE_HOST|PORT_[0-9]{1,5}_TCP_ADDR)=[0-9a-f.:]{2,45}|(SERVICE_PORT(_HTTPS)?|PORT_[0-9]{1,5}_TCP_PORT)=[0-9]{1,5}|PORT(_[0-9]{1,5}_TCP)?=tcp://[0-9a-f.:\\[\\]]{2,47}:[0-9]{1,5}|PORT_[0-9]{1,5}_TCP_PROTO=tcp))$", e)

# --- Mounts: destination -> type, pattern of the source, options that may occur.
mount_as(m, type, source, options) if {
	m.type_ == type
	regex.match(concat("", ["^", source, "$"]), m.source)
	every o in m.options { regex.match(concat("", ["^(", options, ")$"]), o) }
}

# A file that the host copied into the guest for this container.
copied(m, name, options) if {
	mount_as(m, "bind", concat("", [shared, input.container_id, "-[0-9a-f]{16}-", name]), options)
}

mounts := {
	"/proc": ["proc", "proc", "nosuid|noexec|nodev"],
	"/dev": ["tmpfs", "tmpfs", "nosuid|strictatime|mode=755|size=65536k"],
	"/dev/pts": ["devpts", "devpts", "nosuid|noexec|newinstance|ptmxmode=0666|mode=0620|gid=5"],
	"/dev/mqueue": ["mqueue", "mqueue", "nosuid|noexec|nodev"],
	"/sys": ["sysfs", "sysfs", "nosuid|noexec|nodev|ro"],
	"/sys/fs/cgroup": ["cgroup", "cgroup", "nosuid|noexec|nodev|relatime|ro|nsdelegate|memory_recursiveprot"],
	"/dev/shm": ["bind", "/run/kata-containers/sandbox/shm", "rbind"],
}

mount(m) if {
	t := mounts[m.destination]
	mount_as(m, t[0], t[1], t[2])
}

mount(m) if {
	m.destination == "/etc/resolv.conf"
	copied(m, "resolv\\.conf", "rbind|rprivate|ro|rw|nosuid|noexec|nodev")
}

own_mount(m) if mount(m)

own_mount(m) if {
	name := {"/etc/hosts": "hosts", "/etc/hostname": "hostname", "/dev/termination-log": "termination-log"}[m.destination]
	copied(m, name, "rbind|rprivate|ro|rw")
}

own_mount(m) if {
	m.destination in policy_data.scratch
	mount_as(m, "bind", "/run/kata-containers/sandbox/ephemeral/[a-z0-9-]+", "rbind|rprivate|rw")
}

# --- Storages.
volumes := {m.source | some m in input.OCI.Mounts; m.destination in policy_data.scratch}

storage(s) if s.driver == "image_guest_pull"

storage(s) if {
	s.driver == "ephemeral"
	s.source == "tmpfs"
	s.fstype == "tmpfs"
	s.mount_point in volumes
	count(s.driver_options) == 0
	s.fs_group == null
	every o in s.options { regex.match("^size=[0-9]{1,15}[kMG]?$", o) }
}

# The metadata says to some agent versions whether to pull an image or take the pause program: one plain JSON object
# without escapes, in which the type occurs once, so that every reader reads the same.
image(s, type) if {
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
	every a in i.IPAddresses { outside(a.address) }
}

UpdateRoutesRequest if {
	every r in input.routes.Routes {
		not_lo(r.device)
		outside(r.dest)
		outside(r.source)
		outside(r.gateway)
	}
}

AddARPNeighborsRequest if {
	every n in input.neighbors.ARPNeighbors {
		not_lo(n.device)
		outside(n.toIPAddress.address)
	}
}

# Linux reads a name up to its first zero byte. Pods have eth0, net1 and the like.
not_lo(name) if regex.match("^([a-km-zA-Z0-9][a-zA-Z0-9._-]{0,14})?$", name)

outside(text) if {
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
