/** The run ledger as a service. Replicas share PostgreSQL and keys; objects lie where all of them reach. */
import { PolicyError } from "../errors";
import { type PartOfService, secretVolume, serviceObjects } from "./service";

export const LEDGER_PORT = 8443;
const SECRETS = "/run/ledger/secrets";
export const LEDGER_SECRETS = ["tls.key", "tls.crt", "ledger.key", "object-url.key", "database-url"] as const;
/** Entry of the image that ServiceImage makes. */
const ENTRY = ["/sealflow/lib/ld.so", "--library-path", "/sealflow/lib", "/sealflow/bin/node", "/sealflow/ledger.js"];

export interface LedgerServiceArgs {
  readonly name: string;
  readonly namespace: string;
  /** `…@sha256:…` */
  readonly image: string;
  readonly replicas: number;
  readonly production: boolean;
  /** Name of the Secret with LEDGER_SECRETS. */
  readonly secret: string;
  /** As guests reach it. */
  readonly publicUrl: string;
  /** Claim of a volume for objects that every replica may write (ReadWriteMany). */
  readonly objectsClaim?: string;
}

/** @throws PolicyError SERVICE with every problem. */
export function ledgerService(args: LedgerServiceArgs): Readonly<Record<PartOfService, object>> {
  const { name, namespace, image, replicas, production, secret, publicUrl, objectsClaim } = args;
  const problems = [
    ...(/^\S+@sha256:[0-9a-f]{64}$/.test(image) ? [] : [`image "${image}" is not pinned by digest; give …@sha256:…`]),
    ...(production && replicas < 2 ? [`replicas is ${replicas}; production needs 2 and more`] : []),
    ...(/^https:\/\/[^\s/]+$/.test(publicUrl) ? [] : [`publicUrl "${publicUrl}" is not https://host[:port]`]),
    ...(objectsClaim === undefined && replicas > 1
      ? ["objectsClaim: replicas need a volume that all of them write (ReadWriteMany); give its claim"]
      : []),
  ];
  if (problems.length > 0) throw new PolicyError("SERVICE", `RunLedger "${name}": ${problems.join("; ")}`);
  const objects = "/var/lib/ledger/objects";
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
      { name: "SEALFLOW_LEDGER_OBJECTS", value: objects },
      { name: "SEALFLOW_LEDGER_URL", value: publicUrl },
      { name: "SEALFLOW_LEDGER_PORT", value: String(LEDGER_PORT) },
    ],
    probes: { live: "/healthz", ready: "/readyz" },
    files: [{ path: SECRETS, volume: secretVolume(secret, LEDGER_SECRETS) }],
    scratch: ["/run/ledger/state", "/tmp"],
    ...(objectsClaim === undefined
      ? { writable: [{ path: objects, volume: { emptyDir: { sizeLimit: "10Gi" } } }] }
      : { writable: [{ path: objects, volume: { persistentVolumeClaim: { claimName: objectsClaim } } }] }),
    resources: { cpu: "250m", memory: "512Mi" },
    config: { publicUrl },
  });
}
