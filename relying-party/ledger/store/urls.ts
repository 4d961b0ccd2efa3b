/** HMAC URLs of the embedded store: `<base>/objects/<name>?exp=<seconds>&op=<put|get>&sig=<HMAC-SHA256>`. */
import type { KeyObject } from "node:crypto";
import { base64url, fromBase64url, utf8 } from "../../../protocol/bytes";
import { equalBytes, hmacSha256 } from "../../../protocol/crypto";
import { LedgerError } from "../errors";

export type Operation = "put" | "get";

const mac = (key: KeyObject, operation: Operation, name: string, until: number): Uint8Array =>
  hmacSha256(key, utf8(`sealflow/v1|object-url|${operation}|${name}|${until}`));

export function signedUrl(key: KeyObject, base: string, operation: Operation, name: string, until: number): string {
  const sig = base64url(mac(key, operation, name, until));
  return `${base}/objects/${name}?exp=${until}&op=${operation}&sig=${sig}`;
}

/** @throws LedgerError FORBIDDEN when the URL was not made for this operation on this object, or is over. */
export function verifyUrl(key: KeyObject, url: URL, operation: Operation, name: string, now: number): void {
  const until = Number(url.searchParams.get("exp"));
  let given: Uint8Array;
  try {
    given = fromBase64url(url.searchParams.get("sig") ?? "");
  } catch {
    given = new Uint8Array(0);
  }
  const fits = url.searchParams.get("op") === operation && equalBytes(given, mac(key, operation, name, until));
  if (!fits) throw new LedgerError("FORBIDDEN", `object ${name}: the URL was not made for this; claim again`);
  if (until < now) throw new LedgerError("FORBIDDEN", `object ${name}: the URL expired at ${until}; claim again`);
}
