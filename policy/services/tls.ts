/** Certificates that cert-manager issues, and the CA that guests pin for them. */
import { X509Certificate } from "node:crypto";
import { PolicyError } from "../errors";

/** As cert-manager's `issuerRef`. */
export interface IssuerRef {
  readonly name: string;
  /** `ClusterIssuer`; `Issuer`, which then has to be in the namespace of each service; or an external issuer's kind. */
  readonly kind: string;
  /** Of an external issuer. Default: `cert-manager.io`. */
  readonly group?: string;
}

/** Keys of a Secret for a TLS server, as cert-manager names them, too. */
export const TLS_SECRETS = ["tls.key", "tls.crt"] as const;

export interface IssuedCertificateArgs {
  readonly name: string;
  readonly namespace: string;
  /** Secret that cert-manager fills with `tls.key` and `tls.crt`. */
  readonly secret: string;
  /** DNS names and IP addresses, exactly these. */
  readonly hosts: readonly string[];
  readonly issuerRef: IssuerRef;
  /** Life of a leaf in hours. Default: 2160 (90 days); issuers may give another. */
  readonly hours?: number;
}

const HOURS = 2160;
const ADDRESS = /^(\d{1,3}(\.\d{1,3}){3}|[0-9a-f:.]*:[0-9a-f:.]*)$/i;

/** A `Certificate` of cert-manager.io/v1. @throws PolicyError SERVICE with every problem. */
export function issuedCertificate(args: IssuedCertificateArgs): object {
  const { name, namespace, secret, hosts, issuerRef, hours = HOURS } = args;
  const { name: issuer, kind, group = "cert-manager.io" } = issuerRef;
  const problems = [
    ...(issuer ? [] : ["issuerRef.name: empty. Give the issuer's"]),
    ...(kind ? [] : ['issuerRef.kind: empty. "ClusterIssuer" serves every namespace, "Issuer" its own']),
    ...(Number.isInteger(hours) && hours >= 1 ? [] : [`durationHours: ${hours} is not a whole number from 1`]),
    ...hosts.filter((host) => host.includes("*")).map((host) => `"${host}": guests reach a service by its own name`),
  ];
  if (problems.length > 0) throw new PolicyError("SERVICE", problems.map((text) => `certManager: ${text}`).join("; "));
  const addresses = hosts.filter((host) => ADDRESS.test(host));
  return {
    apiVersion: "cert-manager.io/v1",
    kind: "Certificate",
    metadata: { name, namespace, labels: { "app.kubernetes.io/managed-by": "sealflow" } },
    spec: {
      secretName: secret,
      dnsNames: hosts.filter((host) => !ADDRESS.test(host)),
      ...(addresses.length > 0 ? { ipAddresses: addresses } : {}),
      issuerRef: { name: issuer, kind, group },
      duration: `${hours}h0m0s`,
      // cert-manager 1.15 keeps keys and writes PKCS 1 unless it is told. P-256 is what guests and Trustee know.
      privateKey: { algorithm: "ECDSA", size: 256, encoding: "PKCS8", rotationPolicy: "Always" },
      usages: ["digital signature", "server auth"],
    },
  };
}

/** Every object of a PEM text, RFC 7468, whatever it is called. */
const MARKS = /-----BEGIN ([^-\n]+)-----[^-]*-----END \1-----/g;

/**
 * Whether guests can pin it: exactly one root. They take one certificate, and OpenSSL ends a chain at a root only.
 * @returns problems
 */
export function pinnedCaProblems(pem: string, now: Date): string[] {
  const found = [...pem.matchAll(MARKS)].map(([, name]) => name as string);
  // It becomes public: a key beside the certificate would, too.
  if (found.some((name) => name.includes("PRIVATE KEY")))
    return [
      "caPem: holds a private key, and is public. Give the certificate alone, and take the key for known to others",
    ];
  const certificates = found.filter((name) => name === "CERTIFICATE").length;
  if (certificates !== 1 || found.length !== 1 || pem.replace(MARKS, "").trim() !== "") {
    const other = [...new Set(found.filter((name) => name !== "CERTIFICATE"))].map((name) => `, ${name}`).join("");
    const text = pem.replace(MARKS, "").trim() === "" ? "" : ", other text";
    return [`caPem: ${certificates} certificates in PEM${other}${text}; expected one alone: the root of the issuer`];
  }
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem.trim());
  } catch {
    return ["caPem: no certificate that can be read. Give the root of the issuer, PEM"];
  }
  const { ca, subject, issuer, validTo } = certificate;
  const said = (text: string) => text.replaceAll("\n", ", ");
  if (!ca) return [`caPem: ${said(subject)} is no CA. A leaf changes with each renewal; give the root of the issuer`];
  if (!certificate.checkIssued(certificate) || !certificate.verify(certificate.publicKey)) {
    return [`caPem: ${said(subject)} is issued by ${said(issuer)}; give the root, at which guests end the chain`];
  }
  return new Date(validTo) > now ? [] : [`caPem: ended on ${validTo}; guests believe nothing that it issued`];
}
