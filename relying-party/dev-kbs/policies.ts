/** Which policies are installed, and what they decide. Only shipped texts can be, because only they are compiled. */
import { createHash } from "node:crypto";
import { TRUSTEE_POLICIES, type TrusteePolicyName, trusteePolicy } from "../../policy";
import { type Compiled, loadCompiled } from "../../policy/wasm";
import { KbsRefusal, setPolicyFailed } from "./errors";
import type { Store } from "./store";

export interface Appraisal {
  readonly trustClaims: Readonly<Record<string, number>>;
  readonly extensions: readonly { readonly name: string; readonly value: unknown }[];
}

export interface Policies {
  setResourcePolicy(text: string): void;
  setAttestationPolicy(id: string, text: string): void;
  /** Ids of stored resource policies. */
  resourcePolicyIds(): string[];
  /** @returns false also when no policy is installed. @throws KbsRefusal PolicyEngineError. */
  allows(data: { plugin: string; "resource-path": string[]; query: Record<string, string> }, claims: unknown): boolean;
  /** @param teeClass `cpu` or `gpu`. @throws Error, which fails the attestation. */
  appraise(teeClass: string, evidence: unknown): Appraisal;
}

/** What Trustee's default policies make of evidence without reference values: contraindicated. */
const UNKNOWN: Appraisal = { trustClaims: { executables: 33, hardware: 97, configuration: 36 }, extensions: [] };

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const RESOURCE_ID = "resource-policy";

export function policies(store: Store): Policies {
  const query = (id: string): unknown => {
    const kept = store.get("reference_value", id);
    return kept ? (JSON.parse(Buffer.from(kept).toString("utf8")) as { value: unknown }).value : null;
  };

  /** The name of the shipped text that is installed; undefined when none is. */
  const installed = (namespace: "kbs" | "attestation_service_policy", id: string): Compiled | undefined => {
    const kept = store.get(namespace, `${id}.rego`);
    if (!kept) return undefined;
    const name = shipped(Buffer.from(kept).toString("utf8"));
    if (!name) throw new Error(`the installed policy ${id} is of another Sealflow version; install the policies again`);
    return loadCompiled(name, query);
  };

  return {
    setResourcePolicy(text) {
      if (shipped(text) !== "resource") {
        throw new KbsRefusal("PolicyEngineError", `Policy engine error: ${ONLY_SHIPPED}`);
      }
      store.set("kbs", `${RESOURCE_ID}.rego`, Buffer.from(text));
    },
    setAttestationPolicy(id, text) {
      const name = shipped(text);
      if (name === undefined || name === "resource") throw setPolicyFailed(ONLY_SHIPPED);
      if (!/^[A-Za-z0-9._-]{1,100}$/.test(id)) throw setPolicyFailed("bad policy id");
      store.set("attestation_service_policy", `${id}.rego`, Buffer.from(text));
    },
    resourcePolicyIds: () => (store.get("kbs", `${RESOURCE_ID}.rego`) ? [RESOURCE_ID] : []),
    allows(data, claims) {
      let compiled: Compiled | undefined;
      try {
        compiled = installed("kbs", RESOURCE_ID);
      } catch (cause) {
        throw new KbsRefusal("PolicyEngineError", `Policy engine error: ${(cause as Error).message}`, { cause });
      }
      return compiled?.evaluate("policy/allow", claims, data) === true;
    },
    appraise(teeClass, evidence) {
      const compiled = installed("attestation_service_policy", `default_${teeClass}`);
      if (!compiled) return UNKNOWN;
      const trustClaims = compiled.evaluate("policy/trust_claims", evidence);
      const extensions = compiled.evaluate("policy/extensions", evidence);
      if (!trustClaims || !extensions) throw new Error("the attestation policy gives no result");
      return { trustClaims, extensions } as Appraisal;
    },
  };
}

const ONLY_SHIPPED =
  "the development KBS takes only the policy texts shipped with this Sealflow version; use Trustee for others";

function shipped(text: string): TrusteePolicyName | undefined {
  const digest = sha256(text);
  return TRUSTEE_POLICIES.find((name) => trusteePolicy(name).sha256 === digest);
}
