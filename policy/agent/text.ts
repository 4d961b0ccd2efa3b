import { jcs } from "../../protocol/canonical";
import { type Infer, list, literal, object, parse, text } from "../../protocol/shape";
import { asset } from "../assets";
import { PolicyError } from "../errors";

/** Name of the one container of a step's pod. */
export const CONTAINER_NAME = "step";
/** The same for every step of every pipeline; the command is in the bundle. */
export const RUNNER_ARGV: readonly string[] = [
  "/sealflow/lib/ld.so",
  "--library-path",
  "/sealflow/lib",
  "/sealflow/bin/node",
  "/sealflow/runner.js",
];
/** The only writable place of the container: a volume in guest memory. */
export const SCRATCH_PATHS: readonly string[] = ["/sealflow/scratch"];
/**
 * Capabilities of the runner, which isolates the program from itself: the VM is the boundary, not the container. With
 * /proc masked as Kubernetes does it, a user namespace could not mount a fresh /proc, so the runner has SYS_ADMIN.
 */
export const RUNNER_CAPABILITIES: readonly string[] = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FOWNER",
  "CAP_KILL",
  "CAP_NET_ADMIN",
  "CAP_SETGID",
  "CAP_SETPCAP",
  "CAP_SETUID",
  "CAP_SYS_ADMIN",
  "CAP_SYS_CHROOT",
  "CAP_SYS_PTRACE",
];

export interface AgentPolicyArgs {
  /** `<host>/<name>@sha256:<digest>`. */
  readonly imageReference: string;
  /** KBS path of the bundle, `<ns>/step/<programId>`. */
  readonly resource: string;
  /** Allows logs and exec. Changes the identity; for the simulated platform only. Default false. */
  readonly debug?: boolean;
}

const texts = list(text({ max: 4096 }), 100);
export const agentPolicyData = object({
  args: texts,
  capabilities: texts,
  container: text({ max: 63 }),
  debug: literal(true, false),
  env: texts,
  image: text({ max: 1024 }),
  scratch: texts,
});
export type AgentPolicyData = Infer<typeof agentPolicyData>;

export const IMAGE_BY_DIGEST =
  /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?(:[0-9]{1,5})?(\/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)+@sha256:[0-9a-f]{64}$/;
export const RESOURCE_PATH = /^[A-Za-z0-9_-][A-Za-z0-9_.-]*(\/[A-Za-z0-9_-][A-Za-z0-9_.-]*){2}$/;

/**
 * Environment that every step's container has, beside what Kubernetes adds and the hint SEALFLOW_RUN. OPENSSL_CONF: Node
 * reads /etc/ssl/openssl.cnf when it starts, and one of the image could name a library to load into the runner.
 */
export const stepEnvironment = (resource: string): Record<string, string> => ({
  HOME: "/root",
  OPENSSL_CONF: "/dev/null",
  PATH: "/sealflow/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  SEALFLOW_RESOURCE: resource,
});

/** @throws PolicyError AGENT_POLICY for an image without digest or a malformed path. */
export function policyDataOf({ imageReference, resource, debug = false }: AgentPolicyArgs): AgentPolicyData {
  if (!IMAGE_BY_DIGEST.test(imageReference) || imageReference.length > 700) {
    throw new PolicyError("AGENT_POLICY", `image "${imageReference}": expected <host>/<name>@sha256:<digest>`);
  }
  if (!RESOURCE_PATH.test(resource)) {
    throw new PolicyError("AGENT_POLICY", `resource "${resource}": expected <ns>/step/<programId>`);
  }
  return {
    args: [...RUNNER_ARGV],
    capabilities: [...RUNNER_CAPABILITIES],
    container: CONTAINER_NAME,
    debug,
    env: Object.entries(stepEnvironment(resource)).map(([name, value]) => `${name}=${value}`),
    image: imageReference,
    scratch: [...SCRATCH_PATHS],
  };
}

let rules: string | undefined;

/** The constant part as it goes into guests: rules.rego without comments, empty lines and spaces that mean nothing. */
export function agentRules(): string {
  rules ??= asset("agent/rules.rego")
    .toString("utf8")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => `${compact(line)}\n`)
    .join("");
  return rules;
}

/** Spaces around operators and brackets go, those inside of texts stay. Launch documents are small on some clouds. */
const compact = (line: string): string =>
  line
    .split(/("(?:[^"\\]|\\.)*")/)
    .map((part, i) =>
      i % 2 === 1 ? part : part.replace(/ *(:=|[=!<]=|[,;&]) */g, "$1").replace(/(?<=[:{]) | (?=[{}])/g, ""),
    )
    .join("");

const DATA = "policy_data := ";

/** The whole `policy.rego` of one step. */
export const agentPolicyText = (args: AgentPolicyArgs): string =>
  `${agentRules()}${DATA}${lines(policyDataOf(args))}\n`;

/** One member per line: the guest's engine may refuse lines of more than 1024 characters. Sorted, so deterministic. */
function lines(data: AgentPolicyData): string {
  const members = Object.entries(data)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${JSON.stringify(name)}:${jcs(value)}`);
  return `{\n${members.join(",\n")}\n}`;
}

/**
 * The data of a policy text.
 * @throws PolicyError AGENT_POLICY when its rules are not byte for byte the ones of this version.
 */
export function dataOfPolicyText(policy: string): AgentPolicyData {
  const head = `${agentRules()}${DATA}`;
  if (!policy.startsWith(head)) {
    throw new PolicyError(
      "AGENT_POLICY",
      "agent policy: its rules are not those of this Sealflow version, so their compiled form does not apply; run `up` again",
    );
  }
  try {
    return parse(agentPolicyData, JSON.parse(policy.slice(head.length)), "policy_data");
  } catch (cause) {
    throw new PolicyError("AGENT_POLICY", "agent policy: what follows policy_data is not the data of a step", {
      cause,
    });
  }
}
