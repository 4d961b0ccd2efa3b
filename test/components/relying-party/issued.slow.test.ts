/**
 * Key broker and ledger on a real API server with certificates of cert-manager and a database of CloudNativePG: nothing
 * starts before they are there, and a renewal is served without anybody's doing. The ledger is its real image, on a real
 * PostgreSQL; the broker is played, by its real manifest; both operators are played.
 */
import { X509Certificate } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { connect } from "node:tls";
import { DAY_MS, makeCa, makeLeaf, type Pair } from "../../../relying-party/tls";
import { type Cluster, clusterMissing, NODE_NAME, nodeTlsOf, startCluster } from "../../../tools/cluster";
import { kubernetesProviderEnvironment } from "../../../tools/kubernetes-provider";
import { clusterOf, KubernetesClient } from "../../../untrusted/kubernetes";
import { type KubernetesNode, startKubernetesNode } from "../../../untrusted/node/kubernetes";
import { CERTIFICATE_CRD, issue, issueAll } from "../../support/cert-manager";
import { CLUSTER_CRD, provideDatabases } from "../../support/cloud-native-pg";
import { eventually } from "../../support/cluster-stage";
import { freePort } from "../../support/free-port";
import { makeLedgerImage } from "../../support/ledger-image";
import { type PostgresServer, postgresMissing, startPostgres } from "../../support/postgres";
import { createProject, type Project } from "../../support/project";

jest.setTimeout(300_000);
const missing = clusterMissing() ?? postgresMissing();
if (missing) console.log(`skipped: services with cert-manager: ${missing}`);

/** Serves with the certificate that its configuration names, read once, as Trustee's does. */
const BROKER = `#!/usr/bin/env node
const { readFileSync } = require("node:fs");
const toml = readFileSync(process.argv[3], "utf8");
const [key, cert] = ["private_key", "certificate"].map((name) => readFileSync(new RegExp("^" + name + " = \\"(.*)\\"", "m").exec(toml)[1]));
require("node:https").createServer({ key, cert }, (_request, answer) => answer.end()).listen(8080);
process.on("SIGTERM", () => process.exit(0));
`;
const PROGRAM = `
const pulumi = require("@pulumi/pulumi");
const { RunLedger, Trustee } = require("sealflow/kubernetes");
const config = new pulumi.Config();
const certManager = { issuerRef: { name: "private", kind: "ClusterIssuer" }, caPem: require("node:fs").readFileSync(__dirname + "/../ca.pem", "utf8") };
const trustee = new Trustee("trustee", { mode: "development", hosts: ["127.0.0.1"], image: "kbs:played", certificate: { certManager } });
new RunLedger("ledger", { mode: "development", host: "127.0.0.1", image: config.require("ledger"), kbsUrl: trustee.kbsUrl,
  certificate: trustee.certificate, database: { cloudNativePg: { image: config.require("postgres"), size: "1Gi" } } });
`;

(missing ? describe.skip : describe)("the relying party with what operators of its cluster give it", () => {
  let project: Project;
  let postgres: PostgresServer;
  let cluster: Cluster | undefined;
  let node: KubernetesNode | undefined;
  let api: KubernetesClient;
  let ca: Pair;
  let databaseCa: Pair;
  let env: NodeJS.ProcessEnv;
  let image: string;

  beforeAll(async () => {
    project = createProject(PROGRAM);
    const now = Date.now();
    const notAfter = new Date(now + DAY_MS);
    ca = await makeCa({ name: "private", notAfter, now });
    databaseCa = await makeCa({ name: "database", notAfter, now });
    const leaf = await makeLeaf({ ca: databaseCa, name: "database", hosts: ["localhost"], notAfter, now });
    postgres = await startPostgres({ tls: { ...leaf, port: await freePort() } });
    const ledger = await makeLedgerImage(path.join(project.dir, "ledger"));
    ledger.unpack(path.join(project.dir, "ledger-root"));
    image = `ledger@sha256:${ledger.digest}`;
    const broker = path.join(project.dir, "broker-root/usr/local/bin/kbs");
    mkdirSync(path.dirname(broker), { recursive: true });
    writeFileSync(broker, BROKER);
    chmodSync(broker, 0o755);
    env = { ...kubernetesProviderEnvironment(), KUBECONFIG: path.join(project.dir, "kubeconfig") };
    await project.ok(["stack", "init", "dev"], env);
    project.write("ca.pem", ca.certPem);
    await project.ok(["config", "set", "ledger", image, "-s", "dev"], env);
    await project.ok(["config", "set", "postgres", `postgresql@sha256:${"a".repeat(64)}`, "-s", "dev"], env);
  });
  afterAll(async () => {
    await node?.stop();
    api?.close();
    await cluster?.stop();
    await postgres?.stop();
    project?.remove();
  });

  it("is previewed with neither a cluster nor cert-manager", async () => {
    const said = await project.ok(["preview", "-s", "dev"], env);
    expect(said).toMatch(/ledger-certificate +create/);
    expect(said).toMatch(/trustee-certificate +create/);
  });

  it("serves leaves of the issuer, under the CA that guests pin, once they are there", async () => {
    cluster = await startCluster();
    writeFileSync(String(env.KUBECONFIG), readFileSync(cluster.kubeconfig), { mode: 0o600 });
    api = new KubernetesClient(clusterOf(readFileSync(cluster.kubeconfig, "utf8"), cluster.kubeconfig));
    const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    for (const crd of [CERTIFICATE_CRD, CLUSTER_CRD]) await api.create(definitions, crd);
    node = await startKubernetesNode({
      kubeconfig: readFileSync(cluster.kubeconfigOf("node"), "utf8"),
      name: NODE_NAME,
      home: project.home,
      programs: {
        [image]: { files: path.join(project.dir, "ledger-root") },
        "kbs:played": { files: path.join(project.dir, "broker-root"), bin: path.dirname(process.execPath) },
      },
      tls: nodeTlsOf(cluster),
    });
    const ended = new AbortController();
    const url = await postgres.database();
    const others = [
      issueAll(api, ca, "private", ended.signal),
      provideDatabases(api, { url, caPem: databaseCa.certPem }, ended.signal),
    ];
    try {
      await project.ok(["up", "--yes", "--skip-preview", "-s", "dev"], env);
    } finally {
      ended.abort();
      await Promise.all(others);
    }
    expect(await served(8443, ca)).toBe(await secretOf("ledger"));
    expect(await served(8080, ca)).toBe(await secretOf("trustee"));
    // No key of theirs has been on this machine.
    expect(Object.values(await project.state()).filter(({ urn }) => /TlsCertificate::trustee-tls/.test(urn))).toEqual(
      [],
    );
    await project.ok(["preview", "--expect-no-changes", "-s", "dev"], env);
  });

  it("a renewal is taken up by both, the broker by a new start in the same pod", async () => {
    const before = await podsOf("trustee");
    const renewed = [await issue(api, ca, "ledger", "ledger-tls"), await issue(api, ca, "trustee", "trustee-tls")];
    await eventually("the ledger's", async () => ((await served(8443, ca)) === thumb(renewed[0]) ? true : undefined));
    await eventually(
      "the broker's",
      async () => ((await served(8080, ca).catch(() => "")) === thumb(renewed[1]) ? true : undefined),
      120,
    );
    expect(await podsOf("trustee")).toEqual(before);
  });

  it("a leaf of another issuer is served to nobody who pins the CA", async () => {
    const now = Date.now();
    const other = await makeCa({ name: "other", notAfter: new Date(now + DAY_MS), now });
    await expect(served(8443, other)).rejects.toThrow(/self.signed|unable to/);
  });

  const podsOf = async (namespace: string) =>
    (await api.list(`/api/v1/namespaces/${namespace}/pods`)).items.map(({ metadata }) => metadata.uid);
  async function dataOf(namespace: string, name: string, key: string): Promise<string> {
    const secret = (await api.get(`/api/v1/namespaces/${namespace}/secrets/${name}`)) as unknown as {
      data: Record<string, string>;
    };
    return Buffer.from(secret.data[key] ?? "", "base64").toString();
  }
  const secretOf = async (service: string) => thumb(await dataOf(service, `${service}-tls`, "tls.crt"));
});

const thumb = (pem = ""): string => new X509Certificate(pem).fingerprint256;

/** The leaf that a client gets who believes one CA alone. */
const served = (port: number, ca: Pair): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, ca: ca.certPem }, () => {
      resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? "");
      socket.destroy();
    });
    socket.on("error", reject);
  });
