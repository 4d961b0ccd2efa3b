import { SealflowError } from "../../protocol/errors";

/**
 * Append only. MANIFEST: not a Job that Sealflow rendered. IMAGE_MISSING: no OCI layout of that image. NAMESPACES: this
 * machine cannot make the namespaces that were asked for. UNSUPPORTED: what the simulation cannot do.
 */
export type NodeCode = "MANIFEST" | "IMAGE_MISSING" | "NAMESPACES" | "UNSUPPORTED";
export class NodeError extends SealflowError<NodeCode> {}
