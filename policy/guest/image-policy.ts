/**
 * Which images a guest runs, by signature (containers-policy.json as image-rs reads it), and credentials for registries.
 * The agent policy pins each image by digest already; a signature says besides who made it.
 */
import { base64, utf8 } from "../../protocol/bytes";
import { PolicyError } from "../errors";

export interface SignedScope {
  /** Registry, repository or reference without tag. */
  readonly scope: string;
  /** `kbs:///repository/type/tag` of a cosign public key (PEM). */
  readonly keyUri: string;
}

/**
 * Everything that is not listed is rejected. Cosign signatures in the old layout (tag `sha256-<digest>.sig`), which is the
 * one that guests look for: sign with `--new-bundle-format=false --use-signing-config=false`.
 * @returns JSON text for a resource of the key broker. @throws PolicyError GUEST_CONFIG.
 */
export function imagePolicy(scopes: readonly SignedScope[]): string {
  const bad = scopes.filter(
    ({ scope, keyUri }) => !scope || /[\s"\\]/.test(scope) || !/^kbs:\/\/(\/[\w.-]+){3}$/.test(keyUri),
  );
  if (scopes.length === 0 || bad.length > 0) {
    const what = bad.map(({ scope }) => `"${scope}"`).join(", ") || "no scope, so nothing could run";
    throw new PolicyError("GUEST_CONFIG", `image policy: ${what}; expected a scope and a kbs:/// URI of its key`);
  }
  const docker = Object.fromEntries(
    [...scopes]
      .sort((a, b) => (a.scope < b.scope ? -1 : 1))
      .map(({ scope, keyUri }) => [
        scope,
        [{ type: "sigstoreSigned", keyPath: keyUri, signedIdentity: { type: "matchRepository" } }],
      ]),
  );
  return JSON.stringify({ default: [{ type: "reject" }], transports: { docker } });
}

export interface RegistryLogin {
  /** `host[:port][/path]`; the longest match wins. */
  readonly registry: string;
  readonly user: string;
  readonly password: string;
}

/** auth.json for a resource of the key broker: secret. @throws PolicyError GUEST_CONFIG, never with a password. */
export function registryCredentials(logins: readonly RegistryLogin[]): string {
  for (const { registry, user, password } of logins) {
    if (!/^[a-z0-9][a-z0-9.:/_-]*$/.test(registry) || !user || user.includes(":") || !password) {
      throw new PolicyError(
        "GUEST_CONFIG",
        `registry credentials of "${registry}": expected a registry in lower case, a user without colon, a password`,
      );
    }
  }
  const auths = logins.map(({ registry, user, password }) => [registry, { auth: base64(utf8(`${user}:${password}`)) }]);
  return JSON.stringify({ auths: Object.fromEntries(auths) });
}
