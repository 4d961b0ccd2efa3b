import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { DATABASE_SECRETS, databaseSecrets, TRUSTEE_PORT, trusteeService } from "../../policy/services";
import { KbsAdminKey } from "../../resources/kbs-admin-key";
import { TlsCertificate } from "../../resources/tls-certificate";
import { childOf } from "../options";
import { waiversOf } from "../waivers";
import { accessOf, createDatabase, type DatabaseSource, isInCluster } from "./database";
import {
  createService,
  optionsOf,
  restrictedNamespace,
  type ServiceScope,
  serviceSecret,
  startOf,
} from "./kubernetes-service";
import { type LastingArgs, lastingOptions } from "./lasting";
import { type PlacementArgs, placementProblems, ServiceMode } from "./placement";
import { caOf, createIssued, isIssued, issuedSecret, type TlsSource, tlsEntries, tlsProblems } from "./tls";

export interface TrusteeArgs extends PlacementArgs, LastingArgs {
  /**
   * Names and addresses by which guests reach it; the first is in every step's identity. cert-manager is asked for
   * exactly these; a certificate of this program also has `trustee.<namespace>.svc`.
   */
  hosts: string[];
  /** Names of the ledger, for the certificate that both have. @default none */
  ledgerHosts?: string[];
  /** Image with the attestation service built in, `…@sha256:…`; development may take a tag. */
  image: string;
  /**
   * For all its state: `postgres://user:password@host:port/database`, a secret, or a cluster of CloudNativePG beside it.
   * Needed in production. @default none
   */
  database?: DatabaseSource;
  /** Image with psql, which makes the tables, `…@sha256:…`. Needed with a URL. @default the in-cluster database's */
  databaseImage?: string;
  /** @default 2 in production, 1 in development */
  replicas?: number;
  /** @default "trustee" */
  namespace?: string;
  /** Port in its URL, where something in front of the Service listens. @default 8080 */
  port?: number;
  /** CA and leaf that the ledger has, too, or an issuer of cert-manager. @default a new one of these hosts */
  certificate?: TlsSource;
  /** TDX: where Intel's collateral comes from. @default Intel's service */
  dcapCollateral?: string;
}

/**
 * Trustee on the owner's own cluster: key broker, attestation service and reference values in each replica, all state in
 * PostgreSQL. The admin's private key stays on this machine.
 */
export class Trustee extends pulumi.ComponentResource {
  /** As guests reach it. */
  readonly kbsUrl: string;
  /** Guests pin it. */
  readonly caPem: pulumi.Output<string>;
  /** For the ledger, which lives under the same CA. */
  readonly certificate: TlsSource;

  constructor(name: string, args: TrusteeArgs, opts?: pulumi.ComponentResourceOptions) {
    super("sealflow:index:Trustee", name, waiversOf(args), opts);
    const production = (args.mode ?? ServiceMode.Production) === ServiceMode.Production;
    const { namespace = "trustee", replicas = production ? 2 : 1, port = TRUSTEE_PORT } = args;
    const problems = [...placementProblems(args, this), ...tlsProblems(args.certificate)];
    if (!args.hosts?.length) problems.push("hosts: empty. Give the name by which guests reach it");
    if (isIssued(args.certificate) && args.ledgerHosts !== undefined)
      problems.push("ledgerHosts: cert-manager issues the ledger a certificate of its own. Remove it");
    if (problems.length > 0) throw new pulumi.RunError(problems.map((text) => `Trustee "${name}": ${text}`).join("\n"));
    const access = accessOf(args.database, { service: "trustee", secret: "trustee-database" });
    const psql = args.databaseImage ?? (isInCluster(args.database) ? args.database.cloudNativePg.image : undefined);
    const inside = `trustee.${namespace}.svc`;
    this.kbsUrl = `https://${args.hosts[0]}:${port}`;
    this.certificate =
      args.certificate ??
      new TlsCertificate(
        `${name}-tls`,
        { commonName: "sealflow relying party", hosts: [...args.hosts, inside, ...(args.ledgerHosts ?? [])] },
        childOf(this),
      );
    this.caPem = caOf(this.certificate);
    const signer = new TlsCertificate(`${name}-token`, { commonName: "sealflow attestation tokens" }, childOf(this));
    const admin = new KbsAdminKey(`${name}-admin`, { kbsUrl: this.kbsUrl, caPem: this.caPem }, childOf(this));
    const own = {
      "token.key": signer.keyPem,
      "token.crt": signer.chainPem,
      "token-root.crt": signer.caPem,
      "admin.pem": admin.publicKeyPem,
    };
    const url = isInCluster(args.database) ? undefined : args.database;
    // Its TLS certificate it is started anew for, in the same pod.
    const start = startOf(signer.keyPem, { ...own, ...(url === undefined ? {} : { url: pulumi.secret(url) }) });
    const { config, objects } = trusteeService({
      name: "trustee",
      namespace,
      image: args.image,
      replicas,
      production,
      secrets: {
        files: "trustee-files",
        ...(access === undefined ? {} : { database: access }),
        ...(isIssued(args.certificate) ? { tls: issuedSecret("trustee") } : {}),
      },
      ...(psql === undefined ? {} : { databaseImage: psql }),
      ...(args.dcapCollateral === undefined ? {} : { dcapCollateral: args.dcapCollateral }),
      start,
    });
    const base: ServiceScope = { name, parent: this, provider: args.provider };
    const options = lastingOptions(args);
    // A database in the namespace goes with it.
    const held = isInCluster(args.database) ? options : {};
    const within = restrictedNamespace(base, namespace, args.acknowledgeSameCluster, held);
    const scope = { ...base, dependsOn: [within] };
    const files = [
      serviceSecret(
        scope,
        "files",
        { name: "trustee-files", namespace },
        {
          ...tlsEntries(this.certificate),
          ...own,
        },
      ),
      ...(url === undefined ? [] : [databaseSecret(scope, namespace, url)]),
      // The broker's client speaks no TLS (Trustee 0.22), so the policy of the network is what keeps others away.
      ...createDatabase(scope, args.database, {
        service: "trustee",
        namespace,
        production,
        tlsOnly: false,
        options,
      }),
      new k8s.core.v1.ConfigMap(
        `${name}-config`,
        { metadata: { name: "trustee-config", namespace }, data: { "kbs.toml": config } },
        optionsOf(scope),
      ),
      ...createIssued(scope, this.certificate, { service: "trustee", namespace, hosts: args.hosts }),
    ];
    createService(scope, objects, files);
    this.registerOutputs({ kbsUrl: this.kbsUrl, caPem: this.caPem });
  }
}

function databaseSecret(scope: ServiceScope, namespace: string, url: pulumi.Input<string>): k8s.core.v1.Secret {
  const parts = pulumi.secret(url).apply(databaseSecrets);
  const data = Object.fromEntries(DATABASE_SECRETS.map((key) => [key, parts.apply((known) => known[key])]));
  return serviceSecret(scope, "database", { name: "trustee-database", namespace }, data);
}
