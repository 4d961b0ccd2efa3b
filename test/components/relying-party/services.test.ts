import { createPrivateKey, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { ExistingCluster } from "../../../components/platform/existing-cluster";
import { clusterProvider } from "../../../components/platform/provider";
import { workloadProvider } from "../../../components/platform/workload-provider";
import { CloudNativePg } from "../../../components/relying-party/cloud-native-pg";
import { RunLedger, type RunLedgerArgs } from "../../../components/relying-party/run-ledger";
import type { CertManagerTls } from "../../../components/relying-party/tls";
import { Trustee, type TrusteeArgs } from "../../../components/relying-party/trustee";
import {
  databaseObjects,
  databaseSecrets,
  issuedCertificate,
  pinnedCaProblems,
  startDigest,
} from "../../../policy/services";
import { VERSIONS } from "../../../policy/versions";
import { DAY_MS, makeCa, makeLeaf } from "../../../relying-party/tls";
import { TlsCertificate } from "../../../resources/tls-certificate";

interface Registered {
  readonly type: string;
  readonly name: string;
  readonly inputs: Record<string, unknown>;
}
const registered: Registered[] = [];
const warnings: string[] = [];

beforeAll(() => {
  pulumi.runtime.setMocks({
    newResource: ({ type, name, inputs }) => {
      registered.push({ type, name, inputs });
      const made = Object.fromEntries(
        ["caPem", "certPem", "chainPem", "keyPem", "publicKeyPem", "seed", "urlSeed", "ledgerKey"].map((key) => [
          key,
          `${name}-${key}`,
        ]),
      );
      return { id: `${name}-id`, state: { ...inputs, ...made } };
    },
    call: () => ({}),
  });
  jest.spyOn(pulumi.log, "warn").mockImplementation(async (text) => void warnings.push(text));
});
beforeEach(() => {
  registered.length = 0;
  warnings.length = 0;
});

const DIGEST = `@sha256:${"a".repeat(64)}`;
const DATABASE = "postgres://kbs:PASSWORD-MARKER@db.example:6432/trustee";
const TRUSTEE: TrusteeArgs = {
  hosts: ["kbs.example"],
  image: `kbs${DIGEST}`,
  database: DATABASE,
  databaseImage: `postgres${DIGEST}`,
  guests: "elsewhere",
};
let clusters = 0;
const guests = () =>
  new ExistingCluster(`guests-${clusters++}`, {
    platform: "baremetal-snp",
    kubeconfig: "k",
    guestImage: { defaultPolicy: "deny" },
  });
/** What environments take of a ledger beside a key broker. */
const referenceOf = (name: string, { kbsUrl, certificate }: Trustee): Promise<unknown> => {
  const { reference } = new RunLedger(name, {
    host: "ledger.example",
    image: `ledger${DIGEST}`,
    kbsUrl,
    certificate,
    database: "postgres://l:p@db/l",
    objectsClaim: "objects",
    guests: "elsewhere",
  });
  return new Promise((resolve) => pulumi.output(reference).apply(resolve));
};
const settled = () => new Promise((resolve) => setTimeout(resolve, 300));
const REASON = "a cluster of our own to try things out";

describe("a relying party beside the guests that it is meant to distrust", () => {
  it("is refused for production, whatever the reason", () => {
    const platform = guests();
    const provider = clusterProvider(platform) as k8s.Provider;
    const args = { ...TRUSTEE, guests: platform, provider, acknowledgeSameCluster: REASON };
    expect(() => new Trustee("t", args)).toThrow(/could read its keys.*owner's own/);
  });

  it("is refused in development without a reason, and said aloud and kept searchable with one", async () => {
    const platform = guests();
    const provider = clusterProvider(platform) as k8s.Provider;
    const { database: _d, databaseImage: _i, ...rest } = TRUSTEE;
    const args = { ...rest, guests: platform, provider, mode: "development" as const };
    expect(() => new Trustee("t", args)).toThrow(/acknowledgeSameCluster: "<reason>"/);
    new Trustee("t", { ...args, acknowledgeSameCluster: REASON });
    await settled();
    expect(warnings.join()).toContain(REASON);
    const namespace = registered.find(({ type }) => type.endsWith("core/v1:Namespace"));
    expect(namespace?.inputs).toMatchObject({ metadata: { annotations: { acknowledgeSameCluster: REASON } } });
  });

  it.each<[string, (platform: ExistingCluster, provider: k8s.Provider) => Trustee]>([
    [
      "as the provider of its options",
      (platform, p) => new Trustee("t", { ...TRUSTEE, guests: platform }, { provider: p }),
    ],
    ["as one of several", (platform, p) => new Trustee("t", { ...TRUSTEE, guests: platform }, { providers: [p] })],
    [
      "as the provider of its parent",
      (platform, p) => {
        const parent = new pulumi.ComponentResource("test:index:Parent", "parent", {}, { providers: [p] });
        return new Trustee("t", { ...TRUSTEE, guests: platform }, { parent });
      },
    ],
    [
      "as the provider of workloads",
      (platform) => {
        const provider = workloadProvider("workloads", platform, platform);
        return new Trustee("t", { ...TRUSTEE, guests: platform, provider });
      },
    ],
  ])("is found %s, too", (_how, deploy) => {
    const platform = guests();
    expect(() => deploy(platform, clusterProvider(platform) as k8s.Provider)).toThrow(/could read its keys/);
  });

  it("is found without guests, too, when its provider is of a platform", () => {
    const provider = clusterProvider(guests()) as k8s.Provider;
    const { guests: _, ...rest } = TRUSTEE;
    expect(() => new Trustee("t", { ...rest, provider })).toThrow(/could read its keys/);
    expect(() => new Trustee("t", { ...rest, provider, guests: "elsewhere" })).toThrow(/could read its keys/);
    const several = [guests(), guests()];
    const last = clusterProvider(several[1] as ExistingCluster) as k8s.Provider;
    expect(() => new Trustee("t", { ...rest, guests: several, provider: last })).toThrow(/could read its keys/);
  });

  it("cannot be seen without guests: production has to say where they are, development is told", async () => {
    const { guests: _, database: _d, databaseImage: _i, ...rest } = TRUSTEE;
    expect(() => new Trustee("t", { ...TRUSTEE, guests: undefined as never })).toThrow(
      /guests: missing.*"elsewhere" where another program deploys it/,
    );
    expect(() => new Trustee("t", { ...TRUSTEE, guests: [] })).toThrow(/guests: missing/);
    new Trustee("t", { ...rest, mode: "development" });
    await settled();
    expect(warnings.join()).toMatch(/guests: of no platform here, so nobody looks/);
    warnings.length = 0;
    new Trustee("told", { ...rest, mode: "development", guests: "elsewhere" });
    await settled();
    expect(warnings).toEqual([]);
  });

  it("cannot be seen where guests are elsewhere, so its owner may say it in development, and never in production", async () => {
    const { database: _d, databaseImage: _i, ...rest } = TRUSTEE;
    new Trustee("said", { ...rest, mode: "development", acknowledgeSameCluster: REASON });
    await settled();
    expect(warnings.join()).toContain(REASON);
    expect(() => new Trustee("t", { ...TRUSTEE, acknowledgeSameCluster: REASON })).toThrow(/Remove it/);
  });

  it("elsewhere needs no reason, and one that is given is a misunderstanding", () => {
    const provider = new k8s.Provider("own", { kubeconfig: "own" });
    expect(() => new Trustee("t", { ...TRUSTEE, guests: guests(), provider, acknowledgeSameCluster: REASON })).toThrow(
      /another cluster than guests. Remove it/,
    );
  });
});

describe("Trustee", () => {
  it("puts keys and the database's password into Secrets, and into nothing else", async () => {
    new Trustee("t", TRUSTEE);
    await settled();
    const open = registered.filter(({ type }) => !type.endsWith("core/v1:Secret"));
    expect(JSON.stringify(open)).not.toMatch(/PASSWORD-MARKER|-keyPem/);
    const secrets = registered.filter(({ type }) => type.endsWith("core/v1:Secret"));
    expect(JSON.stringify(secrets)).toMatch(/PASSWORD-MARKER/);
    expect(JSON.stringify(secrets)).not.toContain('"admin.key"');
  });

  it("keeps its database's URL, which its storage writes at the level info, out of its log", async () => {
    new Trustee("log", TRUSTEE);
    await settled();
    const deployment = registered.find(({ name }) => name === "log-deployment");
    expect(JSON.stringify(deployment?.inputs)).toContain('{"name":"RUST_LOG","value":"info,key_value_storage=warn"}');
  });

  it.each<[string, Partial<TrusteeArgs>, RegExp]>([
    ["one replica", { replicas: 1 }, /replicas is 1/],
    ["an image by tag", { image: "kbs:v0.22.0" }, /not pinned by digest/],
    ["no host", { hosts: [] }, /hosts: empty/],
    ["a third mode", { mode: "demo" as never }, /neither "production" nor "development"/],
  ])("%s in production is refused", (_title, more, message) => {
    expect(() => new Trustee("t", { ...TRUSTEE, ...more })).toThrow(message);
  });

  it("in production without a database is refused: a restart would bring default policies back", () => {
    const { database: _d, databaseImage: _i, ...rest } = TRUSTEE;
    expect(() => new Trustee("t", rest)).toThrow(/a restart loses keys, grants and policies/);
  });

  it("a database URL that is none is refused without being quoted", () => {
    expect(() => databaseSecrets("mysql://u:PASSWORD-MARKER@h/d")).toThrow(/^(?!.*PASSWORD-MARKER).*postgres:\/\//);
    expect(databaseSecrets("postgres://u:p%40ss@h/d")).toMatchObject({ PGPASSWORD: "p@ss", PGPORT: "5432" });
  });
});

describe("RunLedger", () => {
  it("gives the reference that environments take, under the key broker's CA", async () => {
    const trustee = new Trustee("t", TRUSTEE);
    const reference = await referenceOf("l", trustee);
    expect(reference).toEqual({
      kbsUrl: "https://kbs.example:8080",
      ledgerUrl: "https://ledger.example:8443",
      caPem: "t-tls-caPem",
      ledgerKey: "l-keys-ledgerKey",
    });
  });

  it("replicas without a common place for objects are refused", () => {
    const certificate = new Trustee("t", TRUSTEE).certificate;
    const args = {
      host: "l.example",
      image: `l${DIGEST}`,
      kbsUrl: "https://k",
      certificate,
      database: "postgres://l:p@d/l",
      guests: "elsewhere" as const,
    };
    expect(() => new RunLedger("l", args)).toThrow(/ReadWriteMany/);
  });

  const args = () => ({
    host: "l.example",
    image: `l${DIGEST}`,
    kbsUrl: "https://k",
    certificate: new Trustee("t", TRUSTEE).certificate,
    database: "postgres://l:p@d/l",
    guests: "elsewhere" as const,
  });
  const BLOB = {
    kind: "azure-blob",
    retentionSeconds: 60,
    url: pulumi.output("https://a.blob.core.windows.net/objects"),
  };
  const found = (ledger: string, kind: string) =>
    registered.filter(({ type, name }) => type.endsWith(kind) && name.startsWith(`${ledger}-`));

  it("signs in to its container by the managed identity of its service account; replicas need no volume", async () => {
    new RunLedger("blob", { ...args(), storage: BLOB, identity: { azureClientId: "client" } });
    await settled();
    const [account] = found("blob", "ServiceAccount");
    expect(account?.inputs).toMatchObject({
      metadata: { annotations: { "azure.workload.identity/client-id": "client" } },
    });
    const text = JSON.stringify(found("blob", "Deployment"));
    expect(text).toContain('"azure.workload.identity/use":"true"');
    expect(text).toContain('{"name":"SEALFLOW_LEDGER_STORE","value":"https://a.blob.core.windows.net/objects"}');
    expect(text).not.toMatch(/SEALFLOW_LEDGER_OBJECTS|persistentVolumeClaim/);
  });

  it("signs in to its bucket by the role of its service account", async () => {
    const storage = { kind: "s3", retentionSeconds: 60, url: "s3://sealed?region=us-east-2" };
    new RunLedger("bucket", { ...args(), storage, identity: { awsRoleArn: "arn:aws:iam::1:role/ledger" } });
    await settled();
    expect(JSON.stringify(found("bucket", "ServiceAccount"))).toContain(
      '"eks.amazonaws.com/role-arn":"arn:aws:iam::1:role/ledger"',
    );
  });

  it("credentials of another S3 endpoint are in its Secret, and in nothing else", async () => {
    const storage = { kind: "s3", retentionSeconds: 60, url: "s3://sealed?endpoint=https://s3.example.org" };
    new RunLedger("other", {
      ...args(),
      storage,
      storeCredentials: "[default]\naws_secret_access_key = PASSWORD-MARKER\n",
    });
    await settled();
    expect(JSON.stringify(found("other", "core/v1:Secret"))).toContain("PASSWORD-MARKER");
    const open = registered.filter(({ type }) => !type.endsWith("core/v1:Secret"));
    expect(JSON.stringify(open)).not.toContain("PASSWORD-MARKER");
    expect(JSON.stringify(open)).toContain("/run/ledger/secrets/store-credentials");
  });

  it.each([
    [
      "a storage without a way to sign in",
      { storage: { ...BLOB, url: "https://a.blob.core.windows.net/o" } },
      /identity: missing/,
    ],
    [
      "an identity without a storage",
      { objectsClaim: "o", identity: { azureClientId: "c" } },
      /for a storage with a URL/,
    ],
    [
      "a volume beside a storage",
      {
        storage: { ...BLOB, url: "https://a.blob.core.windows.net/o" },
        objectsClaim: "o",
        identity: { azureClientId: "c" },
      },
      /objectsClaim: objects go to the storage/,
    ],
  ])("%s is refused", (_title, more, message) => {
    expect(() => new RunLedger("l", { ...args(), ...more })).toThrow(message);
  });
});

describe("a certificate of cert-manager", () => {
  const now = Date.now();
  const days = (n: number) => new Date(now + n * DAY_MS);
  let ca: { certPem: string; keyPem: string };
  let leafPem: string;
  beforeAll(async () => {
    ca = await makeCa({ name: "private", notAfter: days(30), now });
    leafPem = (await makeLeaf({ ca, name: "kbs", hosts: ["kbs.example"], notAfter: days(2), now })).certPem;
  });
  const certificate = (): CertManagerTls => ({
    certManager: { issuerRef: { name: "private", kind: "ClusterIssuer" }, caPem: ca.certPem, durationHours: 720 },
  });
  const found = (name: string) => registered.find((resource) => resource.name === name)?.inputs;

  it("serves both services under their own names; guests pin the given root, and no key is in the stack", async () => {
    const trustee = new Trustee("ct", { ...TRUSTEE, hosts: ["kbs.example", "10.0.0.7"], certificate: certificate() });
    const reference = await referenceOf("cl", trustee);
    await settled();
    expect(reference).toMatchObject({ caPem: ca.certPem });
    expect(found("ct-certificate")).toMatchObject({
      apiVersion: "cert-manager.io/v1",
      kind: "Certificate",
      metadata: { name: "trustee-tls", namespace: "trustee" },
      spec: {
        secretName: "trustee-tls",
        dnsNames: ["kbs.example"],
        ipAddresses: ["10.0.0.7"],
        issuerRef: { name: "private", kind: "ClusterIssuer", group: "cert-manager.io" },
        duration: "720h0m0s",
        privateKey: { algorithm: "ECDSA", size: 256, encoding: "PKCS8", rotationPolicy: "Always" },
      },
    });
    expect(found("cl-certificate")).toMatchObject({ spec: { secretName: "ledger-tls", dnsNames: ["ledger.example"] } });
    expect(secretFiles(found("ct-deployment"))).toMatchObject({
      "tls.key": "trustee-tls",
      "token.key": "trustee-files",
    });
    expect(secretFiles(found("cl-deployment"))).toMatchObject({
      "tls.crt": "ledger-tls",
      "ledger.key": "ledger-secrets",
    });
    expect(Object.keys(found("ct-files")?.stringData as object)).not.toContain("tls.key");
    expect(registered.filter(({ type, name }) => type.endsWith(":TlsCertificate") && name === "ct-tls")).toEqual([]);
  });

  it.each<[string, () => string, RegExp]>([
    ["a leaf, which the next renewal replaces", () => leafPem, /is no CA/],
    ["two roots, of which guests would take one", () => ca.certPem + ca.certPem, /2 certificates in PEM/],
    ["no certificate", () => "kbs.example", /0 certificates in PEM/],
    ["its key beside it, which would become public", () => ca.keyPem + ca.certPem, /private key, and is public/],
    ["a certificate of OpenSSL's own form", () => ca.certPem.replaceAll("CERT", "TRUSTED CERT"), /TRUSTED CERTIFICATE/],
    ["another text beside it", () => `subject=CN = ours\n${ca.certPem}`, /other text; expected one alone/],
    ["a damaged one", () => ca.certPem.replace(/[A-Za-z0-9]{40}/, "A".repeat(40)), /caPem/],
  ])("%s is refused as the CA to pin", (_title, pem, message) => {
    const { certManager } = certificate();
    const wrong = { certManager: { ...certManager, caPem: pem() } };
    expect(() => new Trustee("t", { ...TRUSTEE, certificate: wrong })).toThrow(message);
  });

  it("a root that has ended is refused, and so is an intermediate", async () => {
    expect(pinnedCaProblems(ca.certPem, days(31)).join()).toMatch(/ended on .*believe nothing/);
    expect(pinnedCaProblems(await intermediateOf(ca, days(20)), days(0)).join()).toMatch(
      /is issued by CN=private.*give the root/,
    );
  });

  it("every problem of the request is told at once", () => {
    const args = { name: "t", namespace: "t", secret: "t", hosts: ["*.example"], hours: 0.5 };
    expect(() => issuedCertificate({ ...args, issuerRef: { name: "", kind: "" } })).toThrow(
      /issuerRef.name.*issuerRef.kind.*durationHours.*\*\.example/,
    );
  });

  it("names of a ledger are refused where it gets a certificate of its own", () => {
    const args = { ...TRUSTEE, ledgerHosts: ["ledger.example"], certificate: certificate() };
    expect(() => new Trustee("t", args)).toThrow(/ledgerHosts: cert-manager issues the ledger/);
  });
});

describe("a database of CloudNativePG", () => {
  const PG = { image: `postgresql${DIGEST}`, size: "10Gi" };
  const found = (name: string) => registered.find((resource) => resource.name === name)?.inputs;
  const made = async (mode: "production" | "development" = "production") => {
    const { databaseImage: _, ...rest } = TRUSTEE;
    const trustee = new Trustee("dt", { ...rest, mode, database: { cloudNativePg: PG } });
    new RunLedger("dl", {
      mode,
      host: "ledger.example",
      image: `ledger${DIGEST}`,
      kbsUrl: trustee.kbsUrl,
      certificate: trustee.certificate,
      database: { cloudNativePg: { ...PG, storageClass: "fast" } },
      objectsClaim: "objects",
      guests: "elsewhere",
    });
    await settled();
  };

  it("keeps an answered commit through the loss of any instance, and gives no password to the stack", async () => {
    await made();
    expect(found("dl-database")).toMatchObject({
      kind: "Cluster",
      metadata: {
        name: "ledger-database",
        namespace: "ledger",
        annotations: { "pulumi.com/waitFor": "condition=Ready" },
      },
      spec: {
        imageName: PG.image,
        instances: 3,
        bootstrap: { initdb: { database: "ledger", owner: "ledger" } },
        enableSuperuserAccess: false,
        enablePDB: true,
        storage: { size: "10Gi", storageClass: "fast" },
        postgresql: {
          synchronous: { method: "any", number: 1, dataDurability: "required" },
          pg_hba: ["hostnossl all all all reject"],
        },
      },
    });
    expect(Object.keys(found("dl-secrets")?.stringData as object)).not.toContain("database-url");
    expect(registered.filter(({ name }) => name === "dt-database" && found(name)?.kind === "Secret")).toEqual([]);
  });

  it("is reached with the URL and the CA that its operator writes; the broker's tables are made with its own psql", async () => {
    await made();
    expect(secretFiles(found("dl-deployment"))).toMatchObject({
      "database-url": "ledger-database-app/uri",
      "database-ca.crt": "ledger-database-ca/ca.crt",
    });
    const trustee = JSON.stringify(found("dt-deployment"));
    expect(trustee).toContain(
      '"name":"POSTGRES_URL","valueFrom":{"secretKeyRef":{"key":"uri","name":"trustee-database-app"}}',
    );
    expect(trustee).toContain(
      '"name":"PGDATABASE","valueFrom":{"secretKeyRef":{"key":"dbname","name":"trustee-database-app"}}',
    );
    expect(trustee).toContain(`"image":"${PG.image}"`);
  });

  it("is open to its service, its instances and the operator, and to nobody else", async () => {
    await made();
    const { spec } = found("dl-database-network") as { spec: { ingress: { from: object[] }[] } };
    expect(spec.ingress.map(({ from }) => from)).toEqual([
      [{ podSelector: { matchLabels: { "app.kubernetes.io/name": "ledger" } } }],
      [{ podSelector: { matchLabels: { "cnpg.io/cluster": "ledger-database" } } }],
      [
        {
          namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "cnpg-system" } },
          podSelector: { matchLabels: { "app.kubernetes.io/name": "cloudnative-pg" } },
        },
      ],
    ]);
  });

  it("is one instance in development, which a drained node may take along", async () => {
    await made("development");
    expect(found("dt-database")?.spec).toMatchObject({ instances: 1, enablePDB: false, postgresql: {} });
    expect(found("dt-database")?.spec).not.toHaveProperty("postgresql.synchronous");
  });

  it("every problem is told at once", () => {
    const place = { service: "ledger", namespace: "l", production: true, tlsOnly: true };
    expect(() => databaseObjects({ ...place, image: "postgres:18", instances: 2, size: "10" })).toThrow(
      /image "postgres:18".*instances is 2; production needs 3.*size "10"/,
    );
  });

  it("its operator comes from the pinned chart, before the database", async () => {
    const operator = new CloudNativePg("cnpg");
    await settled();
    expect(found("cnpg-operator")).toMatchObject({
      chart: "oci://ghcr.io/cloudnative-pg/charts/cloudnative-pg",
      version: VERSIONS.charts.cloudNativePg,
      namespace: "cnpg-system",
      createNamespace: true,
    });
    expect(operator.urn).toBeDefined();
  });
});

describe("what a service reads at its start only", () => {
  type Made = { template: Record<string, string>; text: string };
  /** Annotations of the pods of both. */
  const pods = async (
    trustee: Partial<TrusteeArgs> = {},
    ledger: Partial<RunLedgerArgs> = {},
  ): Promise<Record<"broker" | "ledger", Made>> => {
    registered.length = 0;
    const { certificate, kbsUrl } = new Trustee("st", { ...TRUSTEE, ...trustee });
    const storage = { kind: "s3", retentionSeconds: 60, url: "s3://sealed?endpoint=https://s3.example.org" };
    new RunLedger("sl", {
      host: "l.example",
      image: `l${DIGEST}`,
      kbsUrl,
      certificate,
      database: "postgres://l:p@db/l",
      guests: "elsewhere",
      storage,
      storeCredentials: "credentials",
      ...ledger,
    });
    await settled();
    const of = (name: string): Made => {
      const deployment = registered.find((resource) => resource.name === name)?.inputs as never as {
        spec: { template: { metadata: { annotations: Record<string, string> } } };
      };
      return { template: deployment.spec.template.metadata.annotations, text: JSON.stringify(deployment) };
    };
    return { broker: of("st-deployment"), ledger: of("sl-deployment") };
  };

  it("rolls the pods when it changes: a database's URL, keys", async () => {
    const before = await pods();
    expect(await pods()).toEqual(before);
    const after = await pods({ database: "postgres://kbs:another@db/trustee" }, { database: "postgres://l:q@db/l" });
    expect(after.broker.template["sealflow.start"]).not.toBe(before.broker.template["sealflow.start"]);
    expect(after.ledger.template["sealflow.start"]).not.toBe(before.ledger.template["sealflow.start"]);
  });

  it("a certificate, and credentials of a store, which are read again, roll nothing", async () => {
    const before = await pods();
    expect((await pods({}, { storeCredentials: "others" })).ledger.template).toEqual(before.ledger.template);
    const another = new TlsCertificate("another", { commonName: "another" });
    expect((await pods({ certificate: another })).broker.template).toEqual(before.broker.template);
  });

  it("another identity rolls the ledger: its webhook looks at the account when a pod is made", async () => {
    const roles = ["one", "two"].map((role) => ({ awsRoleArn: `arn:aws:iam::1:role/${role}` }));
    const [one, two] = [
      await pods({}, { storeCredentials: undefined as never, identity: roles[0] as never }),
      await pods({}, { storeCredentials: undefined as never, identity: roles[1] as never }),
    ];
    expect(one.ledger.template).not.toEqual(two.ledger.template);
  });

  it("is in the pods' template as a digest under a key that only the Secret has, so that no password can be tried", async () => {
    const { broker, ledger } = await pods();
    for (const { template, text } of [broker, ledger]) {
      // In clear, not as a secret of the stack, which would hide what a preview changes.
      expect(template["sealflow.start"]).toMatch(/^[0-9a-f]{32}$/);
      expect(text).not.toMatch(/PASSWORD-MARKER|l:p@db|-seed|-urlSeed|-keyPem/);
    }
    const files = { "database-url": "postgres://l:p@db/l" };
    expect(startDigest("one key", files)).not.toBe(startDigest("another key", files));
    expect(startDigest("k", { a: "1", b: "2" })).toBe(startDigest("k", { b: "2", a: "1" }));
    expect(startDigest("k", { a: "12", b: "" })).not.toBe(startDigest("k", { a: "1", b: "2" }));
  });
});

describe("what cannot be made again", () => {
  // Mocks are not told of it: the resources themselves know, by their own options or their parent's.
  const made: { name: string; resource: pulumi.Resource }[] = [];
  const seen = {
    transformations: [({ name, resource }: pulumi.ResourceTransformationArgs) => void made.push({ name, resource })],
  };
  const protectedNames = () =>
    made
      .splice(0)
      .filter(({ resource }) => pulumi.CustomResource.isInstance(resource) && Reflect.get(resource, "__protect"))
      .map(({ name }) => name)
      .sort();
  const PG = { cloudNativePg: { image: `postgresql${DIGEST}`, size: "10Gi" } };
  const kept = async (more: Partial<RunLedgerArgs> = {}, options: pulumi.ComponentResourceOptions = {}) => {
    const opts = { ...options, ...seen };
    const { databaseImage: _, ...rest } = TRUSTEE;
    const trustee = new Trustee("kt", { ...rest, ...more, hosts: ["kbs.example"], database: PG } as TrusteeArgs, opts);
    const ledger = { host: "l.example", image: `l${DIGEST}`, kbsUrl: trustee.kbsUrl, certificate: trustee.certificate };
    new RunLedger("kl", { ...ledger, database: PG, objectsClaim: "objects", guests: "elsewhere", ...more }, opts);
    await settled();
    return protectedNames();
  };

  it("is protected in production: databases, the namespaces that they go with, the ledger's keys", async () => {
    expect(await kept()).toEqual(["kl-database", "kl-keys", "kl-namespace", "kt-database", "kt-namespace"]);
  });

  it("a volume of objects goes with the namespace, too; a database elsewhere does not", async () => {
    expect(await kept({ database: "postgres://l:p@db/l" })).toContain("kl-namespace");
    const storage = { kind: "s3", retentionSeconds: 60, url: "s3://sealed" };
    const { certificate, kbsUrl } = new Trustee("t", TRUSTEE, seen);
    const elsewhere = {
      storage,
      identity: { awsRoleArn: "arn:aws:iam::1:role/l" },
      database: DATABASE,
      guests: "elsewhere" as const,
    };
    new RunLedger("l", { host: "l.example", image: `l${DIGEST}`, kbsUrl, certificate, ...elsewhere }, seen);
    await settled();
    expect(protectedNames()).toEqual(["l-keys"]);
  });

  it("is given up by deleteState, and not kept in development", async () => {
    expect(await kept({ deleteState: true })).toEqual([]);
    expect(await kept({ mode: "development" })).toEqual([]);
  });

  it("protect of the component counts all the same", async () => {
    expect(await kept({ mode: "development" }, { protect: true })).toContain("kl-database");
  });
});

/** Where each file of a Deployment's Secrets is from: its Secret, with the key where that has another name. */
function secretFiles(deployment: unknown): Record<string, string> {
  const { volumes } = (deployment as { spec: { template: { spec: { volumes: Volume[] } } } }).spec.template.spec;
  const secrets = volumes.flatMap(({ projected }) => projected?.sources ?? []).map(({ secret }) => secret);
  return Object.fromEntries(
    secrets.flatMap(({ name, items }) => items.map(({ key, path }) => [path, key === path ? name : `${name}/${key}`])),
  );
}
interface Volume {
  projected?: { sources: { secret: { name: string; items: { key: string; path: string }[] } }[] };
}

/** A CA that another one issued: what issuers have that are not a root. */
async function intermediateOf(root: { certPem: string; keyPem: string }, notAfter: Date): Promise<string> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
  const der = createPrivateKey(root.keyPem).export({ format: "der", type: "pkcs8" });
  const signingKey = await webcrypto.subtle.importKey("pkcs8", new Uint8Array(der), algorithm, false, ["sign"]);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: "CN=intermediate",
    issuer: new x509.X509Certificate(root.certPem).subject,
    notAfter,
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: algorithm,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  });
  return certificate.toString("pem");
}
