/**
 * What a cluster with cert-manager has, as far as services of ours use it: the definition of Certificate, written for tests
 * from the fields of cert-manager.io/v1 (1.15 to 1.19), and somebody who issues. cert-manager itself needs a download that
 * a test machine may not reach.
 */
import { isIP } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { DAY_MS, makeLeaf, type Pair } from "../../relying-party/tls";
import type { KubernetesClient } from "../../untrusted/kubernetes";
import { namespacedCrd } from "./namespaced-crd";

const text = { type: "string" };
const texts = { type: "array", items: text, "x-kubernetes-list-type": "atomic" };
const oneOf = (...values: (string | number)[]) => ({
  type: typeof values[0] === "number" ? "integer" : "string",
  enum: values,
});
const duration = { type: "string", pattern: "^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$" };
const labels = { type: "object", additionalProperties: text };

const SPEC = {
  type: "object",
  required: ["issuerRef", "secretName"],
  properties: {
    secretName: text,
    secretTemplate: { type: "object", properties: { annotations: labels, labels } },
    issuerRef: { type: "object", required: ["name"], properties: { name: text, kind: text, group: text } },
    commonName: text,
    dnsNames: texts,
    ipAddresses: texts,
    uris: texts,
    emailAddresses: texts,
    duration,
    renewBefore: duration,
    isCA: { type: "boolean" },
    encodeUsagesInRequest: { type: "boolean" },
    revisionHistoryLimit: { type: "integer", minimum: 1 },
    privateKey: {
      type: "object",
      properties: {
        algorithm: oneOf("RSA", "ECDSA", "Ed25519"),
        encoding: oneOf("PKCS1", "PKCS8"),
        rotationPolicy: oneOf("Never", "Always"),
        size: { type: "integer" },
      },
    },
    usages: {
      type: "array",
      items: oneOf(
        ...["signing", "digital signature", "content commitment", "key encipherment", "key agreement"],
        ...["data encipherment", "cert sign", "crl sign", "encipher only", "decipher only", "any", "server auth"],
        ...["client auth", "code signing", "email protection", "s/mime", "ipsec end system", "ipsec tunnel"],
        ...["ipsec user", "timestamping", "ocsp signing", "microsoft sgc", "netscape sgc"],
      ),
    },
  },
};

export const CERTIFICATE_CRD = namespacedCrd("cert-manager.io", "Certificate", { properties: { spec: SPEC } });

interface Wanted {
  readonly secretName: string;
  readonly dnsNames: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly issuerRef: { readonly name: string; readonly kind: string };
  readonly privateKey: { readonly algorithm: string; readonly encoding: string };
}

/** A new key and leaf into the Secret of a Certificate, as each issuance of cert-manager does. */
export async function issue(api: KubernetesClient, ca: Pair, namespace: string, name: string): Promise<string> {
  const path = `/apis/cert-manager.io/v1/namespaces/${namespace}/certificates/${name}`;
  const { spec } = (await api.get(path)) as { spec: Wanted };
  const { algorithm, encoding } = spec.privateKey;
  // What makeLeaf makes; another request would get something else than it asked for.
  if (algorithm !== "ECDSA" || encoding !== "PKCS8") throw new Error(`${algorithm} in ${encoding} is not issued here`);
  const now = Date.now();
  const hosts = [...(spec.dnsNames ?? []), ...(spec.ipAddresses ?? [])];
  if ((spec.ipAddresses ?? []).some((host) => isIP(host) === 0)) throw new Error(`not addresses: ${hosts.join(", ")}`);
  const leaf = await makeLeaf({ ca, name: "issued", hosts, notAfter: new Date(now + DAY_MS), now });
  const body = {
    apiVersion: "v1",
    kind: "Secret",
    type: "kubernetes.io/tls",
    metadata: { name: spec.secretName, namespace },
    stringData: { "tls.key": leaf.keyPem, "tls.crt": leaf.certPem, "ca.crt": ca.certPem },
  };
  const secrets = `/api/v1/namespaces/${namespace}/secrets`;
  const there = await api.get(`${secrets}/${spec.secretName}`).catch(() => undefined);
  if (there) await api.patch(`${secrets}/${spec.secretName}`, { stringData: body.stringData });
  else await api.create(secrets, body);
  return leaf.certPem;
}

/** Issues whatever an issuer of this name is asked for, once, until the signal. */
export async function issueAll(api: KubernetesClient, ca: Pair, issuer: string, signal: AbortSignal): Promise<void> {
  const done = new Set<string>();
  while (!signal.aborted) {
    const { items } = await api.list("/apis/cert-manager.io/v1/certificates").catch(() => ({ items: [] }));
    for (const { metadata, spec } of items) {
      const { namespace = "", name = "" } = metadata;
      if (done.has(`${namespace}/${name}`) || (spec as Wanted).issuerRef.name !== issuer) continue;
      await issue(api, ca, namespace, name);
      done.add(`${namespace}/${name}`);
    }
    await sleep(300, undefined, { signal }).catch(() => undefined);
  }
}
