import { SealflowError } from "../protocol/errors";

/**
 * Append only. INITDATA: text or annotation is not valid initdata. TOO_LARGE: over a size limit. AGENT_POLICY: not an
 * agent policy of this version. GUEST_CONFIG: a URL or certificate that cannot go into a guest's configuration.
 * GRANT: a grant that Trustee could not use. JOB: a value that Kubernetes would refuse.
 */
export type PolicyCode = "INITDATA" | "TOO_LARGE" | "AGENT_POLICY" | "GUEST_CONFIG" | "GRANT" | "JOB";
export class PolicyError extends SealflowError<PolicyCode> {}
