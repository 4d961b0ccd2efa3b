/**
 * Attacks of the control plane and the host against the policy texts themselves, numbered as in the attack list. Each is
 * decided by regorus, the engine of the guest and of Trustee, and by the compiled form.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  grantId,
  identityOf,
  initdataClaims,
  parseInitdata,
  stepGuest,
  type TrusteePolicyName,
  trusteePolicy,
} from "../../policy";
import { dataOfPolicyText } from "../../policy/agent/text";
import { loadCompiled } from "../../policy/wasm";
import { POD, STEP, stepPod } from "./support";

interface Command {
  policy: string;
  rule: string;
  input: unknown;
  data: object;
  references?: Record<string, unknown>;
}
const { findRegorus, decideAll } = require("../../tools/regorus.js") as {
  findRegorus(): string | undefined;
  decideAll(binary: string, commands: Command[]): { value?: unknown; error?: string }[];
};
const binary = findRegorus();
if (binary === undefined) console.warn("regorus cannot be built here: the compiled forms decide alone");

/** The value of a rule; both engines must agree. */
function decide(compiled: unknown, command: Command): unknown {
  if (binary !== undefined) {
    const [answer] = decideAll(binary, [command]);
    expect(answer?.error).toBeUndefined();
    expect(answer?.value).toEqual(compiled);
  }
  return compiled;
}

// biome-ignore lint/suspicious/noExplicitAny: requests and claims are edited at any depth.
type Json = any;
const { policy, requests } = stepPod();
const data = dataOfPolicyText(policy);
const STATE = {
  none: {},
  sandbox: { sandbox: POD.sandboxId },
  pause: { sandbox: POD.sandboxId, pause: POD.sandboxId },
};
const FULL = { ...STATE.pause, step: POD.containerId };

function admitted(name: string, request: Json, pstate: object): boolean {
  const agent = loadCompiled("agent");
  const entrypoint = `agent_policy/${name}`;
  const own = agent.entrypoints.has(entrypoint)
    ? agent.evaluate(entrypoint, request, { pstate, sealflow_policy_data: data })
    : undefined;
  const value = decide(own, { policy, rule: `data.agent_policy.${name}`, input: request, data: { pstate } });
  return value === true || (value as { allowed?: boolean } | undefined)?.allowed === true;
}
const step = (edit: (request: Json) => void, state: object = STATE.pause): boolean => {
  const request = structuredClone(requests.step) as Json;
  edit(request);
  return admitted("CreateContainerRequest", request, state);
};
const file = `/run/kata-containers/shared/containers/${POD.containerId}-00000000000000ff-ld.so.preload`;
const setEnv = (r: Json, name: string, value: string) => {
  r.OCI.Process.Env = [...r.OCI.Process.Env.filter((e: string) => !e.startsWith(`${name}=`)), `${name}=${value}`];
};

it("0: the unchanged pod is admitted, so it is the attack that is refused below", () => {
  expect(admitted("CreateSandboxRequest", requests.sandbox, STATE.none)).toBe(true);
  expect(admitted("CreateContainerRequest", requests.pause, STATE.sandbox)).toBe(true);
  expect(step(() => {})).toBe(true);
});

describe("the agent policy refuses", () => {
  const evil = `evil.example/x@sha256:${"66".repeat(32)}`;
  it.each<[string, (r: Json) => void]>([
    [
      "1: a tag to pull beside the allowed digest in an annotation",
      (r) => {
        r.storages[0].source = "sf-0011.sealflow.local/train:latest";
        r.OCI.Annotations["io.kubernetes.cri.image-id"] = STEP.imageReference;
      },
    ],
    [
      "1: the allowed digest in the image name, another in what is pulled",
      (r) => {
        r.storages[0].source = evil;
        r.OCI.Annotations["io.kubernetes.cri.image-name"] = STEP.imageReference;
      },
    ],
    [
      "2: a storage that differs from the annotation",
      (r) => {
        r.storages[0].source = evil;
      },
    ],
    [
      "3: no guest pull, the root from files of the host",
      (r) => {
        r.storages.shift();
        r.OCI.Mounts.unshift({ destination: "/", source: file, type_: "bind", options: ["rbind"] });
      },
    ],
    [
      "3: no guest pull, a root elsewhere",
      (r) => {
        r.storages.shift();
        r.OCI.Root.Path = "/run/kata-containers/shared/containers/evil";
      },
    ],
    [
      "4: a second guest pull over the root",
      (r) => {
        r.storages.push({ ...structuredClone(r.storages[0]), source: evil });
      },
    ],
    [
      "4: a disk over the root",
      (r) => {
        r.storages.push({
          ...structuredClone(r.storages[1]),
          driver: "blk",
          source: "00/01",
          fstype: "ext4",
          mount_point: r.storages[0].mount_point,
        });
      },
    ],
    [
      "6: a host's file over a path inside the image",
      (r) => {
        r.OCI.Mounts.push({ destination: "/etc/ld.so.preload", source: file, type_: "bind", options: ["rbind", "ro"] });
      },
    ],
    ["6: LD_PRELOAD", (r) => setEnv(r, "LD_PRELOAD", "/etc/hosts")],
    [
      "7: a hook",
      (r) => {
        r.OCI.Hooks = {
          Prestart: [{ Path: "/bin/sh", Args: [], Env: [], Timeout: 0 }],
          Poststart: [],
          Poststop: [],
          CreateRuntime: [],
          CreateContainer: [],
          StartContainer: [],
        };
      },
    ],
    [
      "8: a variable missing",
      (r) => {
        r.OCI.Process.Env = r.OCI.Process.Env.filter((e: string) => !e.startsWith("SEALFLOW_RESOURCE="));
      },
    ],
    ["8: a variable changed", (r) => setEnv(r, "SEALFLOW_RESOURCE", `sf-0011/step/${"ee".repeat(32)}`)],
    [
      "8: an argument added",
      (r) => {
        r.OCI.Process.Args.push("--inspect");
      },
    ],
    [
      "15: the manifest of another step, with its image and bundle",
      (r) => {
        r.storages[0].source = evil;
        setEnv(r, "SEALFLOW_RESOURCE", "sf-0011/step/bb");
      },
    ],
  ])("%s", (_attack, edit) => expect(step(edit)).toBe(false));

  it("3: files that the host copies in first", () => {
    const [copy] = requests.files as Json[];
    for (const path of [
      file,
      "/run/kata-containers/x/rootfs/bin/sh",
      "/run/kata-containers/shared/containers/../../x",
    ]) {
      expect(admitted("CopyFileRequest", { ...copy, path }, STATE.sandbox)).toBe(false);
    }
  });

  it("5: a storage of the sandbox where a container's root will be", () => {
    const parked = structuredClone(requests.sandbox) as Json;
    parked.storages.push({ ...parked.storages[0], mount_point: `/run/kata-containers/${POD.containerId}/rootfs` });
    expect(admitted("CreateSandboxRequest", parked, STATE.none)).toBe(false);
    parked.storages.shift();
    expect(admitted("CreateSandboxRequest", parked, STATE.none)).toBe(false);
  });

  it("8: a sidecar, the step before its pause container, the step twice", () => {
    const sidecar = (r: Json) => {
      r.container_id = "8".repeat(64);
      r.exec_id = r.container_id;
    };
    expect(step(sidecar, FULL)).toBe(false);
    expect(step(() => {}, FULL)).toBe(false);
    expect(step(() => {}, STATE.sandbox)).toBe(false);
  });

  it("9: a new policy for a running guest", () => {
    expect(admitted("SetPolicyRequest", { policy: "package agent_policy\ndefault X := true" }, FULL)).toBe(false);
  });
});

const claimsOf = (tee: string): Json =>
  JSON.parse(readFileSync(join(__dirname, `../vectors/claims/${tee}.json`), "utf8"));

/** The paths that a guest with these claims is granted, and whether it is affirmed. */
function appraised(claims: Json, references: Record<string, unknown>): { affirming: boolean; paths: string[] } {
  const name: TrusteePolicyName = "attestation-cpu-production";
  const compiled = loadCompiled(name, (id) => references[id] ?? null);
  const { text } = trusteePolicy(name);
  const ask = (rule: string): Json =>
    decide(compiled.evaluate(`policy/${rule}`, claims), {
      policy: text,
      rule: `data.policy.${rule}`,
      input: claims,
      data: {},
      references,
    });
  return {
    affirming: Object.values(ask("trust_claims") as Record<string, number>).every((n) => n < 32),
    paths: ask("extensions")[0].value.paths,
  };
}

describe("the production policies give no key to", () => {
  const snpStep = { ...STEP, tee: "snp" as const };
  const guest = stepGuest(snpStep);
  const own = [STEP.resource, "sf-0011/image/k"];
  /** Claims of a genuine machine that was launched with this initdata. */
  const launched = (initdata: string): Json => {
    const claims = claimsOf("snp");
    const parsed = parseInitdata(initdata);
    return {
      ...claims,
      init_data: identityOf("snp", initdata, parsed.algorithm),
      init_data_claims: initdataClaims(parsed),
    };
  };
  const references = {
    "sealflow.snp.measurement": [claimsOf("snp").snp.measurement],
    "sealflow.snp.minimum_tcb": { bootloader: 4, microcode: 25, snp: 23, tee: 0 },
    [grantId("snp", guest.identity)]: { tee: "snp", paths: own },
  };

  it("nobody but the step: which gets exactly its own", () => {
    expect(appraised(launched(guest.initdata), references)).toEqual({ affirming: true, paths: own });
  });

  it.each<[string, string]>([
    ["9: initdata with another key broker", stepGuest({ ...snpStep, kbsUrl: "https://evil.example" }).initdata],
    ["9: initdata with a permissive policy", guest.initdata.replace("user_is(0)", "true")],
    ["9: initdata of a debugging guest", guest.initdata.replace('"debug":false', '"debug":true')],
    [
      "17: initdata with a fake broker's certificate",
      stepGuest({ ...snpStep, caPem: STEP.caPem.replaceAll("TUlJQ", "RVZJT") }).initdata,
    ],
    ["15: another step's initdata", stepGuest({ ...snpStep, resource: `sf-0011/step/${"bb".repeat(32)}` }).initdata],
  ])("%s", (_attack, initdata) => {
    expect(initdata).not.toBe(guest.initdata);
    expect(appraised(launched(initdata), references).paths).toEqual([]);
  });

  it.each(["sample", "tpm"])("10: a plain or simulated pod that can only show %s evidence", (kind) => {
    const claims = { ...launched(guest.initdata), [kind]: claimsOf("sample").sample };
    delete claims.snp;
    const widened = { ...references, [`sealflow.${kind}.measurement`]: ["abcde"] };
    expect(appraised(claims, widened)).toEqual({ affirming: false, paths: [] });
  });

  it("16: an old version after its grant was emptied", () => {
    expect(appraised(launched(guest.initdata), { ...references, [grantId("snp", guest.identity)]: [] }).paths).toEqual(
      [],
    );
  });

  it("a guest booted with the public digest and without the document", () => {
    const claims = { ...launched(guest.initdata), init_data_claims: null };
    expect(appraised(claims, references)).toEqual({ affirming: false, paths: [] });
  });

  it("17: a guest told of no certificate at all: both components pin the CA", () => {
    const claims = initdataClaims(parseInitdata(guest.initdata)) as Json;
    const ca = STEP.caPem;
    expect(claims["aa.toml"].token_configs.kbs).toEqual({ url: STEP.kbsUrl, cert: ca });
    expect(claims["cdh.toml"].kbc).toMatchObject({ url: STEP.kbsUrl, kbs_cert: ca });
  });
});
