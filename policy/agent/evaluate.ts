/** Decides requests as the Kata agent does: defaults filled, rule evaluated, state changed when it is allowed. */
import { loadCompiled } from "../wasm";
import { CHECKED_REQUESTS, fillDefaults, type Message } from "./defaults";
import { dataOfPolicyText } from "./text";

export interface Decision {
  readonly allowed: boolean;
  /** For people; never a value of the request. */
  readonly reason: string;
}

export interface AgentPolicy {
  /** @param name protobuf message, such as `CreateContainerRequest`. @throws RangeError for an unknown one. */
  evaluate(name: string, request: Message): Decision;
  /** What the policy remembers, `data.pstate`. */
  readonly state: Readonly<Record<string, unknown>>;
}

interface Patch {
  readonly op: string;
  readonly path: string;
  readonly value: unknown;
}

/**
 * The policy of one guest. It keeps state, so load one per guest.
 * @param text `policy.rego` of the initdata. @throws PolicyError AGENT_POLICY for rules of another version.
 */
export function loadAgentPolicy(text: string): AgentPolicy {
  const compiled = loadCompiled("agent");
  const policyData = dataOfPolicyText(text);
  const pstate: Record<string, unknown> = {};

  return {
    state: pstate,
    evaluate(name, request) {
      if (!CHECKED_REQUESTS.includes(name)) throw new RangeError(`${name}: no such request of the Kata agent`);
      const input = fillDefaults(name, request);
      const entrypoint = `agent_policy/${name}`;
      if (!compiled.entrypoints.has(entrypoint)) return refusal(name, "the policy has no rule for it");
      const result = compiled.evaluate(entrypoint, input, { pstate, sealflow_policy_data: policyData });
      if (result === true) return { allowed: true, reason: `${name}: allowed` };
      const { allowed, ops } = (result ?? {}) as { allowed?: unknown; ops?: readonly Patch[] };
      if (allowed !== true) return refusal(name, "it is not what the policy admits, or not in this order");
      for (const { op, path, value } of ops ?? []) {
        const key = /^\/pstate\/([a-z]+)$/.exec(path)?.[1];
        if (op !== "add" || !key) throw new RangeError(`agent policy: unexpected state change ${op} ${path}`);
        pstate[key] = value;
      }
      return { allowed: true, reason: `${name}: allowed` };
    },
  };
}

const refusal = (name: string, why: string): Decision => ({
  allowed: false,
  reason: `${name}: refused by the agent policy, ${why}`,
});
