import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { DAY_MS, makeCa, makeLeaf, type Pair } from "../../relying-party/tls";
import type { Context } from "../server/context";
import type { Checked, Definition, Failure } from "../server/definition";
import { ProviderError } from "../server/errors";

interface Inputs {
  commonName: string;
  hosts?: string[];
  validDays?: number;
  renewBeforeDays?: number;
  notAfter?: string;
}

interface Outputs {
  caPem: string;
  caKeyPem: string;
  certPem: string;
  chainPem: string;
  keyPem: string;
}

const CA_DAYS = 3650;
const DAYS = { valid: 90, before: 30, most: 825 };
const HOST = /^(?=.{1,253}$)(\*\.)?([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)*[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** The CA stays for the life of the resource: guests pin it, so a new one would give every step a new identity. */
export const tlsCertificate: Definition<Inputs, Outputs> = {
  name: "TlsCertificate",
  about: "A CA and a leaf under it. The leaf is renewed by `up`, the CA is kept; guests pin the CA alone.",
  inputs: {
    commonName: { type: "string", about: "Common name of the leaf; the CA's is made of it." },
    hosts: { type: "list", optional: true, about: "DNS names and IP addresses of a server. Default: it only signs." },
    validDays: { type: "number", optional: true, change: "none", about: "Life of a leaf. Default: 90, at most 825." },
    renewBeforeDays: { type: "number", optional: true, change: "none", about: "Renewed this early. Default: 30." },
    notAfter: { type: "string", optional: true, computed: true, about: "End of the leaf; a new one when it is near." },
  },
  outputs: {
    caPem: { type: "string", stable: true, about: "Certificate of the CA, PEM." },
    caKeyPem: { type: "string", stable: true, secret: true, about: "Private key of the CA, PEM." },
    certPem: { type: "string", about: "The leaf, PEM." },
    chainPem: { type: "string", about: "Leaf and CA, PEM." },
    keyPem: { type: "string", secret: true, about: "Private key of the leaf, PEM." },
  },

  async check(context, news, olds): Promise<Checked> {
    const failures = problemsOf(news);
    if (failures.length > 0) return { failures };
    const { validDays = DAYS.valid, renewBeforeDays = DAYS.before } = news;
    const now = context.now().getTime();
    const fresh = olds?.notAfter !== undefined && Date.parse(olds.notAfter) - now > renewBeforeDays * DAY_MS;
    // By the day: a preview and the `up` after it say the same.
    const end = new Date(Math.floor(now / DAY_MS) * DAY_MS + (validDays + 1) * DAY_MS);
    return { computed: { notAfter: fresh ? (olds?.notAfter as string) : end.toISOString() } };
  },

  async create(context, inputs) {
    const now = context.now().getTime();
    const ca = await makeCa({ name: `${inputs.commonName} CA`, notAfter: new Date(now + CA_DAYS * DAY_MS), now });
    return {
      id: new X509Certificate(ca.certPem).serialNumber.toLowerCase(),
      outputs: await leafOf(context, ca, inputs),
    };
  },

  async update(context, { outputs }, inputs) {
    return leafOf(context, { certPem: outputs.caPem, keyPem: outputs.caKeyPem }, inputs);
  },

  /** It lives in the state alone. Whoever still uses it keeps it. */
  async delete() {},
};

async function leafOf(context: Context, ca: Pair, { commonName, hosts = [], notAfter }: Inputs): Promise<Outputs> {
  const end = new Date(notAfter ?? "");
  const caEnd = new Date(new X509Certificate(ca.certPem).validTo);
  if (caEnd < end) {
    const remedy = "Replace it (pulumi up --replace): every step gets a new identity, since guests pin the CA";
    throw new ProviderError("INPUT", `the CA ends on ${caEnd.toISOString()}, before a new leaf would. ${remedy}`);
  }
  const now = context.now().getTime();
  const { certPem, keyPem } = await makeLeaf({ ca, name: commonName, hosts, notAfter: end, now });
  return { caPem: ca.certPem, caKeyPem: ca.keyPem, certPem, chainPem: certPem + ca.certPem, keyPem };
}

function problemsOf({ commonName, hosts, validDays = DAYS.valid, renewBeforeDays = DAYS.before }: Partial<Inputs>) {
  const failures: Failure[] = [];
  if (commonName !== undefined && !/^[A-Za-z0-9 ._-]{1,48}$/.test(commonName)) {
    failures.push({ property: "commonName", reason: `"${commonName}" is not 1 to 48 of A-Z, a-z, 0-9, space, . _ -` });
  }
  for (const host of hosts ?? []) {
    if (isIP(host) === 0 && !HOST.test(host)) {
      failures.push({ property: "hosts", reason: `"${host}" is neither a DNS name in lower case nor an IP address` });
    }
  }
  if (!(Number.isInteger(validDays) && validDays >= 2 && validDays <= DAYS.most)) {
    failures.push({ property: "validDays", reason: `${validDays} is not a whole number from 2 to ${DAYS.most}` });
  }
  if (!(Number.isInteger(renewBeforeDays) && renewBeforeDays >= 1 && renewBeforeDays < validDays)) {
    failures.push({ property: "renewBeforeDays", reason: `${renewBeforeDays} is not a whole number below validDays` });
  }
  return failures;
}
