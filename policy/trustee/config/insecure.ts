/** Combinations that Trustee accepts and that would hand out keys. */
import type { TrusteeConfig } from "./shape";

export type Purpose = "production" | "development";

const LOOPBACK = /^(127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\]):/;

/** @returns every problem: where, what, and what to do instead. */
export function insecurities(config: TrusteeConfig, purpose: Purpose): string[] {
  const local = config.http_server.sockets.length > 0 && config.http_server.sockets.every((s) => LOOPBACK.test(s));
  /** What may be open for tests: only on this machine, and only when it says so. */
  const open = purpose === "development" && local;
  return [
    ...transport(config, open),
    ...administration(config, open),
    ...tokens(config, open, purpose),
    ...storage(config, purpose),
    ...verifiers(config),
  ];
}

function transport({ http_server: http }: TrusteeConfig, open: boolean): string[] {
  const problems: string[] = [];
  if (http.sockets.length === 0) problems.push("http_server.sockets is empty, so nothing listens");
  if (http.insecure_http && !open) {
    problems.push(
      "http_server.insecure_http: keys and tokens would cross the network in the clear; give certificate and private_key",
    );
  }
  if (!http.insecure_http && !(http.private_key && http.certificate)) {
    problems.push("http_server: private_key and certificate are needed, because guests pin the broker's CA");
  }
  if ("tls_profile" in http && http.tls_profile === "old") {
    problems.push('http_server.tls_profile "old" allows broken ciphers; use "intermediate" or "modern"');
  }
  return problems;
}

function administration({ admin }: TrusteeConfig, open: boolean): string[] {
  const mode = "type" in admin ? admin.type : admin.authorization_mode;
  const at = "type" in admin ? "admin.type" : "admin.authorization_mode";
  if (mode === "InsecureAllowAll") {
    return open
      ? []
      : [`${at} InsecureAllowAll lets everybody who reaches the broker set policies; only for development on loopback`];
  }
  if (mode === "DenyAll") return [];
  if ("type" in admin) {
    return (admin.personas ?? []).length > 0 ? [] : ["admin.personas is empty, so nobody could set a policy"];
  }
  const problems: string[] = [];
  const providers = admin.authentication?.bearer_jwt.identity_providers ?? [];
  const acls = admin.authorization?.regex_acl.acls ?? [];
  if (providers.length === 0) problems.push("admin.authentication.bearer_jwt.identity_providers is missing");
  providers.forEach(({ public_key_uri, jwk_set_uri }, i) => {
    if (!public_key_uri === !jwk_set_uri) {
      problems.push(`admin.…identity_providers[${i}]: needs either public_key_uri or jwk_set_uri`);
    }
  });
  if (acls.length === 0) problems.push("admin.authorization.regex_acl.acls is missing, so no role may do anything");
  acls.forEach(({ allowed_endpoints }, i) => {
    const why = regexProblem(allowed_endpoints);
    if (why) problems.push(`admin.…acls[${i}].allowed_endpoints: ${why}`);
  });
  return problems;
}

/** An anchor inside an alternative (`^a|b$`) would leave the other side open. */
function regexProblem(regex: string): string | undefined {
  if (!regex.startsWith("^/kbs") || !regex.endsWith("$")) return "must start with ^/kbs and end with $";
  try {
    new RegExp(regex);
  } catch {
    return "is no regular expression";
  }
  let depth = 0;
  for (const c of regex.replace(/\\./g, "").replace(/\[[^\]]*\]/g, "")) {
    if (c === "(") depth++;
    if (c === ")") depth--;
    if (c === "|" && depth === 0) return "has an alternative outside of parentheses, which the anchors do not hold";
  }
  return undefined;
}

function tokens(
  { attestation_token: token, attestation_service: service }: TrusteeConfig,
  open: boolean,
  purpose: Purpose,
): string[] {
  const problems: string[] = [];
  const header =
    ("insecure_header_jwk" in token && token.insecure_header_jwk) || ("insecure_key" in token && token.insecure_key);
  if (header && !open) {
    problems.push(
      "attestation_token: trusting the key in a token's own header lets everybody sign tokens; set trusted_certs_paths",
    );
  }
  if (!header && (token.trusted_certs_paths ?? []).length === 0 && (token.trusted_jwk_sets ?? []).length === 0) {
    problems.push(
      "attestation_token.trusted_certs_paths is empty, so the broker could verify no token and would not start",
    );
  }
  const broker = service.attestation_token_broker;
  if (service.type === "coco_as_builtin" && purpose === "production" && !broker?.signer?.cert_path) {
    problems.push(
      "attestation_service.attestation_token_broker.signer: needs key_path and cert_path, else each start signs with a new key",
    );
  }
  if (broker?.verbose_token === false) {
    problems.push(
      "attestation_service.attestation_token_broker.verbose_token false removes the initdata claims that the resource policy needs; every release would be denied",
    );
  }
  if (service.type === "coco_as_grpc" && !service.as_addr) problems.push("attestation_service.as_addr is missing");
  return problems;
}

function storage(
  { storage_backend: backend, attestation_service: service, plugins }: TrusteeConfig,
  purpose: Purpose,
): string[] {
  const problems: string[] = [];
  const kinds: [string, string | undefined][] = [
    ["storage_backend.storage_type", backend?.storage_type ?? "Memory"],
    ["attestation_service.storage_type", service.storage_type],
    ["attestation_service.rvps_config.storage_type", service.rvps_config?.storage_type],
  ];
  for (const [at, kind] of kinds) {
    if (kind === "Memory" && purpose === "production") {
      problems.push(
        `${at} is Memory (the default): a restart would lose keys, grants and policies; use LocalFs or Postgres`,
      );
    }
    if (kind === "LocalJson")
      problems.push(`${at} LocalJson loses writes under parallel load; use LocalFs or Postgres`);
  }
  if (backend?.backends?.postgres?.password !== undefined) {
    problems.push(
      "storage_backend.backends.postgres.password: the file is no place for it; set POSTGRES_URL from a Secret",
    );
  }
  for (const { token, verify_ssl, vault_url, storage_backend_type } of plugins) {
    if (token !== undefined) problems.push("plugins.resource.token: the file is no place for a Vault token");
    if (storage_backend_type === "Vault" && verify_ssl !== true) {
      problems.push("plugins.resource.verify_ssl must be true: with the default nobody checks who answers for Vault");
    }
    if (vault_url?.startsWith("http:")) problems.push("plugins.resource.vault_url is plain HTTP");
  }
  if (!plugins.some(({ name }) => name === "resource"))
    problems.push("plugins: the resource plugin is missing, so no key could be kept");
  return problems;
}

function verifiers({ attestation_service: { verifier_config } }: TrusteeConfig): string[] {
  const local = verifier_config?.nvidia_verifier?.type === "Local";
  return local
    ? [
        "attestation_service.verifier_config.nvidia_verifier Local: the GPU policy takes claims of the Remote verifier only, so no GPU would be affirmed",
      ]
    : [];
}
