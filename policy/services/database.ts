/**
 * PostgreSQL in the service's own namespace, by CloudNativePG: replication, failover, certificates and passwords are an
 * operator's work. Passwords are made in the cluster and are in no state of Pulumi.
 * Source of fields and Secrets: CloudNativePG 1.30, documentation of the API and "Connecting from an application".
 */
import { PolicyError } from "../errors";

/** Where the operator's pods are, as its chart names them. */
export const CNPG_NAMESPACE = "cnpg-system";
const OPERATOR = { "app.kubernetes.io/name": "cloudnative-pg" };
const POSTGRES = 5432;
/** The instance manager, which the operator asks for the state. */
const STATUS = 8000;

export interface DatabaseArgs {
  /** Service that uses it; its pods alone may connect. */
  readonly service: string;
  readonly namespace: string;
  /** PostgreSQL for CloudNativePG, `…@sha256:…`. */
  readonly image: string;
  /** 3 and more in production: with 2, one that is lost would stop every write. */
  readonly instances: number;
  readonly production: boolean;
  /** Of each instance, such as `10Gi`. */
  readonly size: string;
  /** Default: the cluster's. */
  readonly storageClass?: string;
  /** Whether a client without TLS is refused. */
  readonly tlsOnly: boolean;
  /** Namespace of the operator. Default: CNPG_NAMESPACE. */
  readonly operatorNamespace?: string;
}

export const databaseName = (service: string): string => `${service}-database`;

/** @returns the Cluster and who may reach it. @throws PolicyError SERVICE with every problem. */
export function databaseObjects(args: DatabaseArgs): { readonly cluster: object; readonly network: object } {
  const problems = problemsOf(args);
  if (problems.length > 0)
    throw new PolicyError("SERVICE", problems.map((text) => `cloudNativePg: ${text}`).join("; "));
  const { service, namespace, operatorNamespace = CNPG_NAMESPACE } = args;
  const labels = { "app.kubernetes.io/name": databaseName(service), "app.kubernetes.io/managed-by": "sealflow" };
  const metadata = { name: databaseName(service), namespace, labels };
  const instances = { matchLabels: { "cnpg.io/cluster": databaseName(service) } };
  const tcp = (...ports: number[]) => ports.map((port) => ({ protocol: "TCP", port }));
  return {
    cluster: {
      apiVersion: "postgresql.cnpg.io/v1",
      kind: "Cluster",
      // Services that start before it would only be started again.
      metadata: { ...metadata, annotations: { "pulumi.com/waitFor": "condition=Ready" } },
      spec: clusterSpec(args),
    },
    network: {
      metadata,
      spec: {
        podSelector: instances,
        policyTypes: ["Ingress"],
        ingress: [
          { from: [{ podSelector: { matchLabels: { "app.kubernetes.io/name": service } } }], ports: tcp(POSTGRES) },
          { from: [{ podSelector: instances }], ports: tcp(POSTGRES, STATUS) },
          {
            from: [
              {
                namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": operatorNamespace } },
                podSelector: { matchLabels: OPERATOR },
              },
            ],
            ports: tcp(POSTGRES, STATUS),
          },
        ],
      },
    },
  };
}

function clusterSpec({ service, image, instances, production, size, storageClass, tlsOnly }: DatabaseArgs): object {
  return {
    imageName: image,
    instances,
    bootstrap: { initdb: { database: service, owner: service } },
    enableSuperuserAccess: false,
    enablePDB: production,
    storage: { size, ...(storageClass === undefined ? {} : { storageClass }) },
    postgresql: {
      // A commit that was answered must survive the loss of any instance: a ledger that forgets would admit a run twice.
      ...(production ? { synchronous: { method: "any", number: 1, dataDurability: "required" } } : {}),
      ...(tlsOnly ? { pg_hba: ["hostnossl all all all reject"] } : {}),
    },
    affinity: { enablePodAntiAffinity: true, topologyKey: "kubernetes.io/hostname" },
    resources: { requests: { cpu: "250m", memory: "512Mi" }, limits: { memory: "512Mi" } },
  };
}

function problemsOf({ image, instances, production, size, service }: DatabaseArgs): string[] {
  return [
    ...(/^\S+@sha256:[0-9a-f]{64}$/.test(image) ? [] : [`image "${image}" is not pinned by digest; give …@sha256:…`]),
    ...(Number.isInteger(instances) && instances >= (production ? 3 : 1)
      ? []
      : [`instances is ${instances}; ${production ? "production needs 3 and more" : "give a whole number from 1"}`]),
    ...(/^[1-9][0-9]*(Mi|Gi|Ti)$/.test(size) ? [] : [`size "${size}" is no size of a volume; give one such as 10Gi`]),
    ...(/^[a-z][a-z0-9]*$/.test(service) ? [] : [`service "${service}" cannot name a database`]),
  ];
}

/** Variables of a database, by libpq's names, and where each is in a Secret. */
export const DATABASE_SECRETS = ["POSTGRES_URL", "PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD"] as const;
export type DatabaseVariable = (typeof DATABASE_SECRETS)[number];

export interface DatabaseAccess {
  /** Name of the Secret. */
  readonly secret: string;
  readonly keys: Readonly<Record<DatabaseVariable, string>>;
  /** Secret with the CA of its server under `ca.crt`. Default: none, the connection is as the URL says. */
  readonly ca?: string;
}

/** A Secret with what databaseSecrets gives. */
export const urlAccess = (secret: string): DatabaseAccess => ({
  secret,
  keys: Object.fromEntries(DATABASE_SECRETS.map((name) => [name, name])) as Record<DatabaseVariable, string>,
});

/** What the operator makes for the owner of a service's database. */
export const clusterAccess = (service: string): DatabaseAccess => ({
  secret: `${databaseName(service)}-app`,
  ca: `${databaseName(service)}-ca`,
  keys: {
    POSTGRES_URL: "uri",
    PGHOST: "host",
    PGPORT: "port",
    PGDATABASE: "dbname",
    PGUSER: "username",
    PGPASSWORD: "password",
  },
});

/** A PostgreSQL URL as libpq's variables. @throws PolicyError SERVICE, without the URL. */
export function databaseSecrets(url: string): Record<DatabaseVariable, string> {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    parsed = new URL("none:");
  }
  if (!/^postgres(ql)?:$/.test(parsed.protocol) || parsed.hostname === "" || parsed.pathname.length < 2) {
    throw new PolicyError("SERVICE", "database: not of the form postgres://user:password@host:port/database");
  }
  return {
    POSTGRES_URL: url,
    PGHOST: parsed.hostname,
    PGPORT: parsed.port || "5432",
    PGDATABASE: decodeURIComponent(parsed.pathname.slice(1)),
    PGUSER: decodeURIComponent(parsed.username),
    PGPASSWORD: decodeURIComponent(parsed.password),
  };
}
