import { SealflowError } from "../../protocol/errors";

/**
 * Append only.
 * - UNREACHABLE: network, TLS, 5xx or 429 after every retry; try again later.
 * - DENIED: 401 or 403: no credentials, or not enough rights.
 * - NOT_FOUND: the registry has no such repository, manifest or blob.
 * - CONTENT: other bytes than the digest names, or a size that does not fit. Never use them.
 * - REFUSED: any other answer that says no; the message has the registry's own error code.
 * - CREDENTIALS: an auth file or a credential helper is broken.
 * - PLAIN_HTTP: would go over http to a host that is not this machine.
 * - IMAGE_FORM: not an image that can be used here.
 */
export type RegistryCode =
  | "UNREACHABLE"
  | "DENIED"
  | "NOT_FOUND"
  | "CONTENT"
  | "REFUSED"
  | "CREDENTIALS"
  | "PLAIN_HTTP"
  | "IMAGE_FORM";

/** Messages hold hosts, repositories, digests and the registry's own error codes; never credentials or upload URLs. */
export class RegistryError extends SealflowError<RegistryCode> {}
