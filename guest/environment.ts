/** The runner's own environment: the host may have set it, so exactly what the agent policy admits is allowed. */
import { HEX32 } from "../protocol/names";
import { quoted } from "../protocol/quoted";
import { RunnerError } from "./errors";

const ALLOWED = /^(PATH|HOME|HOSTNAME|SEALFLOW_RESOURCE|SEALFLOW_RUN|JOB_COMPLETION_INDEX|KUBERNETES_[A-Z0-9_]+)$/;
/** Admitted with one value only: no file of the image configures the OpenSSL of the runner; PWD is what a launcher adds. */
const FIXED: Readonly<Record<string, string>> = { OPENSSL_CONF: "/dev/null", PWD: "/" };
const RESOURCE = /^([a-z0-9-]{1,40})\/step\/([0-9a-f]{64})$/;

export interface StepAddress {
  /** `<ns>/step/<programId>`. */
  readonly resource: string;
  readonly ns: string;
  readonly programId: string;
  readonly runHint: string | null;
}

/**
 * @param env of this process. @param execArgv options of Node given on the command line; the measured one has none.
 * @throws RunnerError ENVIRONMENT or RESOURCE.
 */
export function checkEnvironment(env: Readonly<NodeJS.ProcessEnv>, execArgv: readonly string[]): StepAddress {
  for (const [name, value] of Object.entries(env)) {
    if (ALLOWED.test(name) || (Object.hasOwn(FIXED, name) && FIXED[name] === value)) continue;
    throw new RunnerError("ENVIRONMENT", `environment: ${quoted(name, 60)} is not admitted`);
  }
  if (execArgv.length > 0) throw new RunnerError("ENVIRONMENT", "the runner was started with options for Node");
  const resource = env.SEALFLOW_RESOURCE ?? "";
  const [, ns, programId] = RESOURCE.exec(resource) ?? [];
  if (!ns || !programId) throw new RunnerError("RESOURCE", "SEALFLOW_RESOURCE: expected <ns>/step/<programId>");
  const hint = env.SEALFLOW_RUN;
  if (hint !== undefined && !HEX32.test(hint))
    throw new RunnerError("RESOURCE", "SEALFLOW_RUN: expected 64 hex digits");
  return { resource, ns, programId, runHint: hint ?? null };
}
