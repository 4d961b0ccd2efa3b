import {
  containerRequest,
  dataOfPolicyText,
  guestDigest,
  type KubernetesJob,
  loadAgentPolicy,
  parseInitdata,
  parseInitdataAnnotation,
  podRequests,
  renderJob,
  stepGuest,
} from "../../policy";

const CA = `-----BEGIN CERTIFICATE-----\n${"TUlJQ".repeat(12)}\n-----END CERTIFICATE-----\n`;
const digest = "ab".repeat(32);
const base = {
  tee: "sample" as const,
  kbsUrl: "https://127.0.0.1:8443",
  caPem: CA,
  imageReference: `sf-0011.sealflow.local/train@sha256:${digest}`,
  resource: `sf-0011/step/${"cd".repeat(32)}`,
};
const pod = {
  podName: "spam-train-x7k2p",
  namespace: "default",
  sandboxId: "1".repeat(64),
  containerId: "2".repeat(64),
  podUid: "31df313a-931f-4979-a405-cc3f3ccb6a56",
};

const ETH0 = {
  name: "eth0",
  device: "eth0",
  hwAddr: "02:00:ca:fe:00:04",
  mtu: 1500,
  IPAddresses: [{ address: "10.0.0.7", mask: "24" }],
};

const jobOf = (annotation: string, shards = 1): KubernetesJob =>
  renderJob({
    pipeline: "spam",
    step: "train",
    imageReference: base.imageReference,
    resource: base.resource,
    annotation,
    runtimeClass: "sealflow-simulated",
    shards,
    timeoutSeconds: 600,
    cpu: 2,
    memory: "4Gi",
  });

function guest(options: Partial<Parameters<typeof stepGuest>[0]> = {}) {
  const made = stepGuest({ ...base, ...options });
  const policy = loadAgentPolicy(parseInitdata(parseInitdataAnnotation(made.annotation)).data["policy.rego"] as string);
  return { ...made, policy, requests: podRequests(jobOf(made.annotation), pod) };
}

type Json = Record<string, unknown>;
const clone = (value: unknown) => structuredClone(value) as never;

/** A guest in which sandbox and pause container are there. */
function booted(options: Parameters<typeof guest>[0] = {}) {
  const made = guest(options);
  expect(made.policy.evaluate("CreateSandboxRequest", made.requests.sandbox).allowed).toBe(true);
  expect(made.policy.evaluate("CreateContainerRequest", made.requests.pause).allowed).toBe(true);
  return made;
}

describe("the pod of a step's Job", () => {
  it("starts: sandbox, files, pause, step, in this order", () => {
    const { policy, requests } = guest();
    const ask = (name: string, request: Json) => policy.evaluate(name, request).allowed;
    expect(ask("CreateSandboxRequest", requests.sandbox)).toBe(true);
    for (const file of requests.files) expect(ask("CopyFileRequest", file)).toBe(true);
    expect(ask("CreateContainerRequest", requests.pause)).toBe(true);
    expect(ask("StartContainerRequest", containerRequest("StartContainerRequest", pod.sandboxId))).toBe(true);
    expect(ask("CreateContainerRequest", requests.step)).toBe(true);
    for (const name of ["StartContainerRequest", "WaitProcessRequest", "SignalProcessRequest"] as const) {
      expect(ask(name, containerRequest(name, pod.containerId))).toBe(true);
    }
    for (const name of ["StatsContainerRequest", "RemoveContainerRequest"] as const) {
      expect(ask(name, containerRequest(name, pod.containerId))).toBe(true);
    }
    expect(ask("GuestDetailsRequest", {})).toBe(true);
    expect(ask("DestroySandboxRequest", {})).toBe(true);
    expect(policy.state).toEqual({ sandbox: pod.sandboxId, pause: pod.sandboxId, step: pod.containerId });
  });

  it.each([
    ["a run hint", { extraEnv: { SEALFLOW_RUN: "e".repeat(64) } }, true],
    ["a run hint that is no run id", { extraEnv: { SEALFLOW_RUN: "e".repeat(63) } }, false],
    ["an index", { completionIndex: 3 }, true],
    [
      "Kubernetes' own variables",
      { extraEnv: { KUBERNETES_PORT: "tcp://10.0.0.1:443", KUBERNETES_SERVICE_PORT: "443" } },
      true,
    ],
    ["a preloaded library", { extraEnv: { LD_PRELOAD: "/tmp/x.so" } }, false],
    ["options for node", { extraEnv: { NODE_OPTIONS: "--inspect" } }, false],
    ["a proxy", { extraEnv: { HTTPS_PROXY: "http://evil" } }, false],
    ["another bundle", { extraEnv: { SEALFLOW_RESOURCE: `sf-0011/step/${"ee".repeat(32)}` } }, false],
    ["another search path", { extraEnv: { PATH: "/evil" } }, false],
  ])("with %s in its environment: %j is decided %s", (_what, extra, allowed) => {
    const { policy, annotation } = booted();
    const { step } = podRequests(jobOf(annotation, 4), { ...pod, ...extra });
    expect(policy.evaluate("CreateContainerRequest", step).allowed).toBe(allowed);
  });
});

describe("a host that asks for more is refused:", () => {
  it.each<[string, (r: never) => void]>([
    [
      "another image",
      (r: Json) => {
        storage(r).source = `x/y@sha256:${"0".repeat(64)}`;
      },
    ],
    [
      "the image by tag",
      (r: Json) => {
        storage(r).source = "sf-0011.sealflow.local/train:latest";
      },
    ],
    [
      "a second image",
      (r: Json) => {
        (r.storages as Json[]).push(storage(r));
      },
    ],
    [
      "no image",
      (r: Json) => {
        (r.storages as Json[]).shift();
      },
    ],
    [
      "a disk",
      (r: Json) => {
        (r.storages as Json[]).push({ ...(r.storages as Json[])[1], driver: "blk", source: "00/00" });
      },
    ],
    [
      "an image that says it is the sandbox",
      (r: Json) => {
        const s = storage(r);
        s.driver_options = [
          String((s.driver_options as string[])[0]).replace(
            '"io.kubernetes.cri.container-type":"container"',
            '"io.kubernetes.cri.container-type":"sandbox"',
          ),
        ];
      },
    ],
    [
      "a type hidden by an escape",
      (r: Json) => {
        const s = storage(r);
        s.driver_options = [
          String((s.driver_options as string[])[0]).replace(
            "}}",
            ',"io.kubernetes.cri.container\\u002dtype":"sandbox"}}',
          ),
        ];
      },
    ],
    [
      "other arguments",
      (r: Json) => {
        process(r).Args = ["/bin/sh"];
      },
    ],
    [
      "one argument more",
      (r: Json) => {
        (process(r).Args as string[]).push("--inspect");
      },
    ],
    [
      "another user",
      (r: Json) => {
        (process(r).User as Json).UID = 1;
      },
    ],
    [
      "another group",
      (r: Json) => {
        (process(r).User as Json).AdditionalGids = [0, 10];
      },
    ],
    [
      "a user by name",
      (r: Json) => {
        r.string_user = { uid: "0", gid: "0", additionalGids: [] };
      },
    ],
    [
      "a terminal",
      (r: Json) => {
        process(r).Terminal = true;
      },
    ],
    [
      "another directory",
      (r: Json) => {
        process(r).Cwd = "/tmp";
      },
    ],
    [
      "one capability more",
      (r: Json) => {
        ((process(r).Capabilities as Json).Bounding as string[]).push("CAP_SYS_MODULE");
      },
    ],
    [
      "a variable twice",
      (r: Json) => {
        (process(r).Env as string[]).push("HOME=/root");
      },
    ],
    [
      "a missing variable",
      (r: Json) => {
        process(r).Env = (process(r).Env as string[]).filter((e) => !e.startsWith("SEALFLOW_"));
      },
    ],
    [
      "a hook",
      (r: Json) => {
        oci(r).Hooks = {
          Prestart: [],
          Poststart: [],
          Poststop: [],
          CreateRuntime: [],
          CreateContainer: [],
          StartContainer: [],
        };
      },
    ],
    [
      "a device",
      (r: Json) => {
        r.devices = [{ id: "x", type_: "blk", vm_path: "/dev/vda", container_path: "/dev/x", options: [] }];
      },
    ],
    [
      "a device node",
      (r: Json) => {
        (oci(r).Linux as Json).Devices = [
          { Path: "/dev/mem", Type: "c", Major: 1, Minor: 1, FileMode: 0, UID: 0, GID: 0 },
        ];
      },
    ],
    [
      "a mount over the runner",
      (r: Json) => {
        mounts(r).push({
          destination: "/sealflow",
          source: "/run/kata-containers/sandbox/ephemeral/x",
          type_: "bind",
          options: ["rbind"],
        });
      },
    ],
    [
      "scratch from a shared folder",
      (r: Json) => {
        (mounts(r).at(-1) as Json).source = "/run/kata-containers/shared/containers/x";
      },
    ],
    [
      "scratch left out",
      (r: Json) => {
        mounts(r).pop();
        (r.storages as Json[]).pop();
      },
    ],
    [
      "a mount twice",
      (r: Json) => {
        mounts(r).push(mounts(r)[0] as Json);
      },
    ],
    [
      "a writable root",
      (r: Json) => {
        (oci(r).Root as Json).Readonly = false;
      },
    ],
    [
      "a root elsewhere",
      (r: Json) => {
        (oci(r).Root as Json).Path = "/";
      },
    ],
    [
      "unmasked paths",
      (r: Json) => {
        (oci(r).Linux as Json).MaskedPaths = [];
      },
    ],
    [
      "a file of the image made empty",
      (r: Json) => {
        ((oci(r).Linux as Json).MaskedPaths as string[]).push("/app/allowed-users.txt");
      },
    ],
    [
      "what says which processes run made empty",
      (r: Json) => {
        ((oci(r).Linux as Json).MaskedPaths as string[]).push("/proc/self/status");
      },
    ],
    [
      "a mask behind links of the image",
      (r: Json) => {
        ((oci(r).Linux as Json).MaskedPaths as string[]).push("/proc/scsi/../../app/x");
      },
    ],
    [
      "scratch that cannot be written",
      (r: Json) => {
        ((oci(r).Linux as Json).ReadonlyPaths as string[]).push("/sealflow/scratch");
      },
    ],
    [
      "the image's own /proc",
      (r: Json) => {
        oci(r).Mounts = mounts(r).filter(({ destination }) => destination !== "/proc");
      },
    ],
    [
      "the image's own /dev",
      (r: Json) => {
        oci(r).Mounts = mounts(r).filter(({ destination }) => destination !== "/dev");
      },
    ],
    [
      "files that end at a byte of its choice",
      (r: Json) => {
        process(r).Rlimits = [{ Type: "RLIMIT_FSIZE", Hard: 4096, Soft: 4096 }];
      },
    ],
    [
      "a sysctl",
      (r: Json) => {
        (oci(r).Linux as Json).Sysctl = { "kernel.core_pattern": "|/bin/sh" };
      },
    ],
    [
      "the host's mount namespace",
      (r: Json) => {
        (oci(r).Linux as Json).Namespaces = [
          { Type: "ipc", Path: "" },
          { Type: "uts", Path: "" },
        ];
      },
    ],
    [
      "a shared mount",
      (r: Json) => {
        r.shared_mounts = [{ name: "x", src_ctr: "a", src_path: "/", dst_ctr: "b", dst_path: "/" }];
      },
    ],
    [
      "another container name",
      (r: Json) => {
        annotations(r)["io.kubernetes.cri.container-name"] = "other";
      },
    ],
    [
      "another sandbox",
      (r: Json) => {
        annotations(r)["io.kubernetes.cri.sandbox-id"] = "3".repeat(64);
      },
    ],
    [
      "an unknown annotation",
      (r: Json) => {
        annotations(r)["cdi.k8s.io/gpu"] = "nvidia.com/gpu=0";
      },
    ],
    [
      "a pod name with a slash",
      (r: Json) => {
        annotations(r)["io.kubernetes.cri.sandbox-name"] = "../x";
      },
    ],
    [
      "the id of the sandbox",
      (r: Json) => {
        r.container_id = pod.sandboxId;
      },
    ],
  ] as [string, (r: never) => void][])("%s", (_what, change) => {
    const { policy, requests } = booted();
    const changed = clone(requests.step);
    change(changed);
    expect(policy.evaluate("CreateContainerRequest", changed).allowed).toBe(false);
    // The unchanged one still passes, so it was the change that was refused.
    expect(policy.evaluate("CreateContainerRequest", requests.step).allowed).toBe(true);
  });

  it("a second step container, also after the first was removed", () => {
    const { policy, requests } = booted();
    expect(policy.evaluate("CreateContainerRequest", requests.step).allowed).toBe(true);
    policy.evaluate("RemoveContainerRequest", containerRequest("RemoveContainerRequest", pod.containerId));
    expect(policy.evaluate("CreateContainerRequest", requests.step).allowed).toBe(false);
  });

  it("a second sandbox, a second pause container, a step before its pause container", () => {
    const { policy, requests } = guest();
    expect(policy.evaluate("CreateContainerRequest", requests.pause).allowed).toBe(false);
    expect(policy.evaluate("CreateSandboxRequest", requests.sandbox).allowed).toBe(true);
    expect(policy.evaluate("CreateSandboxRequest", requests.sandbox).allowed).toBe(false);
    expect(policy.evaluate("CreateContainerRequest", requests.step).allowed).toBe(false);
    expect(policy.evaluate("CreateContainerRequest", requests.pause).allowed).toBe(true);
    expect(policy.evaluate("CreateContainerRequest", requests.pause).allowed).toBe(false);
  });

  it("a pause container that pulls an image", () => {
    const { policy, requests } = guest();
    policy.evaluate("CreateSandboxRequest", requests.sandbox);
    const pull = clone(requests.pause) as { storages: { driver_options: string[] }[] };
    const [storage] = pull.storages;
    if (storage)
      storage.driver_options = [storage.driver_options[0]?.replace('type":"sandbox"', 'type":"container"') ?? ""];
    expect(policy.evaluate("CreateContainerRequest", pull as never).allowed).toBe(false);
    const other = { ...requests.pause, container_id: "4".repeat(64) };
    expect(policy.evaluate("CreateContainerRequest", other).allowed).toBe(false);
  });

  it.each([
    ["SetPolicyRequest", { policy: "package agent_policy" }],
    ["UpdateContainerRequest", { container_id: pod.containerId }],
    ["UpdateEphemeralMountsRequest", {}],
    ["ReadStreamRequest", { container_id: pod.containerId, len: 10 }],
    ["WriteStreamRequest", { container_id: pod.containerId }],
    ["ExecProcessRequest", { container_id: pod.containerId, process: { Args: ["/bin/sh"] } }],
    ["SetGuestDateTimeRequest", {}],
    ["PauseContainerRequest", { container_id: pod.containerId }],
    ["GetDiagnosticDataRequest", {}],
    ["StartContainerRequest", { container_id: "9".repeat(64) }],
    ["SignalProcessRequest", { container_id: pod.containerId, exec_id: pod.containerId, signal: 10 }],
    ["UpdateInterfaceRequest", { interface: { ...ETH0, name: "lo" } }],
    ["UpdateInterfaceRequest", { interface: { ...ETH0, device: "lo" } }],
    // Linux reads a name up to its first zero byte; the agent reads digits in any number.
    ["UpdateInterfaceRequest", { interface: { ...ETH0, name: "lo\0x" } }],
    ...["00:00:00:00:00:00", "0:0:0:0:0:0", "+0:00:00:00:00:00", "00:00:00:00:00:000"].map((hwAddr): [string, Json] => [
      "UpdateInterfaceRequest",
      { interface: { ...ETH0, hwAddr } },
    ]),
    ...["127.0.0.1", "::1", "0:0::1", "::0.0.0.1", "::ffff:127.0.0.1", "::FFFF:7f00:1"].map(
      (address): [string, Json] => [
        "UpdateInterfaceRequest",
        { interface: { ...ETH0, IPAddresses: [{ address, mask: "8" }] } },
      ],
    ),
    ["UpdateRoutesRequest", { routes: { Routes: [{ dest: "10.0.0.0/8", device: "lo\0" }] } }],
    [
      "AddARPNeighborsRequest",
      { neighbors: { ARPNeighbors: [{ device: "lo\0", toIPAddress: { address: "10.0.0.1" } }] } },
    ],
    ["UpdateRoutesRequest", { routes: { Routes: [{ dest: "127.0.0.0/8", device: "eth0" }] } }],
    ["UpdateRoutesRequest", { routes: { Routes: [{ dest: "::1/128", device: "eth0" }] } }],
    ["CreateSandboxRequest", { sandbox_id: "5".repeat(64), hostname: "x" }],
  ])("%s %j", (name, request) => {
    const { policy, requests } = booted();
    policy.evaluate("CreateContainerRequest", requests.step);
    expect(policy.evaluate(name, request as Json).allowed).toBe(false);
  });

  it.each([
    ["SignalProcessRequest", { container_id: pod.containerId, signal: 15 }],
    ["SignalProcessRequest", { container_id: pod.containerId, signal: 9 }],
    ["UpdateInterfaceRequest", { interface: ETH0 }],
    ["UpdateRoutesRequest", { routes: { Routes: [{ dest: "", gateway: "10.0.0.1", device: "eth0" }] } }],
    ["UpdateRoutesRequest", { routes: { Routes: [{ dest: "fd00::/8", gateway: "fe80::1", device: "eth0" }] } }],
    [
      "AddARPNeighborsRequest",
      { neighbors: { ARPNeighbors: [{ device: "eth0", toIPAddress: { address: "10.0.0.1" } }] } },
    ],
  ])("but not for what every pod needs: %s %j", (name, request) => {
    const { policy, requests } = booted();
    policy.evaluate("CreateContainerRequest", requests.step);
    expect(policy.evaluate(name, request as Json).allowed).toBe(true);
  });

  it("a sandbox with hooks, modules, a shared pid namespace or another storage", () => {
    for (const change of [
      { guest_hook_path: "/x" },
      { kernel_modules: [{ name: "evil.ko" }] },
      { sandbox_pidns: true },
      { storages: [{ driver: "blk", source: "00/00", mount_point: "/", fstype: "ext4" }] },
      { sandbox_id: "../x" },
    ]) {
      const { policy, requests } = guest();
      expect(policy.evaluate("CreateSandboxRequest", { ...requests.sandbox, ...change }).allowed).toBe(false);
    }
  });
});

describe("a debugging guest", () => {
  it("allows logs and exec, and is another identity", () => {
    const { policy, requests, identity } = booted({ debug: true });
    policy.evaluate("CreateContainerRequest", requests.step);
    expect(policy.evaluate("ReadStreamRequest", { container_id: pod.containerId }).allowed).toBe(true);
    expect(policy.evaluate("ExecProcessRequest", { container_id: pod.containerId }).allowed).toBe(true);
    expect(identity).not.toBe(guest().identity);
  });

  it("is refused on hardware", () => {
    expect(() => stepGuest({ ...base, tee: "snp", debug: true })).toThrow("logs and exec");
  });
});

describe("an identity", () => {
  it.each([
    ["image", { imageReference: `sf-0011.sealflow.local/train@sha256:${"ac".repeat(32)}` }],
    ["bundle path", { resource: `sf-0011/step/${"ce".repeat(32)}` }],
    ["KBS URL", { kbsUrl: "https://127.0.0.1:8444" }],
    ["KBS certificate", { caPem: CA.replaceAll("TUlJQ", "TUlJR") }],
  ])("changes with the %s", (_what, change) => {
    expect(stepGuest({ ...base, ...change }).identity).not.toBe(stepGuest(base).identity);
  });

  it("does not change with line ends of the certificate or a slash after the URL", () => {
    const same = stepGuest({ ...base, caPem: CA.replaceAll("\n", "\r\n"), kbsUrl: `${base.kbsUrl}/` });
    expect(same).toEqual(stepGuest(base));
  });

  it("has the width of the platform's field", () => {
    expect(stepGuest(base).identity).toHaveLength(64);
    expect(stepGuest({ ...base, tee: "snp" }).identity).toHaveLength(64);
    expect(stepGuest({ ...base, tee: "tdx" }).identity).toHaveLength(96);
    expect(stepGuest({ ...base, tee: "az-snp-vtpm" }).identity).not.toBe(stepGuest({ ...base, tee: "snp" }).identity);
  });

  it("has no line that the guest's engine could refuse for its length", () => {
    const long = { ...base, imageReference: `${"r".repeat(620)}/x@sha256:${digest}` };
    const lines = stepGuest(long).initdata.split("\n");
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(1000);
    expect(() => stepGuest({ ...base, imageReference: `${"r".repeat(700)}/x@sha256:${digest}` })).toThrow("image");
  });

  it("fits in a small launch document", () => {
    expect(stepGuest(base).annotation.length).toBeLessThan(6 * 1024);
  });

  it("guest digest depends on KBS and certificate, not on a step", () => {
    expect(guestDigest(base)).toMatch(/^[0-9a-f]{64}$/);
    expect(guestDigest({ ...base, kbsUrl: "https://127.0.0.1:8444" })).not.toBe(guestDigest(base));
  });
});

describe("a policy text", () => {
  it("with one byte changed in its rules is not evaluated by the compiled form", () => {
    const text = parseInitdata(stepGuest(base).initdata).data["policy.rego"] as string;
    expect(dataOfPolicyText(text).image).toBe(base.imageReference);
    expect(() => loadAgentPolicy(text.replace("user_is(0)", "user_is(1)"))).toThrow("rules are not those");
    expect(() => loadAgentPolicy(`${text}\nallow := true\n`)).toThrow("not the data of a step");
  });
});

const storage = (r: Json) => (r.storages as Json[])[0] as Json;
const oci = (r: Json) => r.OCI as Json;
const process = (r: Json) => oci(r).Process as Json;
const mounts = (r: Json) => oci(r).Mounts as Json[];
const annotations = (r: Json) => oci(r).Annotations as Json;
