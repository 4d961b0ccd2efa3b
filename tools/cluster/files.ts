/** What a cluster's folder holds before it starts: keys, tokens, kubeconfigs. Readable by its owner only. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  webcrypto,
} from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";
import { caOf, kubeconfigOf } from "./parts";

/** Who may speak to the API server, by a random token each: short name → user and groups. */
const USERS: Readonly<Record<string, { readonly user: string; readonly groups: readonly string[] }>> = {
  admin: { user: "admin", groups: ["system:masters"] },
  "controller-manager": { user: "system:kube-controller-manager", groups: [] },
  scheduler: { user: "system:kube-scheduler", groups: [] },
  "workflow-controller": { user: "sealflow-test:workflow-controller", groups: [] },
};

/** User of the simulated node, as the Node authorizer wants it. */
export const nodeUser = (name: string): string => `system:node:${name}`;
/** Short name of that user. */
export const NODE = "node";

const CERTIFICATE_DAYS = 365;

const pem = (key: KeyObject) =>
  key.export({ type: key.type === "private" ? "pkcs8" : "spki", format: "pem" }) as string;
const secretFile = (file: string, text: string): void => writeFileSync(file, text, { mode: 0o600 });

/** @param node name of the simulated node. @param url of the API server. */
export async function writeFiles(dir: string, node: string, url: string): Promise<void> {
  for (const folder of [dir, ...["etcd", "certs", "log"].map((name) => join(dir, name))]) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  secretFile(join(dir, "sa.key"), pem(privateKey));
  secretFile(join(dir, "sa.pub"), pem(createPublicKey(privateKey)));
  const users = { ...USERS, [NODE]: { user: nodeUser(node), groups: ["system:nodes"] } };
  const rows: string[] = [];
  for (const [name, { user, groups }] of Object.entries(users)) {
    const token = randomBytes(32).toString("base64url");
    secretFile(join(dir, `${name}.token`), token);
    rows.push(`${token},${user},${name},"${groups.join(",")}"\n`);
  }
  secretFile(join(dir, "tokens.csv"), rows.join(""));
  await writeCertificates(dir);
  writeKubeconfigs(dir, url);
}

function writeKubeconfigs(dir: string, url: string): void {
  const ca = readFileSync(caOf(dir)).toString("base64");
  for (const name of [...Object.keys(USERS), NODE]) {
    const token = readFileSync(join(dir, `${name}.token`), "utf8");
    // JSON is YAML.
    const config = {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "sealflow", cluster: { server: url, "certificate-authority-data": ca } }],
      users: [{ name, user: { token } }],
      contexts: [{ name: "sealflow", context: { cluster: "sealflow", user: name, namespace: "default" } }],
      "current-context": "sealflow",
    };
    secretFile(kubeconfigOf(dir, name), `${JSON.stringify(config, undefined, 2)}\n`);
  }
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const makeKeys = () =>
  webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]) as Promise<webcrypto.CryptoKeyPair>;
/** Positive and random. */
const serial = () => `40${randomBytes(15).toString("hex")}`;

/** One CA, and below it: the API server, the API server as client of kubelets, the kubelet API of the simulated node. */
async function writeCertificates(dir: string): Promise<void> {
  const dates = {
    notBefore: new Date(Date.now() - 3600_000),
    notAfter: new Date(Date.now() + CERTIFICATE_DAYS * 24 * 3600_000),
    signingAlgorithm: ALGORITHM,
  };
  const caKeys = await makeKeys();
  const { keyCertSign, cRLSign } = x509.KeyUsageFlags;
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    ...dates,
    serialNumber: serial(),
    name: `CN=Sealflow test cluster CA ${serial().slice(2, 10)}`,
    keys: caKeys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(keyCertSign | cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(caKeys.publicKey),
    ],
  });
  writeFileSync(caOf(dir), ca.toString("pem"), { mode: 0o600 });
  const { serverAuth, clientAuth } = x509.ExtendedKeyUsage;
  const leaf = async (name: string, subject: string, usage: x509.ExtendedKeyUsage) => {
    const keys = await makeKeys();
    const names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
    const cert = await x509.X509CertificateGenerator.create({
      ...dates,
      serialNumber: serial(),
      subject: `CN=${subject}`,
      issuer: ca.subject,
      publicKey: keys.publicKey,
      signingKey: caKeys.privateKey,
      extensions: [
        new x509.ExtendedKeyUsageExtension([usage]),
        new x509.SubjectAlternativeNameExtension([
          { type: "ip", value: "127.0.0.1" },
          ...names.map((value) => ({ type: "dns" as const, value })),
        ]),
        await x509.AuthorityKeyIdentifierExtension.create(ca),
      ],
    });
    const key = createPrivateKey({
      key: Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)),
      format: "der",
      type: "pkcs8",
    });
    secretFile(join(dir, "certs", `${name}.crt`), cert.toString("pem"));
    secretFile(join(dir, "certs", `${name}.key`), pem(key));
  };
  await leaf("apiserver", "kube-apiserver", serverAuth);
  await leaf("kubelet-client", "kube-apiserver-kubelet-client", clientAuth);
  await leaf("node", "simulated node", serverAuth);
}
