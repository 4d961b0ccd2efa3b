import { parse } from "smol-toml";
import { ADMIN_ENDPOINTS, type BrokerConfigArgs, brokerConfig, checkTrusteeConfig, trusteeToml } from "../../policy";
import { TRUSTEE_CONFIG_VERSIONS, VERSIONS } from "../../policy/versions";

const ARGS: Omit<BrokerConfigArgs, "version"> = {
  tls: { privateKey: "/etc/kbs/tls.key", certificate: "/etc/kbs/tls.crt" },
  tokenSigner: { key: "/etc/kbs/token.key", certificate: "/etc/kbs/token.crt", trustedRoot: "/etc/kbs/root.crt" },
  adminPublicKey: "/etc/kbs/admin.pem",
  storage: { type: "LocalFs", path: "/var/lib/kbs" },
  dcapCollateral: "https://api.trustedservices.intel.com/sgx/certification/v4/",
};
// biome-ignore lint/suspicious/noExplicitAny: edited at any depth.
type Config = any;
const good = (version: (typeof TRUSTEE_CONFIG_VERSIONS)[number] = "0.22"): Config =>
  parse(brokerConfig({ version, ...ARGS }));
const check =
  (config: Config, purpose: "production" | "development" = "production") =>
  () =>
    checkTrusteeConfig("0.22", config, purpose);

describe.each(TRUSTEE_CONFIG_VERSIONS)("Trustee %s", (version) => {
  it("a broker's configuration passes its own check, and renders to the same bytes", () => {
    const toml = brokerConfig({ version, ...ARGS });
    expect(trusteeToml(version, parse(toml), "production")).toBe(toml);
  });

  it("has the admin section of its version", () => {
    const { admin } = good(version);
    if (version === "0.20")
      expect(admin).toEqual({ type: "Simple", personas: [{ id: "sealflow", public_key_path: "/etc/kbs/admin.pem" }] });
    else expect(admin).toMatchObject({ authorization_mode: "AuthenticatedAuthorization" });
  });

  it.each([
    [
      "at the top",
      (c: Config) => {
        c.listen = true;
      },
      'unknown field "listen"',
    ],
    [
      "misspelt in http_server",
      (c: Config) => {
        c.http_server.privat_key = "/x";
      },
      'unknown field "privat_key"',
    ],
    [
      "of an old plugin",
      (c: Config) => {
        c.plugins[0].type = "LocalFs";
      },
      'unknown field "type"',
    ],
    [
      "in the verifier",
      (c: Config) => {
        c.attestation_service.verifier_config.dcap_verifier.url = "x";
      },
      'unknown field "url"',
    ],
    [
      "of admin before 0.16",
      (c: Config) => {
        c.admin.auth_public_key = "/x";
      },
      "auth_public_key went away with 0.16",
    ],
  ])("an unknown key %s is refused, which Trustee would ignore", (_where, edit, message) => {
    const config = good(version);
    edit(config);
    expect(() => checkTrusteeConfig(version, config, "production")).toThrow(message);
  });
});

it("a key of another version is refused with when it came or went", () => {
  const config20 = good("0.20");
  config20.attestation_token.insecure_header_jwk = true;
  expect(() => checkTrusteeConfig("0.20", config20, "production")).toThrow("insecure_header_jwk came with 0.21");
  const config = good();
  config.attestation_token.insecure_key = true;
  expect(check(config)).toThrow("is insecure_header_jwk from 0.21");
  expect(() => checkTrusteeConfig("0.19" as never, config, "production")).toThrow("0.20, 0.21, 0.22");
});

describe("an insecure combination is refused:", () => {
  it.each<[string, (c: Config) => void, string]>([
    [
      "everybody is admin",
      (c) => {
        c.admin = { authorization_mode: "InsecureAllowAll" };
      },
      "lets everybody",
    ],
    [
      "plain HTTP",
      (c) => {
        c.http_server.insecure_http = true;
      },
      "in the clear",
    ],
    [
      "no certificate",
      (c) => {
        delete c.http_server.certificate;
      },
      "guests pin",
    ],
    [
      "old TLS",
      (c) => {
        c.http_server.tls_profile = "old";
      },
      "broken ciphers",
    ],
    [
      "no socket",
      (c) => {
        c.http_server.sockets = [];
      },
      "nothing listens",
    ],
    [
      "a host name as socket",
      (c) => {
        c.http_server.sockets = ["kbs:8080"];
      },
      "an ip:port",
    ],
    [
      "memory storage",
      (c) => {
        c.storage_backend = { storage_type: "Memory" };
      },
      "would lose keys",
    ],
    [
      "storage left to the default",
      (c) => {
        delete c.storage_backend;
      },
      "would lose keys",
    ],
    [
      "reference values in memory",
      (c) => {
        c.attestation_service.rvps_config.storage_type = "Memory";
      },
      "rvps_config.storage_type is Memory",
    ],
    [
      "LocalJson",
      (c) => {
        c.storage_backend = { storage_type: "LocalJson" };
      },
      "loses writes",
    ],
    [
      "tokens signed by anybody",
      (c) => {
        c.attestation_token.insecure_header_jwk = true;
      },
      "lets everybody sign",
    ],
    [
      "no trusted certificate",
      (c) => {
        c.attestation_token = {};
      },
      "verify no token",
    ],
    [
      "a token key that changes",
      (c) => {
        delete c.attestation_service.attestation_token_broker;
      },
      "each start signs",
    ],
    [
      "tokens without evidence",
      (c) => {
        c.attestation_service.attestation_token_broker.verbose_token = false;
      },
      "every release would be denied",
    ],
    [
      "a password in the file",
      (c) => {
        c.storage_backend = { storage_type: "Postgres", backends: { postgres: { password: "x" } } };
      },
      "POSTGRES_URL",
    ],
    [
      "Vault unchecked",
      (c) => {
        c.plugins = [{ name: "resource", storage_backend_type: "Vault", vault_url: "https://vault" }];
      },
      "nobody checks",
    ],
    [
      "no place for keys",
      (c) => {
        c.plugins = [];
      },
      "resource plugin is missing",
    ],
    [
      "GPU claims verified locally",
      (c) => {
        c.attestation_service.verifier_config.nvidia_verifier = { type: "Local" };
      },
      "no GPU would be affirmed",
    ],
    [
      "an open ACL",
      (c) => {
        c.admin.authorization.regex_acl.acls[0].allowed_endpoints = "^/kbs/v0/resource/a$|.*$";
      },
      "outside of parentheses",
    ],
    [
      "an ACL without anchors",
      (c) => {
        c.admin.authorization.regex_acl.acls[0].allowed_endpoints = "/kbs/.*";
      },
      "must start with ^/kbs",
    ],
    [
      "no identity provider",
      (c) => {
        delete c.admin.authentication;
      },
      "identity_providers is missing",
    ],
    [
      "a provider without key",
      (c) => {
        delete c.admin.authentication.bearer_jwt.identity_providers[0].public_key_uri;
      },
      "needs either",
    ],
  ])("%s", (_what, edit, message) => {
    const config = good();
    edit(config);
    expect(check(config)).toThrow(message);
    // What is not about a purpose is refused for development too, as long as others can reach it.
    if (!/Memory|lose keys|signs/.test(message)) expect(check(config, "development")).toThrow(message);
  });

  it("all at once", () => {
    const config = good();
    config.http_server.insecure_http = true;
    config.storage_backend = { storage_type: "Memory" };
    expect(check(config)).toThrow(/in the clear.*would lose keys/);
  });
});

it("a development broker on loopback may be open", () => {
  const config = good();
  config.http_server = { sockets: ["127.0.0.1:8080", "[::1]:8080"], insecure_http: true };
  config.admin = { authorization_mode: "InsecureAllowAll" };
  config.attestation_token = { insecure_header_jwk: true };
  config.storage_backend = { storage_type: "Memory" };
  expect(check(config, "development")).not.toThrow();
  expect(check(config)).toThrow("lets everybody");
  config.http_server.sockets.push("0.0.0.0:8080");
  expect(check(config, "development")).toThrow("lets everybody");
});

it("the admin's endpoints are those that are called, and no others", () => {
  const allowed = new RegExp(ADMIN_ENDPOINTS);
  for (const path of [
    "resource/a/b/c",
    "resource-policy",
    "attestation-policy",
    "reference-value",
    "reference-value/sealflow.snp.measurement",
    "resource",
  ]) {
    expect(allowed.test(`/kbs/v0/${path}`)).toBe(true);
  }
  for (const path of ["/kbs/v0/pkcs11/x", "/kbs/v0/attest", "/x/kbs/v0/resource-policy", "/kbs/v0/resource-policyx"]) {
    expect(allowed.test(path)).toBe(false);
  }
});

it("the configuration's newest version is the Trustee that is pinned", () => {
  expect(VERSIONS.trustee.startsWith(`${TRUSTEE_CONFIG_VERSIONS.at(-1)}.`)).toBe(true);
});
