/** A CA and leaves under it: ECDSA on P-256, which guests, Trustee and every TLS library of ours know. */
import { createPrivateKey, type KeyObject, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import * as x509 from "@peculiar/x509";

export const DAY_MS = 24 * 3600 * 1000;
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
/** Clocks of guests may be behind. */
const BACKDATE_MS = DAY_MS;

/** Certificate and its private key (PKCS 8), PEM. */
export interface Pair {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface CaArgs {
  /** Common name; a random suffix keeps two CAs apart. */
  readonly name: string;
  readonly notAfter: Date;
  /** Unix milliseconds. */
  readonly now: number;
}

/** A CA that signs leaves only. */
export async function makeCa({ name, notAfter, now }: CaArgs): Promise<Pair> {
  const keys = await makeKeys();
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=${name} ${serial().slice(0, 8)}`,
    notBefore: new Date(now - BACKDATE_MS),
    notAfter,
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return pair(cert, keys.privateKey);
}

export interface LeafArgs {
  readonly ca: Pair;
  readonly name: string;
  /** DNS names and IP addresses of the server; empty for a certificate that signs and serves nothing. */
  readonly hosts: readonly string[];
  /** Never after the CA's. */
  readonly notAfter: Date;
  readonly now: number;
}

/** A leaf for TLS servers, or without hosts one that only signs. @throws Error when the CA cannot be read. */
export async function makeLeaf({ ca, name, hosts, notAfter, now }: LeafArgs): Promise<Pair> {
  const keys = await makeKeys();
  const issuer = new x509.X509Certificate(ca.certPem);
  const cert = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: `CN=${name}`,
    issuer: issuer.subject,
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(Math.min(notAfter.getTime(), issuer.notAfter.getTime())),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: await importKey(createPrivateKey(ca.keyPem)),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      ...(hosts.length > 0
        ? [
            new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
            new x509.SubjectAlternativeNameExtension(
              hosts.map((value) => ({ type: isIP(value) === 0 ? "dns" : "ip", value })),
            ),
          ]
        : []),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return pair(cert, keys.privateKey);
}

type Keys = webcrypto.CryptoKeyPair;

const makeKeys = async (): Promise<Keys> =>
  (await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"])) as Keys;

async function importKey(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const pkcs8 = key.export({ format: "der", type: "pkcs8" });
  return webcrypto.subtle.importKey("pkcs8", new Uint8Array(pkcs8), ALGORITHM, false, ["sign"]);
}

async function pair(cert: x509.X509Certificate, key: webcrypto.CryptoKey): Promise<Pair> {
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key));
  const keyPem = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" })
    .export({ format: "pem", type: "pkcs8" })
    .toString();
  return { certPem: `${cert.toString("pem")}\n`, keyPem };
}

/** 16 random bytes, positive. */
function serial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString("hex");
}
