/** What Trustee tells policies about a guest's initdata, `init_data_claims`. Source: attestation-service/src/lib.rs. */
import { parse as parseToml } from "smol-toml";
import { PolicyError } from "../errors";
import type { Initdata } from "./document";

const POLICY_DATA = "policy_data := ";

/** @throws PolicyError INITDATA when aa.toml or cdh.toml is not TOML. */
export function initdataClaims({ data }: Initdata): Record<string, unknown> {
  const claims: Record<string, unknown> = {};
  for (const [name, text] of Object.entries(data)) {
    if (name === "aa.toml" || name === "cdh.toml") claims[name] = tomlAsJson(name, text);
    else if (name === "policy.rego") {
      const found = policyData(text);
      if (found === undefined) claims[name] = text;
      else claims.agent_policy_claims = found;
    } else claims[name] = text;
  }
  return claims;
}

/** The JSON value at the end of an agent policy, from the first `policy_data := {`; undefined when it is not strict. */
export function policyData(rego: string): unknown {
  const at = rego.indexOf(`${POLICY_DATA}{`);
  if (at < 0) return undefined;
  try {
    return JSON.parse(rego.slice(at + POLICY_DATA.length));
  } catch {
    return undefined;
  }
}

function tomlAsJson(name: string, text: string): unknown {
  try {
    return JSON.parse(JSON.stringify(parseToml(text)));
  } catch (cause) {
    throw new PolicyError("INITDATA", `initdata: ${name} is not TOML`, { cause });
  }
}
