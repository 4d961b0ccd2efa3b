/**
 * What a service reads at its start only rolls its pods when it changes, by an annotation of the pod template. The
 * annotation is public, so it is keyed: nobody without the key can try passwords against it.
 */
import { hex, utf8 } from "../../protocol/bytes";
import { jcs } from "../../protocol/canonical";
import { hkdf, hmacSha256 } from "../../protocol/crypto";

/**
 * @param key secret that cannot be guessed, one of the service's own; another one is another digest.
 * @param files what is read at the start, by name.
 * @returns 32 hex digits.
 */
export function startDigest(key: string, files: Readonly<Record<string, string>>): string {
  const own = hkdf(utf8(key), new Uint8Array(), "sealflow/v1|service-start");
  return hex(hmacSha256(own, utf8(jcs(files)))).slice(0, 32);
}
