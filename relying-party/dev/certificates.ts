/** CA and leaf of the two loopback servers. Guests pin the CA, so it is made once; a leaf may be renewed at any time. */
import { createPrivateKey, type KeyObject, webcrypto } from "node:crypto";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";
import { DevError } from "./errors";
import { privateDir, readIfThere, writePrivate } from "./files";

const DAY_MS = 24 * 3600 * 1000;
const CA_DAYS = 3650;
const LEAF_DAYS = 90;
/** A leaf that ends sooner than this is replaced. */
const RENEW_DAYS = 30;
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
/** Clocks of guests may be behind. */
const BACKDATE_MS = DAY_MS;

export interface ServerIdentity {
  readonly caPem: string;
  /** Certificate chain and key of the servers, PEM. */
  readonly certPem: string;
  readonly keyPem: string;
}

/** Reads CA and leaf from `dir`, making what is missing or about to end. @throws DevError STATE when damaged. */
export async function serverIdentity(dir: string, now: number = Date.now()): Promise<ServerIdentity> {
  privateDir(dir);
  try {
    const ca = (await loadPair(dir, "ca")) ?? (await makeCa(dir, now));
    const leaf = await loadPair(dir, "leaf");
    const good =
      leaf && isGood(leaf.cert, ca.cert, now) && (await leaf.cert.verify({ publicKey: ca.cert, date: new Date(now) }));
    const { certPem, keyPem } = good ? leaf : await makeLeaf(dir, ca, now);
    return { caPem: ca.certPem, certPem, keyPem };
  } catch (cause) {
    if (cause instanceof DevError) throw cause;
    const remedy = "removing the folder makes new ones, and with them new identities of all steps";
    throw new DevError("STATE", `${dir}: the certificates cannot be used (${(cause as Error).message}); ${remedy}`, {
      cause,
    });
  }
}

interface Pair {
  readonly cert: x509.X509Certificate;
  readonly certPem: string;
  readonly keyPem: string;
}

const isGood = (leaf: x509.X509Certificate, ca: x509.X509Certificate, now: number): boolean =>
  leaf.issuer === ca.subject && leaf.notAfter.getTime() - now > RENEW_DAYS * DAY_MS && leaf.notBefore.getTime() <= now;

/** Both files, or nothing: a key without its certificate is made anew, unless it is the CA's that guests pin. */
async function loadPair(dir: string, name: "ca" | "leaf"): Promise<Pair | undefined> {
  const certPem = readIfThere(join(dir, `${name}.pem`));
  const keyPem = readIfThere(join(dir, `${name}.key`));
  if (certPem === undefined) return undefined;
  if (keyPem === undefined) {
    if (name === "leaf") return undefined;
    throw new DevError("STATE", `${join(dir, "ca.key")} is missing; restore it, or remove the folder to make a new CA`);
  }
  const cert = new x509.X509Certificate(certPem);
  return { cert, certPem, keyPem };
}

async function makeCa(dir: string, now: number): Promise<Pair> {
  const keys = await makeKeys();
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=Sealflow development CA ${serial().slice(0, 8)}`,
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + CA_DAYS * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return save(dir, "ca", cert, keys.privateKey);
}

async function makeLeaf(dir: string, ca: Pair, now: number): Promise<Pair> {
  const keys = await makeKeys();
  const signingKey = await importKey(createPrivateKey(ca.keyPem));
  const cert = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: "CN=sealflow dev",
    issuer: ca.cert.subject,
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(Math.min(now + LEAF_DAYS * DAY_MS, ca.cert.notAfter.getTime())),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        { type: "ip", value: "127.0.0.1" },
        { type: "ip", value: "::1" },
        { type: "dns", value: "localhost" },
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(ca.cert),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return save(dir, "leaf", cert, keys.privateKey);
}

type Keys = webcrypto.CryptoKeyPair;

const makeKeys = async (): Promise<Keys> =>
  (await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"])) as Keys;

async function importKey(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const pkcs8 = key.export({ format: "der", type: "pkcs8" });
  return webcrypto.subtle.importKey("pkcs8", new Uint8Array(pkcs8), ALGORITHM, false, ["sign"]);
}

/** The key first: a certificate on disk means that its key is there. */
async function save(
  dir: string,
  name: "ca" | "leaf",
  cert: x509.X509Certificate,
  key: webcrypto.CryptoKey,
): Promise<Pair> {
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key));
  const keyPem = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" })
    .export({ format: "pem", type: "pkcs8" })
    .toString();
  const certPem = `${cert.toString("pem")}\n`;
  writePrivate(join(dir, `${name}.key`), keyPem);
  writePrivate(join(dir, `${name}.pem`), certPem);
  return { cert, certPem, keyPem };
}

/** 16 random bytes, positive. */
function serial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString("hex");
}
