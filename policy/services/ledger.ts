/** The run ledger as a service. Replicas share PostgreSQL and keys; objects lie where all of them reach. */
import { PolicyError } from "../errors";
import type { DatabaseAccess } from "./database";
import { type PartOfService, type ServiceIdentity, secretsVolume, serviceObjects } from "./service";
import { TLS_SECRETS } from "./tls";

export const LEDGER_PORT = 8443;
const SECRETS = "/run/ledger/secrets";
const OBJECTS = "/var/lib/ledger/objects";
const KEYS = ["ledger.key", "object-url.key"] as const;
const DATABASE_URL = "database-url";
/** Only what it signed is believed of a database's server, when it is there. */
const DATABASE_CA = "database-ca.crt";
export const LEDGER_SECRETS = [...TLS_SECRETS, ...KEYS, DATABASE_URL] as const;
/** Entry of the image that ServiceImage makes. */
const ENTRY = ["/sealflow/lib/ld.so", "--library-path", "/sealflow/lib", "/sealflow/bin/node", "/sealflow/ledger.js"];

/** Key of the Secret with credentials for a store that gives none to identities: a shared credentials file of AWS. */
export const STORE_CREDENTIALS = "store-credentials";

/** How the ledger signs in to its store: the ARN of a role on EKS, or the client id of a managed identity on AKS. */
export type LedgerIdentity = { readonly awsRoleArn: string } | { readonly azureClientId: string };

export interface LedgerServiceArgs {
  readonly name: string;
  readonly namespace: string;
  /** `…@sha256:…` */
  readonly image: string;
  readonly replicas: number;
  readonly production: boolean;
  /** Name of the Secret with LEDGER_SECRETS. */
  readonly secret: string;
  /** Name of the Secret with TLS_SECRETS, where `secret` has none of them. */
  readonly tls?: string;
  /** Where the database's URL is, when `secret` has none. */
  readonly database?: DatabaseAccess;
  /** As guests reach it. */
  readonly publicUrl: string;
  /** Claim of a volume for objects that every replica may write (ReadWriteMany). */
  readonly objectsClaim?: string;
  /** Object store instead, as the ledger takes it: `s3://…` or `https://<account>.blob…`. */
  readonly storeUrl?: string;
  readonly identity?: LedgerIdentity;
  /** Whether the Secret has STORE_CREDENTIALS. */
  readonly storeCredentials?: boolean;
  /** See ServiceSpec. */
  readonly start?: unknown;
}

/** @throws PolicyError SERVICE with every problem. */
export function ledgerService(args: LedgerServiceArgs): Readonly<Record<PartOfService, object>> {
  const { name, namespace, image, replicas, publicUrl, storeUrl, identity, storeCredentials = false } = args;
  const problems = problemsOf(args);
  if (problems.length > 0) throw new PolicyError("SERVICE", `RunLedger "${name}": ${problems.join("; ")}`);
  return serviceObjects({
    name,
    namespace,
    image,
    replicas,
    port: LEDGER_PORT,
    command: ENTRY,
    env: [
      { name: "SEALFLOW_LEDGER_SECRETS", value: SECRETS },
      { name: "SEALFLOW_LEDGER_STATE", value: "/run/ledger/state" },
      storeUrl === undefined
        ? { name: "SEALFLOW_LEDGER_OBJECTS", value: OBJECTS }
        : { name: "SEALFLOW_LEDGER_STORE", value: storeUrl },
      { name: "SEALFLOW_LEDGER_URL", value: publicUrl },
      { name: "SEALFLOW_LEDGER_PORT", value: String(LEDGER_PORT) },
      ...(storeCredentials ? [{ name: "AWS_SHARED_CREDENTIALS_FILE", value: `${SECRETS}/${STORE_CREDENTIALS}` }] : []),
    ],
    probes: { live: "/healthz", ready: "/readyz" },
    files: [{ path: SECRETS, volume: secretsOf(args) }],
    scratch: ["/run/ledger/state", "/tmp"],
    ...(storeUrl === undefined ? { writable: [{ path: OBJECTS, volume: volumeOf(args) }] } : {}),
    ...(identity === undefined ? {} : { identity: identityOf(identity) }),
    resources: { cpu: "250m", memory: "512Mi" },
    config: { publicUrl, ...(storeUrl === undefined ? {} : { storeUrl }) },
    start: args.start,
  });
}

function problemsOf(args: LedgerServiceArgs): string[] {
  const { image, replicas, production, publicUrl, objectsClaim, storeUrl, identity, storeCredentials = false } = args;
  const elsewhere = storeUrl !== undefined;
  return [
    ...(/^\S+@sha256:[0-9a-f]{64}$/.test(image) ? [] : [`image "${image}" is not pinned by digest; give …@sha256:…`]),
    ...(production && replicas < 2 ? [`replicas is ${replicas}; production needs 2 and more`] : []),
    ...(/^https:\/\/[^\s/]+$/.test(publicUrl) ? [] : [`publicUrl "${publicUrl}" is not https://host[:port]`]),
    ...(objectsClaim === undefined && replicas > 1 && !elsewhere
      ? [
          "objectsClaim: replicas need a volume that all of them write (ReadWriteMany), or a storage with a URL; give one",
        ]
      : []),
    ...(elsewhere && objectsClaim !== undefined ? ["objectsClaim: objects go to the storage; remove it"] : []),
    ...(!elsewhere && (identity !== undefined || storeCredentials)
      ? ["identity, storeCredentials: are for a storage with a URL; remove them, or give the storage"]
      : []),
    ...(elsewhere && identity === undefined && !storeCredentials
      ? ["identity: missing. The ledger signs in to its storage with a role, a managed identity, or storeCredentials"]
      : []),
    ...(identity !== undefined && storeCredentials
      ? ["storeCredentials: the identity signs in already; remove one"]
      : []),
  ];
}

function secretsOf({ secret, tls, database, storeCredentials }: LedgerServiceArgs): object {
  const own = [
    ...(tls === undefined ? TLS_SECRETS : []),
    ...KEYS,
    ...(database === undefined ? [DATABASE_URL] : []),
    ...(storeCredentials ? [STORE_CREDENTIALS] : []),
  ];
  return secretsVolume(
    { name: secret, items: own },
    ...(tls === undefined ? [] : [{ name: tls, items: TLS_SECRETS }]),
    ...(database === undefined
      ? []
      : [{ name: database.secret, items: [{ key: database.keys.POSTGRES_URL, path: DATABASE_URL }] }]),
    ...(database?.ca === undefined ? [] : [{ name: database.ca, items: [{ key: "ca.crt", path: DATABASE_CA }] }]),
  );
}

const volumeOf = ({ objectsClaim }: LedgerServiceArgs): object =>
  objectsClaim === undefined
    ? { emptyDir: { sizeLimit: "10Gi" } }
    : { persistentVolumeClaim: { claimName: objectsClaim } };

/** Annotations and label as documented for EKS (IAM roles for service accounts) and AKS (workload identity). */
const identityOf = (identity: LedgerIdentity): ServiceIdentity =>
  "awsRoleArn" in identity
    ? { annotations: { "eks.amazonaws.com/role-arn": identity.awsRoleArn } }
    : {
        annotations: { "azure.workload.identity/client-id": identity.azureClientId },
        labels: { "azure.workload.identity/use": "true" },
      };
