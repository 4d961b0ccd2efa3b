/** Configuration files for the Trustee key broker. */
import { stringify } from "smol-toml";
import { parse } from "../../../protocol/shape";
import { PolicyError } from "../../errors";
import { TRUSTEE_CONFIG_VERSIONS, type TrusteeConfigVersion } from "../../versions";
import { ADMIN_CLAIMS, ADMIN_ENDPOINTS, type AdminClaims } from "../admin";
import { insecurities, type Purpose } from "./insecure";
import { CONFIG_SHAPES, type TrusteeConfig } from "./shape";

export type { Purpose } from "./insecure";
export type { TrusteeConfig, TrusteeConfig20, TrusteeConfig21 } from "./shape";

/** Keys that another version has, or had; Trustee would skip them without a word. */
const RENAMED: Readonly<Record<string, string>> = {
  insecure_key: "is insecure_header_jwk from 0.21 on, and neither is needed",
  insecure_header_jwk: "came with 0.21",
  authorization_mode: "came with 0.21; before, it is admin.type",
  auth_public_key: "went away with 0.16; from 0.21 on it is admin.authentication",
  insecure_api: "went away with 0.16",
  personas: "went away with 0.21; it is admin.authentication and admin.authorization now",
  tls_profile: "came with 0.21",
};

/**
 * Checks a configuration as Trustee should: every key known to that version, nothing that would leave the broker open.
 * @throws PolicyError TRUSTEE_CONFIG with all problems.
 */
export function checkTrusteeConfig(version: TrusteeConfigVersion, input: unknown, purpose: Purpose): TrusteeConfig {
  if (!TRUSTEE_CONFIG_VERSIONS.includes(version)) {
    throw new PolicyError(
      "TRUSTEE_CONFIG",
      `Trustee ${version}: no configuration for it; there is ${TRUSTEE_CONFIG_VERSIONS.join(", ")}`,
    );
  }
  let config: TrusteeConfig;
  try {
    config = parse<TrusteeConfig>(CONFIG_SHAPES[version], input, "config");
  } catch (cause) {
    const message = (cause as Error).message;
    const hints = Object.entries(RENAMED).filter(([key]) => message.includes(`unknown field "${key}"`));
    const said = hints.map(([key, why]) => `${key} ${why}`).join("; ");
    throw new PolicyError("TRUSTEE_CONFIG", `Trustee ${version}: ${message}${said ? ` (${said})` : ""}`, { cause });
  }
  const problems = insecurities(config, purpose);
  if (problems.length > 0) throw new PolicyError("TRUSTEE_CONFIG", `Trustee ${version}: ${problems.join("; ")}`);
  return config;
}

/** @returns TOML, the same bytes for the same input. @throws PolicyError TRUSTEE_CONFIG. */
export function trusteeToml(version: TrusteeConfigVersion, input: unknown, purpose: Purpose): string {
  return `${stringify(ordered(checkTrusteeConfig(version, input, purpose)))}\n`.replace(/\n+$/, "\n");
}

/** Keys sorted, plain values before tables, as TOML needs them and a diff likes them. */
function ordered<T>(value: T): T {
  if (Array.isArray(value)) return value.map(ordered) as T;
  if (typeof value !== "object" || value === null) return value;
  const table = (v: unknown): number => (typeof v === "object" && v !== null ? 1 : 0);
  const entries = Object.entries(value).sort(([a, x], [b, y]) => table(x) - table(y) || (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, ordered(inner)])) as T;
}

export interface BrokerConfigArgs {
  readonly version: TrusteeConfigVersion;
  /** `ip:port` list; default all addresses, port 8080. */
  readonly sockets?: readonly string[];
  /** PEM files on the server. */
  readonly tls: { readonly privateKey: string; readonly certificate: string };
  /** Key and certificate that sign attestation tokens; the certificate's root is trusted back. */
  readonly tokenSigner: { readonly key: string; readonly certificate: string; readonly trustedRoot: string };
  /** PEM of the administrator's public key, on the server. */
  readonly adminPublicKey: string;
  /** Checked in admin tokens from 0.21 on. Default: what the provider puts into them. */
  readonly admin?: Partial<AdminClaims>;
  readonly storage: { readonly type: "LocalFs"; readonly path: string } | { readonly type: "Postgres" };
  /** Where Intel's collateral comes from, for TDX. */
  readonly dcapCollateral?: string;
  /** NVIDIA's remote service appraises GPUs. */
  readonly gpu?: boolean;
}

/** A configuration for production with safe choices everywhere. @throws PolicyError TRUSTEE_CONFIG. */
export function brokerConfig(args: BrokerConfigArgs): string {
  const { version, sockets = ["0.0.0.0:8080"], tls, tokenSigner, storage, dcapCollateral, gpu } = args;
  const admin = { ...ADMIN_CLAIMS, ...args.admin };
  const keyUri = `file://${args.adminPublicKey}`;
  const adminTable =
    version === "0.20"
      ? { type: "Simple", personas: [{ id: admin.role, public_key_path: args.adminPublicKey }] }
      : {
          authorization_mode: "AuthenticatedAuthorization",
          authentication: {
            bearer_jwt: {
              identity_providers: [{ issuer: admin.issuer, audience: admin.audience, public_key_uri: keyUri }],
            },
          },
          authorization: { regex_acl: { acls: [{ role: admin.role, allowed_endpoints: ADMIN_ENDPOINTS }] } },
        };
  const verifier = {
    ...(dcapCollateral ? { dcap_verifier: { collateral_service: dcapCollateral } } : {}),
    ...(gpu ? { nvidia_verifier: { type: "Remote" } } : {}),
  };
  const config = {
    http_server: { sockets: [...sockets], private_key: tls.privateKey, certificate: tls.certificate },
    attestation_token: { trusted_certs_paths: [tokenSigner.trustedRoot] },
    attestation_service: {
      type: "coco_as_builtin",
      rvps_config: { type: "BuiltIn" },
      attestation_token_broker: { signer: { key_path: tokenSigner.key, cert_path: tokenSigner.certificate } },
      ...(Object.keys(verifier).length > 0 ? { verifier_config: verifier } : {}),
    },
    storage_backend: {
      storage_type: storage.type,
      ...(storage.type === "LocalFs" ? { backends: { local_fs: { dir_path: storage.path } } } : {}),
    },
    admin: adminTable,
    plugins: [{ name: "resource", storage_backend_type: "kvstorage" }],
  };
  return trusteeToml(version, config, "production");
}
