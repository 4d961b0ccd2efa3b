/** The keys of Trustee's configuration file, per version; nothing else is let through. Source: trustee kbs/docs/config.md. */
import { type Infer, integer, list, literal, object, optional, text } from "../../../protocol/shape";

const path = text({ max: 4096, pattern: /^[^\0\n]+$/, what: "a path" });
const url = text({ max: 2048, pattern: /^(https?|file):\/\/\S+$/, what: "a URL" });
const bool = literal(true, false);
const minutes = integer(1, 1440);
const storageType = literal("Memory", "LocalFs", "LocalJson", "Postgres", "Redis");

const http = {
  sockets: list(
    text({ max: 60, pattern: /^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-fA-F:]+\]):\d{1,5}$/, what: "an ip:port" }),
    16,
  ),
  insecure_http: optional(bool),
  private_key: optional(path),
  certificate: optional(path),
  /** MiB. */
  payload_request_size: optional(integer(1, 64)),
  worker_count: optional(integer(1, 1024)),
};
/** From 0.21. */
const httpServerTls = {
  tls_profile: optional(literal("old", "intermediate", "modern", "custom")),
  tls_min_version: optional(literal("1.2", "1.3")),
  tls_max_version: optional(literal("1.2", "1.3")),
};

const signer = object({ key_path: path, cert_path: optional(path), cert_url: optional(url) });
const broker = object({
  duration_min: optional(minutes),
  issuer_name: optional(text({ max: 200 })),
  developer_name: optional(text({ max: 200 })),
  build_name: optional(text({ max: 200 })),
  profile_name: optional(text({ max: 200 })),
  verbose_token: optional(bool),
  signer: optional(signer),
});
const verifiers = object({
  nvidia_verifier: optional(object({ type: literal("Local", "Remote"), verifier_url: optional(url) })),
  tpm_verifier: optional(
    object({ trusted_ak_keys_dir: optional(path), max_trusted_ak_keys: optional(integer(1, 10_000)) }),
  ),
  snp_verifier: optional(
    object({
      vcek_sources: list(
        object({ type: literal("KDS", "OfflineStore"), base_url: optional(url), path: optional(path) }),
        8,
      ),
    }),
  ),
  dcap_verifier: optional(object({ collateral_service: url, tcb_update_type: optional(literal("early", "standard")) })),
});
const attestationService = object({
  type: literal("coco_as_builtin", "coco_as_grpc"),
  timeout: optional(minutes),
  as_addr: optional(url),
  pool_size: optional(integer(1, 10_000)),
  rvps_config: optional(
    object({ type: literal("BuiltIn", "GrpcRemote"), address: optional(url), storage_type: optional(storageType) }),
  ),
  attestation_token_broker: optional(broker),
  verifier_config: optional(verifiers),
  storage_type: optional(storageType),
});

const storage = object({
  storage_type: optional(storageType),
  backends: optional(
    object({
      local_fs: optional(object({ dir_path: path })),
      local_json: optional(object({ file_dir_path: path })),
      postgres: optional(
        object({
          db: optional(text()),
          username: optional(text()),
          password: optional(text()),
          host: optional(text()),
          port: optional(integer(1, 65_535)),
        }),
      ),
      redis: optional(object({ url: optional(text()) })),
    }),
  ),
});

const plugin = object({
  name: literal("resource"),
  storage_backend_type: optional(literal("kvstorage", "Vault")),
  vault_url: optional(url),
  token: optional(text()),
  mount_path: optional(text()),
  verify_ssl: optional(bool),
  ca_certs: optional(list(path, 8)),
});

const trust = {
  trusted_jwk_sets: optional(list(text(), 16)),
  trusted_certs_paths: optional(list(path, 16)),
  extra_teekey_paths: optional(list(text(), 16)),
};

/** Up to 0.20 an admin is a persona: any EdDSA token of its key, whatever it says, may do everything. */
const admin20 = object({
  type: literal("Simple", "DenyAll", "InsecureAllowAll"),
  personas: optional(list(object({ id: text({ max: 200 }), public_key_path: path }), 16)),
});
const provider = object({
  issuer: optional(text({ max: 500 })),
  audience: optional(text({ max: 500 })),
  public_key_uri: optional(text()),
  jwk_set_uri: optional(text()),
});
const admin21 = object({
  authorization_mode: literal("InsecureAllowAll", "DenyAll", "AuthenticatedAuthorization"),
  authentication: optional(object({ bearer_jwt: object({ identity_providers: list(provider, 16) }) })),
  authorization: optional(
    object({
      regex_acl: object({
        acls: list(object({ role: text({ max: 200 }), allowed_endpoints: text({ max: 2000 }) }), 64),
      }),
    }),
  ),
});

const common = {
  session_storage_type: optional(storageType),
  attestation_service: attestationService,
  storage_backend: optional(storage),
  plugins: list(plugin, 1),
};

const config20 = object({
  ...common,
  http_server: object(http),
  attestation_token: object({ ...trust, insecure_key: optional(bool) }),
  admin: admin20,
});
const config21 = object({
  ...common,
  http_server: object({ ...http, ...httpServerTls }),
  attestation_token: object({ ...trust, insecure_header_jwk: optional(bool) }),
  admin: admin21,
});

export const CONFIG_SHAPES = { "0.20": config20, "0.21": config21, "0.22": config21 } as const;
export type TrusteeConfig20 = Infer<typeof config20>;
export type TrusteeConfig21 = Infer<typeof config21>;
export type TrusteeConfig = TrusteeConfig20 | TrusteeConfig21;
