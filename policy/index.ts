/** Everything that the identity of a step rests on, from public facts only. */
import { jcsDigest } from "../protocol/canonical";
import type { Tee } from "../protocol/rcar";
import { agentPolicyText, agentRules, policyDataOf } from "./agent/text";
import { PolicyError } from "./errors";
import { type GuestConfigArgs, guestConfig } from "./guest-config";
import { checkBudget, INITDATA_BUDGETS, type InitdataBudget } from "./initdata/budget";
import { algorithmOf, annotationOf, identityOf, renderInitdata } from "./initdata/document";

export { fillDefaults } from "./agent/defaults";
export { type AgentPolicy, type Decision, loadAgentPolicy } from "./agent/evaluate";
export {
  containerRequest,
  type ManifestRequests,
  manifestRequests,
  type PodContainer,
  type PodIdentity,
  type PodManifest,
  type PodRequests,
  podRequests,
} from "./agent/requests";
export {
  agentPolicyText,
  CONTAINER_NAME,
  dataOfPolicyText,
  RUNNER_ARGV,
  RUNNER_CAPABILITIES,
  SCRATCH_PATHS,
} from "./agent/text";
export { type PolicyCode, PolicyError } from "./errors";
export { imagePolicy, type RegistryLogin, registryCredentials, type SignedScope } from "./guest/image-policy";
export type { ImageSettings, RegistryMirror } from "./guest/image-settings";
export {
  type Blob,
  checkImageSignature,
  cosignPublicKey,
  type ImageSignature,
  type SignedImage,
  signatureTag,
  signedTexts,
  signImage,
} from "./guest/image-signature";
export { openSealedSecret, type SealedSecretArgs, sealingJwk, sealSecret } from "./guest/sealed-secret";
export { type GuestBuild, guestBuild, guestPaths } from "./guest/settings";
export { type GuestConfigArgs, guestConfig } from "./guest-config";
export { checkBudget, INITDATA_BUDGETS, type InitdataBudget } from "./initdata/budget";
export { initdataClaims } from "./initdata/claims";
export {
  algorithmOf,
  INITDATA_ANNOTATION,
  type Initdata,
  identityOf,
  initdataDigest,
  parseInitdata,
  parseInitdataAnnotation,
  renderInitdata,
  reportedInitdata,
} from "./initdata/document";
export { type InitdataView, initdataDiff, initdataIn, viewInitdata } from "./initdata/inspect";
export { boundedName, type JobArgs, jobName, type KubernetesContainer, type KubernetesJob, renderJob } from "./job";
export * from "./peer-pods";
export * from "./reference-values";
export * from "./trustee/admin";
export * from "./trustee/config";
export {
  attestationPolicy,
  CPU_POLICY_ID,
  GPU_POLICY_ID,
  GRANT_CLAIM,
  type GrantArgs,
  type GrantValue,
  gpuPolicy,
  grantId,
  grantValue,
  POLICY_SLOTS,
  type PolicyMode,
  type PolicySlot,
  policyIn,
  REVOKED,
  resourcePolicy,
  TRUSTEE_POLICIES,
  type TrusteePolicy,
  type TrusteePolicyName,
  trusteePolicy,
} from "./trustee/index";
export { TRUSTEE_CONFIG_VERSIONS, type TrusteeConfigVersion, VERSIONS } from "./versions";

export interface StepGuestArgs extends GuestConfigArgs {
  readonly tee: Tee;
  /** `<host>/<name>@sha256:<digest>`. */
  readonly imageReference: string;
  /** `<ns>/step/<programId>`. */
  readonly resource: string;
  /** Allows logs and exec in the guest; refused for every TEE but `sample`. */
  readonly debug?: boolean;
  /** What carries initdata to the guest; default a pod annotation alone. */
  readonly budget?: InitdataBudget;
}

export interface StepGuest {
  /** TOML text. */
  readonly initdata: string;
  /** Initdata digest as the platform reports it, lower-case hex. */
  readonly identity: string;
  /** gzip, base64: the pod annotation. */
  readonly annotation: string;
}

/** The guest of one step. Deterministic. @throws PolicyError. */
export function stepGuest(args: StepGuestArgs): StepGuest {
  const { tee, imageReference, resource, debug = false, budget = INITDATA_BUDGETS.kubernetes } = args;
  if (debug && tee !== "sample") {
    throw new PolicyError(
      "AGENT_POLICY",
      `debug: logs and exec would open guests of ${tee}; only the simulated platform has it`,
    );
  }
  const { aa, cdh } = guestConfig(args);
  const algorithm = algorithmOf(tee);
  const policy = agentPolicyText({ imageReference, resource, debug });
  const initdata = renderInitdata({ algorithm, data: { "aa.toml": aa, "cdh.toml": cdh, "policy.rego": policy } });
  const annotation = annotationOf(initdata);
  checkBudget(initdata, annotation, budget);
  return { initdata, identity: identityOf(tee, initdata, algorithm), annotation };
}

const ANY_IMAGE = `image.invalid/any@sha256:${"0".repeat(64)}`;
const ANY_RESOURCE = "any/step/any";

/**
 * Digest of everything in a step's initdata that is not its own: policy rules and constants, aa.toml, cdh.toml. Part of
 * programId, so a guest of other rules or of another KBS is another program.
 */
export function guestDigest(args: GuestConfigArgs & { readonly debug?: boolean }): string {
  const { aa, cdh } = guestConfig(args);
  const { debug = false } = args;
  return jcsDigest({
    v: 1,
    aa,
    cdh,
    rules: agentRules(),
    data: policyDataOf({ imageReference: ANY_IMAGE, resource: ANY_RESOURCE, ...(debug ? { debug } : {}) }),
  });
}
