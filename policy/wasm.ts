/** Evaluates the compiled policies. The texts are authoritative; a test binds both together. */
import { loadPolicySync } from "@open-policy-agent/opa-wasm";
import { asset } from "./assets";

export type CompiledName =
  | "agent"
  | "resource"
  | "attestation-cpu-development"
  | "attestation-cpu-production"
  | "attestation-gpu";

export interface Compiled {
  /** @returns the value of a rule, or undefined. `entrypoint` such as `policy/allow`. */
  evaluate(entrypoint: string, input: unknown, data?: object): unknown;
  readonly entrypoints: ReadonlySet<string>;
}

type Query = (id: string) => unknown;

interface Instance {
  readonly policy: ReturnType<typeof loadPolicySync>;
  query: Query;
}

/** One instance per text: evaluation is synchronous and keeps nothing, data is set anew each time. */
const instances = new Map<CompiledName, Instance>();

const none: Query = () => null;

/** @param queryReferenceValue Trustee's one extra function, for attestation policies; null for an unknown id. */
export function loadCompiled(name: CompiledName, queryReferenceValue: Query = none): Compiled {
  const instance = instances.get(name) ?? instantiate(name);
  instances.set(name, instance);
  const { policy } = instance;
  return {
    entrypoints: new Set(Object.keys(policy.entrypoints)),
    evaluate(entrypoint, input, data = {}) {
      instance.query = queryReferenceValue;
      policy.setData(data);
      const results = policy.evaluate(input, entrypoint) as { result: unknown }[];
      return results[0]?.result;
    },
  };
}

function instantiate(name: CompiledName): Instance {
  let instance: Instance | undefined;
  const builtins = { query_reference_value: (id: string) => instance?.query(id) ?? null };
  instance = { policy: loadPolicySync(asset(`compiled/${name}.wasm`), 5, builtins), query: none };
  return instance;
}
