/** CA and leaf of the two loopback servers. Guests pin the CA, so it is made once; a leaf may be renewed at any time. */
import { join } from "node:path";
import * as x509 from "@peculiar/x509";
import { DAY_MS, makeCa, makeLeaf, type Pair } from "../tls";
import { DevError } from "./errors";
import { privateDir, readIfThere, writePrivate } from "./files";

const CA_DAYS = 3650;
const LEAF_DAYS = 90;
/** A leaf that ends sooner than this is replaced. */
const RENEW_DAYS = 30;

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
    const ca = (await loadPair(dir, "ca")) ?? (await newCa(dir, now));
    const leaf = await loadPair(dir, "leaf");
    const good =
      leaf && isGood(leaf.cert, ca.cert, now) && (await leaf.cert.verify({ publicKey: ca.cert, date: new Date(now) }));
    const { certPem, keyPem } = good ? leaf : await newLeaf(dir, ca, now);
    return { caPem: ca.certPem, certPem, keyPem };
  } catch (cause) {
    if (cause instanceof DevError) throw cause;
    const remedy = "removing the folder makes new ones, and with them new identities of all steps";
    throw new DevError("STATE", `${dir}: the certificates cannot be used (${(cause as Error).message}); ${remedy}`, {
      cause,
    });
  }
}

interface Stored extends Pair {
  readonly cert: x509.X509Certificate;
}

const isGood = (leaf: x509.X509Certificate, ca: x509.X509Certificate, now: number): boolean =>
  leaf.issuer === ca.subject && leaf.notAfter.getTime() - now > RENEW_DAYS * DAY_MS && leaf.notBefore.getTime() <= now;

/** Both files, or nothing: a key without its certificate is made anew, unless it is the CA's that guests pin. */
async function loadPair(dir: string, name: "ca" | "leaf"): Promise<Stored | undefined> {
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

async function newCa(dir: string, now: number): Promise<Stored> {
  const ca = await makeCa({ name: "Sealflow development CA", notAfter: new Date(now + CA_DAYS * DAY_MS), now });
  return save(dir, "ca", ca);
}

async function newLeaf(dir: string, ca: Pair, now: number): Promise<Stored> {
  const hosts = ["127.0.0.1", "::1", "localhost"];
  const notAfter = new Date(now + LEAF_DAYS * DAY_MS);
  return save(dir, "leaf", await makeLeaf({ ca, name: "sealflow dev", hosts, notAfter, now }));
}

/** The key first: a certificate on disk means that its key is there. */
function save(dir: string, name: "ca" | "leaf", { certPem, keyPem }: Pair): Stored {
  writePrivate(join(dir, `${name}.key`), keyPem);
  writePrivate(join(dir, `${name}.pem`), certPem);
  return { cert: new x509.X509Certificate(certPem), certPem, keyPem };
}
