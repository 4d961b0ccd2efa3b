/** Texts for the Trustee KBS and the grants that go with them. */
import { createHash } from "node:crypto";
import { base64url, fromHex } from "../../protocol/bytes";
import { TEES, type Tee } from "../../protocol/rcar";
import { RESOURCE_PATH } from "../agent/text";
import { asset } from "../assets";
import { PolicyError } from "../errors";
import type { CompiledName } from "../wasm";

export type TrusteePolicyName = Exclude<CompiledName, "agent">;

export interface TrusteePolicy {
  readonly name: TrusteePolicyName;
  readonly text: string;
  /** SHA-256 of the text, hex. */
  readonly sha256: string;
}

/** @throws Error when the package is incomplete. */
export function trusteePolicy(name: TrusteePolicyName): TrusteePolicy {
  const text = asset(`trustee/${name}.rego`).toString("utf8");
  return { name, text, sha256: createHash("sha256").update(text).digest("hex") };
}

/** `development` accepts simulated evidence; `production` never does. */
export const attestationPolicy = (mode: PolicyMode): TrusteePolicy => trusteePolicy(`attestation-cpu-${mode}`);
/** Appraises NVIDIA GPUs; for grants that require one. */
export const gpuPolicy = (): TrusteePolicy => trusteePolicy("attestation-gpu");
export const resourcePolicy = (): TrusteePolicy => trusteePolicy("resource");

/** `development` accepts simulated guests. */
export type PolicyMode = "development" | "production";
/** Places for policies in a key broker, in the order in which they are filled. */
export const POLICY_SLOTS = ["attestation-cpu", "attestation-gpu", "resource"] as const;
export type PolicySlot = (typeof POLICY_SLOTS)[number];

/** The shipped text for a place. */
export function policyIn(slot: PolicySlot, mode: PolicyMode): TrusteePolicy {
  if (slot === "attestation-cpu") return attestationPolicy(mode);
  return slot === "attestation-gpu" ? gpuPolicy() : resourcePolicy();
}

/** All texts that Sealflow ships. */
export const TRUSTEE_POLICIES: readonly TrusteePolicyName[] = [
  "resource",
  "attestation-cpu-development",
  "attestation-cpu-production",
  "attestation-gpu",
];

/** Id under which the attestation service looks for the policy of CPU evidence. `default` would have no effect. */
export const CPU_POLICY_ID = "default_cpu";
export const GPU_POLICY_ID = "default_gpu";
/** Name of the token extension that carries the grant. */
export const GRANT_CLAIM = "ear.sealflow.grant";

/** Largest number of paths in a grant: a token of 300 stays near 15 KB, far below what a header may hold. */
const MAX_PATHS = 300;

/**
 * Id of the reference value that holds an identity's grant.
 * @param identity initdata field as reported, lower-case hex. Trustee reports it in hex for real TEEs and in base64 for
 * `sample`, which the policy rewrites as base64url without padding; so does this.
 */
export function grantId(tee: Tee, identity: string): string {
  const bytes = fromHex(identity);
  const width = tee === "tdx" ? 48 : 32;
  if (bytes.length !== width) {
    throw new PolicyError("GRANT", `identity of ${tee}: ${bytes.length} bytes, expected ${width}`);
  }
  return `sealflow.grant.${tee === "sample" ? base64url(bytes) : identity}`;
}

export interface GrantArgs {
  readonly tee: Tee;
  /** `repository/type/tag`. */
  readonly paths: readonly string[];
  /** Narrows the measurements admitted by the KBS to these. */
  readonly measurements?: readonly string[];
  /** Submodules that must be there and affirming, such as `gpu0`. */
  readonly require?: readonly string[];
}

export interface GrantValue {
  tee: Tee;
  paths: string[];
  measurements?: string[];
  require?: string[];
}

/** Paths sorted and once each, so that the same grant has the same bytes. @throws PolicyError GRANT. */
export function grantValue({ tee, paths, measurements, require }: GrantArgs): GrantValue {
  const sorted = [...new Set(paths)].sort();
  const bad = sorted.filter((path) => !RESOURCE_PATH.test(path));
  if (!TEES.includes(tee)) throw new PolicyError("GRANT", `grant: unknown TEE "${tee}"`);
  if (bad.length > 0) throw new PolicyError("GRANT", `grant: not repository/type/tag: ${bad.join(", ")}`);
  if (sorted.length === 0 || sorted.length > MAX_PATHS) {
    throw new PolicyError("GRANT", `grant: ${sorted.length} paths, expected 1 to ${MAX_PATHS}`);
  }
  const devices = require?.filter((device) => !/^[a-z]{1,12}[0-9]{1,2}$/.test(device)) ?? [];
  if (devices.length > 0) throw new PolicyError("GRANT", `grant: not a submodule such as gpu0: ${devices.join(", ")}`);
  return {
    tee,
    paths: sorted,
    ...(measurements ? { measurements: [...measurements] } : {}),
    ...(require ? { require: [...require] } : {}),
  };
}

/** What is registered to revoke: reference values cannot be deleted, and this grants nothing. */
export const REVOKED: readonly never[] = [];
