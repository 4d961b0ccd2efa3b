/** The texts under the engine that really runs them, and the compiled forms against it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { containerRequest, type TrusteePolicyName, trusteePolicy } from "../../policy";
import { dataOfPolicyText } from "../../policy/agent/text";
import { loadCompiled } from "../../policy/wasm";
import { mutations, POD, stepPod } from "./support";

interface Command {
  policy: string;
  rule: string;
  input: unknown;
  data: object;
  references?: Record<string, unknown>;
}
type Answer = { value?: unknown; undefined?: true; error?: string };
const { findRegorus, decideAll } = require("../../tools/regorus.js") as {
  findRegorus(): string | undefined;
  decideAll(binary: string, commands: Command[]): Answer[];
};
const binary = findRegorus();
const withRegorus = binary === undefined ? it.skip : it;
const decide = (commands: Command[]) => decideAll(binary as string, commands);

const { policy, requests } = stepPod();
const STATES = {
  none: {},
  sandbox: { sandbox: POD.sandboxId },
  pause: { sandbox: POD.sandboxId, pause: POD.sandboxId },
  step: { sandbox: POD.sandboxId, pause: POD.sandboxId, step: POD.containerId },
};
const agent = (name: string, input: unknown, pstate: object): Command => ({
  policy,
  rule: `data.agent_policy.${name}`,
  input,
  data: { pstate },
});
const compiledAgent = loadCompiled("agent");
const sealflow_policy_data = dataOfPolicyText(policy);
/** The decision of the compiled form for the same command. */
const compiled = ({ rule, input, data }: Command): unknown => {
  const entrypoint = rule.replace("data.", "").replaceAll(".", "/");
  if (!compiledAgent.entrypoints.has(entrypoint)) return undefined;
  return compiledAgent.evaluate(entrypoint, input, { ...data, sealflow_policy_data });
};
const allowed = (value: unknown): boolean => value === true || (value as { allowed?: boolean })?.allowed === true;

/** What may differ between two pods of one step, or means nothing to the agent. */
const FREE = [
  /^OCI\.Hostname$/,
  /^OCI\.Linux\.CgroupsPath$/,
  /^OCI\.Process\.(OOMScoreAdj|ApparmorProfile)/,
  /^OCI\.Linux\.Resources(\.(Memory|CPU|Pids|BlockIO|HugepageLimits|Network))?$/,
  /^OCI\.Annotations$/,
  /^OCI\.Annotations\.io\.kubernetes\.cri\.(sandbox-(uid|namespace|log-directory|name)|image-name)$/,
  /^OCI\.Version$/,
];

describe("agent policy under regorus", () => {
  withRegorus("decides every request of a pod as meant, in every state, like the compiled form", () => {
    const ids = [POD.sandboxId, POD.containerId, "9".repeat(64)];
    const all: [string, unknown][] = [
      ["CreateSandboxRequest", requests.sandbox],
      ["CreateContainerRequest", requests.pause],
      ["CreateContainerRequest", requests.step],
      ...requests.files.map((f): [string, unknown] => ["CopyFileRequest", f]),
      ...(
        ["StartContainerRequest", "WaitProcessRequest", "SignalProcessRequest", "RemoveContainerRequest"] as const
      ).flatMap((name) => ids.map((id): [string, unknown] => [name, containerRequest(name, id)])),
      ["GuestDetailsRequest", {}],
      ["SetPolicyRequest", { policy: "x" }],
      ["ExecProcessRequest", { container_id: POD.containerId }],
      ["ReadStreamRequest", { container_id: POD.containerId }],
    ];
    const commands = all.flatMap(([name, input]) => Object.values(STATES).map((state) => agent(name, input, state)));
    const answers = decide(commands);
    expect(answers.filter((a) => a.error)).toEqual([]);
    expect(answers.map((a) => a.value)).toEqual(commands.map(compiled));
    const of = (name: string, input: unknown, state: object) => {
      const at = commands.findIndex(
        (c) => c.rule.endsWith(`.${name}`) && c.input === input && (c.data as { pstate: object }).pstate === state,
      );
      return answers[at]?.value;
    };
    const add = (key: string, value: string) => ({
      allowed: true,
      ops: [{ op: "add", path: `/pstate/${key}`, value }],
    });
    expect(of("CreateSandboxRequest", requests.sandbox, STATES.none)).toEqual(add("sandbox", POD.sandboxId));
    expect(of("CreateContainerRequest", requests.pause, STATES.sandbox)).toEqual(add("pause", POD.sandboxId));
    expect(of("CreateContainerRequest", requests.step, STATES.pause)).toEqual(add("step", POD.containerId));
    expect(of("CreateContainerRequest", requests.step, STATES.sandbox)).toBeUndefined();
    expect(of("CreateContainerRequest", requests.step, STATES.step)).toBeUndefined();
    expect(of("SetPolicyRequest", undefined, STATES.step)).toBeUndefined();
  });

  withRegorus.each([
    ["sandbox", "CreateSandboxRequest", requests.sandbox, STATES.none],
    ["pause container", "CreateContainerRequest", requests.pause, STATES.sandbox],
    ["step container", "CreateContainerRequest", requests.step, STATES.pause],
  ] as const)(
    "denies every mutation of the %s that matters, like the compiled form",
    (what, name, request, state) => {
      const made = mutations(request);
      const commands = made.map((m) => agent(name, m.request, state));
      const answers = decide(commands);
      const differ = made.filter((_, i) => allowed(answers[i]?.value) !== allowed(compiled(commands[i] as Command)));
      expect(differ.map(({ at, how }) => `${at} ${how}`)).toEqual([]);
      const passed = made.filter((m, i) => allowed(answers[i]?.value) && !harmless(m.at, m.how, what));
      expect(passed.map(({ at, how }) => `${at} ${how}`)).toEqual([]);
      expect(made.length).toBeGreaterThan(what === "sandbox" ? 60 : 1000);
    },
    120_000,
  );
});

/** Allowed on purpose. Order of lists, lists that may only get shorter where that takes rights away, and FREE. */
function harmless(at: string, how: string, what: string): boolean {
  if (how === "moved to the front" && !/Args/.test(at)) return true;
  // The agent drops fields that its messages do not have before the policy sees them; maps are not such.
  if (how === "with a member more" && !/(Annotations|Sysctl)$/.test(at)) return true;
  if (/^storages\.\d+\.shared$/.test(at)) return true;
  if (FREE.some((pattern) => pattern.test(at))) return true;
  if (/^OCI\.Mounts\.\d+\.options/.test(at) && ["removed", "doubled", "emptied"].includes(how)) return true;
  if (/^OCI\.Mounts\.\d+$/.test(at) && how === "removed") return true;
  if (/^OCI\.Linux\.(MaskedPaths|ReadonlyPaths)\.\d+$/.test(at) && ["removed", "doubled"].includes(how)) return true;
  if (
    /^OCI\.Process\.Capabilities\.(Bounding|Effective|Permitted)/.test(at) &&
    ["removed", "doubled", "emptied", "nulled"].includes(how)
  )
    return true;
  if (/^OCI\.Process\.User\.AdditionalGids/.test(at) && ["removed", "doubled", "emptied"].includes(how)) return true;
  if (/^OCI\.Linux\.Namespaces\.\d+$/.test(at) && how === "doubled") return true;
  if (/^(OCI\.Process\.Env|OCI\.Mounts)\.\d+$/.test(at) && how === "removed") return true;
  if (what === "pause container")
    return /^(OCI\.Process\.Env|storages$|storages\.0\.source$|storages\.0$|OCI\.Mounts$)/.test(at);
  if (what === "sandbox")
    return /^(hostname|dns|storages$|storages\.0$|storages\.0\.(options|shared)|storages\.0\.options\.\d+|sandbox_id)/.test(
      at,
    );
  return false;
}

const load = (folder: string, name: string) =>
  JSON.parse(readFileSync(join(__dirname, "../vectors", folder, `${name}.json`), "utf8"));

describe("Trustee policies under regorus", () => {
  const tees = ["sample", "snp", "tdx", "az-snp-vtpm", "az-tdx-vtpm"];

  const both = (
    name: TrusteePolicyName,
    rule: string,
    cases: { input: unknown; data?: object; references?: Record<string, unknown> }[],
  ) => {
    const { text } = trusteePolicy(name);
    const answers = decide(
      cases.map((c) => ({ policy: text, rule: `data.${rule.replace("/", ".")}`, data: {}, ...c })),
    );
    cases.forEach((c, i) => {
      const own = loadCompiled(name, (id) => c.references?.[id] ?? null).evaluate(rule, c.input, c.data);
      expect({ i, ...answers[i] }).toEqual(own === undefined ? { i, undefined: true } : { i, value: own });
    });
    return answers.map((a) => a.value);
  };

  withRegorus.each(["attestation-cpu-production", "attestation-cpu-development"] as const)(
    "%s decides like its compiled form",
    (name) => {
      const cases = tees.flatMap((tee) => {
        const claims = load("claims", tee);
        const id =
          tee === "sample"
            ? claims.init_data.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")
            : claims.init_data;
        const body = claims[tee].quote?.body ?? {};
        const references = {
          [`sealflow.grant.${id}`]: { tee, paths: ["a/b/c"], require: [] },
          [`sealflow.${tee}.measurement`]: [claims[tee].measurement],
          [`sealflow.${tee}.minimum_tcb`]: { bootloader: 4, microcode: 25, snp: 23, tee: 0 },
          [`sealflow.${tee}.mr_td`]: [body.mr_td],
          [`sealflow.${tee}.rtmr_1`]: [body.rtmr_1],
          [`sealflow.${tee}.rtmr_2`]: [body.rtmr_2],
          [`sealflow.${tee}.xfam`]: [body.xfam],
          [`sealflow.${tee}.pcr11`]: [claims[tee].tpm?.pcr11],
        };
        const small = { ...claims, init_data_claims: {}, [tee]: { ...claims[tee], uefi_event_logs: [] } };
        return [{ input: claims, references }, ...mutations(small).map((m) => ({ input: m.request, references }))];
      });
      const vectors = both(name, "policy/trust_claims", cases);
      both(name, "policy/extensions", cases);
      const affirming = vectors.filter((v) => Object.values(v as Record<string, number>).every((n) => n < 32)).length;
      expect(affirming).toBeGreaterThan(0);
      expect(affirming).toBeLessThan(vectors.length);
    },
    120_000,
  );

  withRegorus(
    "the resource policy decides like its compiled form",
    () => {
      const cases = tees.flatMap((tee) => {
        const token = load("ear", tee);
        const cpu = token.submods.cpu0;
        cpu["ear.status"] = "affirming";
        cpu["ear.sealflow.grant"] = { paths: ["default/keys/model"], require: ["cpu0"] };
        cpu["ear.veraison.annotated-evidence"] = { init_data_claims: { a: 1 } };
        const data = load("ear", "resource-requests").requests[0];
        return [{ input: token, data }, ...mutations(token).map((m) => ({ input: m.request, data }))];
      });
      const values = both("resource", "policy/allow", cases);
      expect(values.filter((v) => v === true).length).toBeGreaterThan(5);
      expect(values.filter((v) => v === false).length).toBeGreaterThan(50);
    },
    120_000,
  );
});
