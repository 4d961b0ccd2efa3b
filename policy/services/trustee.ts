/**
 * Trustee's key broker with attestation service and reference values in the same process. All state is in PostgreSQL, so
 * each replica is all three, and no unauthenticated connection between them exists that could set policies.
 */
import { PolicyError } from "../errors";
import { brokerConfig } from "../trustee/config";
import { type TrusteeConfigVersion, VERSIONS } from "../versions";
import { DATABASE_SECRETS, type DatabaseAccess } from "./database";
import { reloading } from "./reload";
import { fromSecret, type InitContainer, type PartOfService, secretsVolume, serviceObjects } from "./service";
import { TLS_SECRETS } from "./tls";

export const TRUSTEE_PORT = 8080;
const CONFIG = "/etc/kbs";
const SECRETS = "/run/trustee";
const OWN_SECRETS = ["token.key", "token.crt", "token-root.crt", "admin.pem"] as const;
/** Keys of the Secret with the broker's files. */
export const TRUSTEE_SECRETS = [...TLS_SECRETS, ...OWN_SECRETS] as const;
/** One for each namespace of its storage. Source: trustee deps/key-value-storage/src/postgres/set-up.sql. */
const TABLES = ["kbs", "repository", "kbs_protocol_session", "attestation_service_policy", "reference_value"];
/** Replicas that start at once would make the same table; the number is any that nobody else uses. */
const SQL = `SELECT pg_advisory_lock(7368666); ${TABLES.map((t) => `CREATE TABLE IF NOT EXISTS ${t} (key TEXT PRIMARY KEY, value BYTEA)`).join("; ")};`;

export interface TrusteeServiceArgs {
  readonly name: string;
  readonly namespace: string;
  /** `…@sha256:…` in production. */
  readonly image: string;
  /** With psql, to make the tables: `…@sha256:…`. */
  readonly databaseImage?: string;
  readonly replicas: number;
  readonly production: boolean;
  /** Names of Secrets: files of the broker; certificate and key, where the files have none; and where its database is. */
  readonly secrets: { readonly files: string; readonly tls?: string; readonly database?: DatabaseAccess };
  readonly dcapCollateral?: string;
  /** See ServiceSpec. */
  readonly start?: unknown;
}

export interface TrusteeService {
  /** For the ConfigMap `<name>-config`. */
  readonly config: string;
  readonly objects: Readonly<Record<PartOfService, object>>;
}

const DIGEST = /^\S+@sha256:[0-9a-f]{64}$/;

/** @throws PolicyError SERVICE with every problem; TRUSTEE_CONFIG. */
export function trusteeService(args: TrusteeServiceArgs): TrusteeService {
  const problems = problemsOf(args);
  if (problems.length > 0) throw new PolicyError("SERVICE", `Trustee "${args.name}": ${problems.join("; ")}`);
  const { name, namespace, image, replicas, secrets, dcapCollateral } = args;
  const version = VERSIONS.trustee.split(".").slice(0, 2).join(".") as TrusteeConfigVersion;
  const file = (key: (typeof TRUSTEE_SECRETS)[number]) => `${SECRETS}/${key}`;
  const config = brokerConfig({
    version,
    sockets: [`0.0.0.0:${TRUSTEE_PORT}`],
    tls: { privateKey: file("tls.key"), certificate: file("tls.crt") },
    tokenSigner: { key: file("token.key"), certificate: file("token.crt"), trustedRoot: file("token-root.crt") },
    adminPublicKey: file("admin.pem"),
    storage: secrets.database
      ? { type: "Postgres" }
      : { type: "LocalFs", path: "/opt/confidential-containers/storage" },
    ...(dcapCollateral === undefined ? {} : { dcapCollateral }),
  });
  const { database, tls } = secrets;
  const objects = serviceObjects({
    name,
    namespace,
    image,
    replicas,
    port: TRUSTEE_PORT,
    command: reloading(file("tls.crt"), ["/usr/local/bin/kbs", "--config-file", `${CONFIG}/kbs.toml`]),
    env: [
      // At "info" its storage writes the database's URL into the log, password included.
      { name: "RUST_LOG", value: "info,key_value_storage=warn" },
      ...(database ? [fromSecret("POSTGRES_URL", database.secret, database.keys.POSTGRES_URL)] : []),
    ],
    probes: { live: "/healthz", ready: "/healthz" },
    files: [
      { path: CONFIG, volume: { configMap: { name: `${name}-config` } } },
      {
        path: SECRETS,
        volume: tls
          ? secretsVolume({ name: tls, items: TLS_SECRETS }, { name: secrets.files, items: OWN_SECRETS })
          : secretsVolume({ name: secrets.files, items: TRUSTEE_SECRETS }),
      },
    ],
    // Its default folders; with a database nothing of them has to stay.
    scratch: ["/opt/confidential-containers", "/tmp"],
    ...(database ? { initContainers: [tables(args.databaseImage ?? "", database)] } : {}),
    resources: { cpu: "250m", memory: "512Mi" },
    config,
    start: args.start,
  });
  return { config, objects };
}

/** The password is in psql's environment, never among its arguments. */
const tables = (image: string, { secret, keys }: DatabaseAccess): InitContainer => ({
  name: "tables",
  image,
  command: ["psql", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--command", SQL],
  env: DATABASE_SECRETS.filter((name) => name !== "POSTGRES_URL").map((name) => fromSecret(name, secret, keys[name])),
});

function problemsOf({ image, databaseImage, replicas, production, secrets }: TrusteeServiceArgs): string[] {
  const pinned = (argument: string, reference: string | undefined) =>
    reference !== undefined && DIGEST.test(reference)
      ? []
      : [`${argument} "${reference ?? ""}" is not pinned by digest; give …@sha256:…`];
  return [
    ...(production && secrets.database === undefined
      ? ["database: without PostgreSQL a restart loses keys, grants and policies; give its URL"]
      : []),
    ...(production && replicas < 2 ? [`replicas is ${replicas}; production needs 2 and more`] : []),
    ...(!production && secrets.database === undefined && replicas !== 1
      ? [`replicas is ${replicas}, but without a database only one can keep the state; leave it out`]
      : []),
    ...(production ? pinned("image", image) : []),
    ...(secrets.database !== undefined ? pinned("databaseImage", databaseImage) : []),
  ];
}
