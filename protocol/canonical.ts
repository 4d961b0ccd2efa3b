import { createHash } from "node:crypto";
import canonicalize from "canonicalize";
import { utf8 } from "./bytes";

/** Canonical JSON, RFC 8785. @throws TypeError for what JSON cannot say (undefined, functions, NaN). */
export function jcs(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError("value has no JSON form");
  return text;
}

/** SHA-256 of the canonical JSON, lower-case hex. */
export const jcsDigest = (value: unknown): string =>
  createHash("sha256")
    .update(utf8(jcs(value)))
    .digest("hex");
