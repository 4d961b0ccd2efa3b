import * as pulumi from "@pulumi/pulumi";
import {
  clusterAccess,
  LEDGER_PORT,
  type LedgerIdentity,
  ledgerService,
  STORE_CREDENTIALS,
} from "../../policy/services";
import { LedgerKeys } from "../../resources/ledger-keys";
import type { RelyingPartyReference } from "../../resources/relying-party-reference";
import { childOf } from "../options";
import type { StorageOutputs } from "../storage/encrypted-storage";
import { waiversOf } from "../waivers";
import { createDatabase, type DatabaseSource, isInCluster } from "./database";
import { createService, restrictedNamespace, type ServiceScope, serviceSecret, startOf } from "./kubernetes-service";
import { type LastingArgs, lastingOptions } from "./lasting";
import { type PlacementArgs, placementProblems, ServiceMode } from "./placement";
import type { RelyingPartyOutputs } from "./relying-party";
import { caOf, createIssued, isIssued, issuedSecret, type TlsSource, tlsEntries, tlsProblems } from "./tls";

export type { LedgerIdentity };

export interface RunLedgerArgs extends PlacementArgs, LastingArgs {
  /** Name by which guests reach it; a host of the certificate. */
  host: string;
  /** Image of the ledger, `…@sha256:…`: `reference` of a ServiceImage. */
  image: pulumi.Input<string>;
  /** The key broker: a Trustee of this program, or the URL of one that runs elsewhere (an operator's included). */
  kbsUrl: pulumi.Input<string>;
  /** CA and leaf, or an issuer of cert-manager; its CA must be the key broker's, since guests pin one. */
  certificate: TlsSource;
  /**
   * A database of the ledger's alone: `postgres://…`, a secret, or a cluster of CloudNativePG beside it. Needed in
   * production. @default SQLite that a restart loses
   */
  database?: DatabaseSource;
  /** Claim of a volume that every replica writes (ReadWriteMany), in its namespace. @default a folder of the pod */
  objectsClaim?: string;
  /** Where objects are instead: a bucket or container, with its URL. @default objectsClaim */
  storage?: StorageOutputs;
  /** How it signs in there: the ARN of its role on EKS, or the client id of its managed identity on AKS. @default none */
  identity?: LedgerIdentity;
  /**
   * For other S3 endpoints: the text of a shared credentials file of AWS, with the profile `default`; a secret.
   * @default none
   */
  storeCredentials?: pulumi.Input<string>;
  /** @default 2 in production, 1 in development */
  replicas?: number;
  /** @default "ledger" */
  namespace?: string;
  /** Port in its URL, where something in front of the Service listens. @default 8443 */
  port?: number;
}

/** The run ledger on the owner's own cluster. `reference` is what environments take. */
export class RunLedger extends pulumi.ComponentResource implements RelyingPartyOutputs {
  readonly ledgerUrl: string;
  /** Public: guests and auditors verify with it. */
  readonly ledgerKey: pulumi.Output<string>;
  readonly reference: RelyingPartyReference;

  constructor(name: string, args: RunLedgerArgs, opts?: pulumi.ComponentResourceOptions) {
    super("sealflow:index:RunLedger", name, waiversOf(args), opts);
    const production = (args.mode ?? ServiceMode.Production) === ServiceMode.Production;
    const { namespace = "ledger", replicas = production ? 2 : 1, port = LEDGER_PORT } = args;
    const problems = [...placementProblems(args, this), ...tlsProblems(args.certificate)];
    if (production && args.database === undefined)
      problems.push("database: missing. Production keeps runs in PostgreSQL");
    if (problems.length > 0)
      throw new pulumi.RunError(problems.map((text) => `RunLedger "${name}": ${text}`).join("\n"));
    const { database } = args;
    this.ledgerUrl = `https://${args.host}:${port}`;
    const lasting = lastingOptions(args);
    const keys = new LedgerKeys(`${name}-keys`, childOf(this, lasting));
    // Certificates, and credentials of its store, it reads again by itself.
    const start = {
      "ledger.key": keys.seed,
      "object-url.key": keys.urlSeed,
      ...(isInCluster(database) ? {} : { "database-url": pulumi.secret(database ?? "") }),
    };
    const settings = {
      name: "ledger",
      namespace,
      replicas,
      production,
      secret: "ledger-secrets",
      publicUrl: this.ledgerUrl,
      ...(isInCluster(database) ? { database: clusterAccess("ledger") } : {}),
      ...(isIssued(args.certificate) ? { tls: issuedSecret("ledger") } : {}),
      ...(args.objectsClaim === undefined ? {} : { objectsClaim: args.objectsClaim }),
      ...(args.identity === undefined ? {} : { identity: args.identity }),
      ...(args.storeCredentials === undefined ? {} : { storeCredentials: true }),
      start: startOf(keys.seed, start),
    };
    const { image, storage: { url } = {} } = args;
    const complete = (pinned: string, storeUrl: string | undefined) =>
      ledgerService({ ...settings, image: pinned, ...(storeUrl === undefined ? {} : { storeUrl }) });
    const known = typeof image === "string" && (url === undefined || typeof url === "string");
    const objects = known
      ? complete(image, url)
      : pulumi.all([image, url]).apply(([pinned, storeUrl]) => complete(pinned, storeUrl));
    const base: ServiceScope = { name, parent: this, provider: args.provider };
    // Database and objects that are in the namespace go with it.
    const held = isInCluster(database) || args.objectsClaim !== undefined ? lasting : {};
    const within = restrictedNamespace(base, namespace, args.acknowledgeSameCluster, held);
    const scope = { ...base, dependsOn: [within] };
    const secret = serviceSecret(
      scope,
      "secrets",
      { name: "ledger-secrets", namespace },
      {
        ...tlsEntries(args.certificate),
        ...start,
        ...(args.storeCredentials === undefined ? {} : { [STORE_CREDENTIALS]: pulumi.secret(args.storeCredentials) }),
      },
    );
    const issued = createIssued(scope, args.certificate, { service: "ledger", namespace, hosts: [args.host] });
    const place = { service: "ledger", namespace, production, tlsOnly: true, options: lasting };
    createService(scope, objects, [secret, ...issued, ...createDatabase(scope, database, place)]);
    this.ledgerKey = keys.ledgerKey;
    const { ledgerUrl, ledgerKey } = this;
    this.reference = { kbsUrl: args.kbsUrl, ledgerUrl, caPem: caOf(args.certificate), ledgerKey };
    this.registerOutputs({ ledgerUrl, ledgerKey });
  }
}
