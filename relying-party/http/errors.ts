import { SealflowError } from "../../protocol/errors";

/**
 * Append only. UNREACHABLE: nobody answers there; retry. TIMEOUT: no answer in time; retry. TLS: the peer is not the
 * one whose CA is pinned; never retry. TOO_LARGE: the answer exceeds the limit. URL: not an https URL, or one that a
 * ledger may not name. BODY: an answer that should be JSON is not. ROUTES: a route of this machine cannot be used.
 */
export type HttpCode = "UNREACHABLE" | "TIMEOUT" | "TLS" | "TOO_LARGE" | "URL" | "BODY" | "ROUTES";
export class HttpError extends SealflowError<HttpCode> {}
