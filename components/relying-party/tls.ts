/** Where a service of the relying party has its certificate from, and what becomes of it in the cluster. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { type IssuerRef, issuedCertificate, pinnedCaProblems } from "../../policy/services";
import type { TlsCertificate } from "../../resources/tls-certificate";
import { optionsOf, type ServiceScope } from "./kubernetes-service";

/** cert-manager, which the cluster has, issues and renews; private keys are in no state of Pulumi. */
export interface CertManagerTls {
  certManager: {
    /**
     * As in a Certificate. Give an issuer of a private CA: guests believe whoever gets a certificate of it for the
     * service's name.
     */
    issuerRef: IssuerRef;
    /** Root of the issuer, PEM, exactly one; guests pin it, so another one is a new version of every pipeline. */
    caPem: pulumi.Input<string>;
    /** Life of a leaf in hours; it is renewed when a third is left. @default 2160 */
    durationHours?: number;
  };
}

/** Certificate of this program, or of cert-manager. */
export type TlsSource = TlsCertificate | CertManagerTls;

export const isIssued = (source: TlsSource | undefined): source is CertManagerTls =>
  source !== undefined && "certManager" in source;

const caProblems = (pem: string): string[] => pinnedCaProblems(pem, new Date()).map((text) => `certManager.${text}`);

/** What can be said of a source at once. */
export function tlsProblems(source: TlsSource | undefined): string[] {
  const caPem = isIssued(source) ? source.certManager.caPem : undefined;
  return typeof caPem === "string" ? caProblems(caPem) : [];
}

/** What guests pin. A root that they could not use fails the preview as soon as it is known. */
export function caOf(source: TlsSource): pulumi.Output<string> {
  if (!isIssued(source)) return source.caPem;
  return pulumi.output(source.certManager.caPem).apply((pem) => {
    const problems = caProblems(pem);
    if (problems.length > 0) throw new pulumi.RunError(problems.join("\n"));
    return pem;
  });
}

/** Entries of the service's own Secret: none when cert-manager fills another. */
export const tlsEntries = (source: TlsSource): Record<string, pulumi.Input<string>> =>
  isIssued(source) ? {} : { "tls.key": source.keyPem, "tls.crt": source.chainPem };

/** Name of the Secret that cert-manager fills. */
export const issuedSecret = (service: string): string => `${service}-tls`;

/** The Certificate before the Deployment that mounts its Secret. @returns nothing when the program has its own. */
export function createIssued(
  scope: ServiceScope,
  source: TlsSource,
  { service, namespace, hosts }: { service: string; namespace: string; hosts: readonly string[] },
): pulumi.Resource[] {
  if (!isIssued(source)) return [];
  const { issuerRef, durationHours } = source.certManager;
  const secret = issuedSecret(service);
  const wanted = { name: secret, namespace, secret, hosts, issuerRef };
  const object = issuedCertificate({ ...wanted, ...(durationHours === undefined ? {} : { hours: durationHours }) });
  const args = object as k8s.apiextensions.CustomResourceArgs;
  return [new k8s.apiextensions.CustomResource(`${scope.name}-certificate`, args, optionsOf(scope))];
}
