/**
 * The database of a ledger in production, on the real engine and a real API server: runs are lost with it, so neither
 * another place nor another name nor a destroy takes it unless the program says so. The database's operator is played.
 */
import { readFileSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { DAY_MS, makeCa } from "../../../relying-party/tls";
import { type Cluster, clusterMissing, startCluster } from "../../../tools/cluster";
import { kubernetesProviderEnvironment } from "../../../tools/kubernetes-provider";
import { clusterOf, KubernetesClient } from "../../../untrusted/kubernetes";
import { CLUSTER_CRD, provideDatabases } from "../../support/cloud-native-pg";
import { createProject, type Project } from "../../support/project";

jest.setTimeout(300_000);
const missing = clusterMissing();
if (missing) console.log(`skipped: a production ledger's database: ${missing}`);

const PROGRAM = `
const { RunLedger } = require("sealflow/kubernetes");
const { name, opts, ...more } = JSON.parse(require("node:fs").readFileSync(__dirname + "/../args.json", "utf8"));
const digest = "@sha256:" + "a".repeat(64);
const certManager = { issuerRef: { name: "private", kind: "ClusterIssuer" }, caPem: require("node:fs").readFileSync(__dirname + "/../ca.pem", "utf8") };
new RunLedger(name, { host: "ledger.example", image: "ledger" + digest, kbsUrl: "https://kbs.example",
  certificate: { certManager }, database: { cloudNativePg: { image: "postgresql" + digest, size: "1Gi" } }, objectsClaim: "objects", guests: "elsewhere", ...more }, opts);
`;
/** The state, and what it stands on; pods of the ledger itself need a node. */
const STATE = ["RunLedger::", "LedgerKeys::", "Namespace::", "NetworkPolicy::*-database", "Cluster::"].flatMap(
  (part) => ["--target", `**${part}**`],
);

(missing ? describe.skip : describe)("a production ledger's database", () => {
  let project: Project;
  let cluster: Cluster;
  let api: KubernetesClient;
  let env: NodeJS.ProcessEnv;
  const ended = new AbortController();
  let operator: Promise<void>;

  beforeAll(async () => {
    project = createProject(PROGRAM);
    const now = Date.now();
    const { certPem } = await makeCa({ name: "private", notAfter: new Date(now + DAY_MS), now });
    project.write("ca.pem", certPem);
    env = { ...kubernetesProviderEnvironment(), KUBECONFIG: path.join(project.dir, "kubeconfig") };
    cluster = await startCluster();
    writeFileSync(String(env.KUBECONFIG), readFileSync(cluster.kubeconfig), { mode: 0o600 });
    api = new KubernetesClient(clusterOf(readFileSync(cluster.kubeconfig, "utf8"), cluster.kubeconfig));
    await api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", CLUSTER_CRD);
    operator = provideDatabases(api, { url: "postgres://l:p@db/l", caPem: certPem }, ended.signal);
    await project.ok(["stack", "init", "dev"], env);
    write({});
    await project.ok(["up", "--yes", "--skip-preview", "-s", "dev", ...STATE], env);
  });
  afterAll(async () => {
    ended.abort();
    await operator;
    api?.close();
    await cluster?.stop();
    project?.remove();
  });

  const write = (more: object) => project.write("args.json", JSON.stringify({ name: "ledger", ...more }));
  const uid = async (): Promise<unknown> =>
    (await api.get("/apis/postgresql.cnpg.io/v1/namespaces/ledger/clusters/ledger-database")).metadata.uid;
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await project.pulumi([...args, "-s", "dev"], env);
    return { code, text: stdout + stderr };
  };
  const WHAT_TO_DO = /(marked for protection|it is protected)\. To unprotect the resource,.*remove the `protect` flag/s;

  it.each([
    ["another namespace", { namespace: "other" }, /unable to replace resource .*::ledger-namespace"/],
    ["another name of the component", { name: "renamed" }, /::ledger-(database|keys|namespace)" cannot be deleted/],
  ])("%s is refused before anything changes", async (_what, more, message) => {
    const before = await uid();
    write(more);
    const { code, text } = await run("preview");
    expect(code).not.toBe(0);
    expect(text).toMatch(message);
    expect(text).toMatch(WHAT_TO_DO);
    expect(await uid()).toBe(before);
  });

  it("another name with the old one as its alias keeps it", async () => {
    write({ name: "renamed", opts: { aliases: [{ name: "ledger" }] } });
    const before = await uid();
    await project.ok(["up", "--yes", "--skip-preview", "-s", "dev", ...STATE], env);
    expect(await uid()).toBe(before);
    expect(Object.keys(await project.state())).toContain("renamed-database");
  });

  it("a destroy stops at it, and goes on once an update with deleteState has given it up", async () => {
    const before = await uid();
    const refused = await run("destroy", "--yes", "--skip-preview");
    expect(refused.code).not.toBe(0);
    expect(refused.text).toMatch(WHAT_TO_DO);
    expect(await uid()).toBe(before);
    write({ name: "renamed", opts: { aliases: [{ name: "ledger" }] }, deleteState: true });
    await project.ok(["up", "--yes", "--skip-preview", "-s", "dev", ...STATE], env);
    await project.ok(["destroy", "--yes", "--skip-preview", "-s", "dev"], env);
    await expect(uid()).rejects.toThrow(/not found/i);
  });
});
