import { SealflowError } from "../protocol/errors";

/**
 * Append only. INITDATA: text or annotation is not valid initdata. TOO_LARGE: over a size limit. AGENT_POLICY: not an
 * agent policy of this version. GUEST_CONFIG: a URL or certificate that cannot go into a guest's configuration.
 * GRANT: a grant that Trustee could not use. JOB: a value that Kubernetes would refuse. FIRMWARE: an OVMF file that
 * cannot be measured. REFERENCE_VALUES: values that Trustee could not use or that admit too much. STOCK_IMAGE: a guest
 * image that boots open without initdata, not acknowledged. TRUSTEE_CONFIG: unknown keys or insecure combinations.
 * PEER_PODS: a chart value that the adaptor would misread. RUNTIME: what would leave pods without a guest. SERVICE: a
 * deployment of the relying party that would lose keys, or show them.
 */
export type PolicyCode =
  | "INITDATA"
  | "TOO_LARGE"
  | "AGENT_POLICY"
  | "GUEST_CONFIG"
  | "GRANT"
  | "JOB"
  | "FIRMWARE"
  | "REFERENCE_VALUES"
  | "STOCK_IMAGE"
  | "TRUSTEE_CONFIG"
  | "PEER_PODS"
  | "RUNTIME"
  | "SERVICE";
export class PolicyError extends SealflowError<PolicyCode> {}
