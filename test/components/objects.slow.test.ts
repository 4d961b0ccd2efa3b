/**
 * Every object that the components send, taken by a real API server that skips no unknown field; and every pod of theirs,
 * held to `restricted` by its Pod Security admission. The exceptions are the table in docs/kubernetes.md, no more, no less.
 */
import { readdirSync, readFileSync } from "node:fs";
import * as path from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";
import {
  argoBackend,
  BareMetal,
  CocoRuntime,
  RunLedger,
  RuntimeInstall,
  type TlsSource,
  Trustee,
} from "../../components/kubernetes";
import { ConfidentialPipeline, EncryptedStorage, environment, image, pipeline, RelyingParty } from "../../index";
import { stepGuest } from "../../policy";
import { DAY_MS, makeCa } from "../../relying-party/tls";
import { type Cluster, clusterMissing, startCluster } from "../../tools/cluster";
import { clusterOf, KubernetesClient } from "../../untrusted/kubernetes";
import { CERTIFICATE_CRD } from "../support/cert-manager";
import { CLUSTER_CRD } from "../support/cloud-native-pg";
import { eventually } from "../support/cluster-stage";

jest.setTimeout(180_000);
const missing = clusterMissing();
if (missing) console.log(`skipped: objects on a real API server: ${missing}`);

const ROOT = path.resolve(__dirname, "../..");
const DIGEST = `@sha256:${"a".repeat(64)}`;
const CA = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const reference = { kbsUrl: "https://kbs.example:8080", ledgerUrl: "https://l.example", caPem: CA, ledgerKey: "k" };
// biome-ignore lint/suspicious/noExplicitAny: objects as the engine gets them, of any kind
type Plain = any;
const registered: { type: string; inputs: Plain }[] = [];

const idOf = (name: string): string =>
  `sf-0123456789abcdef/step/${Buffer.from(name).toString("hex").padEnd(64, "0").slice(0, 64)}`;
const imageReference = (name: string) => `ns.sealflow.local/${name}${DIGEST}`;
function outputsOf(type: string, name: string, inputs: Plain): object {
  if (type.endsWith("SealedImage")) return { digest: "d", kekId: "k", reference: imageReference(name), env: {} };
  if (type.endsWith("StepIdentity")) {
    const { kbsUrl, caPem } = reference;
    const facts = { tee: inputs.tee, kbsUrl, caPem, resource: idOf(name) };
    return { programId: "p", identity: stepGuest({ ...facts, imageReference: inputs.image.reference }).identity };
  }
  const texts = [
    "caPem",
    "certPem",
    "chainPem",
    "keyPem",
    "publicKeyPem",
    "seed",
    "urlSeed",
    "ledgerKey",
    "fingerprint",
  ];
  return { ...Object.fromEntries(texts.map((key) => [key, key])), generation: 1, pipelineUid: "u", digest: "d" };
}

/** As the engine wraps a secret on its way to a provider. */
const SECRET = "4dabf18193072939515e22adb298388d";
function plain(value: Plain): Plain {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  if (SECRET in value) return plain(value.value);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}

/** Everything there is, in its forms that differ as objects. */
async function everything(): Promise<void> {
  const now = Date.now();
  const { certPem } = await makeCa({ name: "private", notAfter: new Date(now + DAY_MS), now });
  const issued: TlsSource = {
    certManager: { issuerRef: { name: "private", kind: "ClusterIssuer" }, caPem: certPem },
  };
  const inCluster = { cloudNativePg: { image: `postgresql${DIGEST}`, size: "10Gi", storageClass: "fast" } };
  const hosts = ["kbs.example", "10.0.0.7"];
  const broker = { hosts, image: `kbs${DIGEST}`, guests: "elsewhere" as const };
  new Trustee("issued", { ...broker, certificate: issued, database: inCluster });
  const elsewhere = { database: "postgres://u:p@db/t", databaseImage: `psql${DIGEST}` };
  const trustee = new Trustee("own", { ...broker, ...elsewhere, namespace: "own" });
  new Trustee("development", { ...broker, mode: "development", namespace: "development" });
  const ledger = {
    host: "ledger.example",
    image: `ledger${DIGEST}`,
    kbsUrl: trustee.kbsUrl,
    guests: "elsewhere" as const,
  };
  const store = { kind: "s3", retentionSeconds: 60, url: "s3://sealed" };
  new RunLedger("issued-ledger", {
    ...ledger,
    certificate: issued,
    database: inCluster,
    storage: store,
    identity: { awsRoleArn: "arn:aws:iam::1:role/ledger" },
  });
  new RunLedger("own-ledger", {
    ...ledger,
    certificate: trustee.certificate,
    database: "postgres://u:p@db/l",
    objectsClaim: "objects",
    namespace: "own-ledger",
  });
  const platform = new BareMetal("hosts", {
    tee: "snp",
    kubeconfig: "k",
    guestImagePolicy: "deny",
    preflight: { image: `busybox${DIGEST}`, hosts: 2 },
  });
  new CocoRuntime("coco", { platform, install: RuntimeInstall.Operator, requirementsImage: `reqs${DIGEST}` });
  const p = pipeline("fan");
  p.step("source", { image: image.folder("./steps/one"), command: ["x"], inputs: {}, outputs: { rows: "jsonl" } });
  const made = new ConfidentialPipeline("fan", {
    spec: p.toJSON(),
    environment: environment({
      platform,
      relyingParty: new RelyingParty("party", { reference }),
      storage: new EncryptedStorage("storage"),
      backend: argoBackend({ namespace: "pipelines" }),
    }),
  });
  await new Promise((resolve) => made.ready.apply(resolve));
  await eventually("quiet", async () => {
    const before = registered.length;
    await new Promise((resolve) => setTimeout(resolve, 500));
    return registered.length === before || undefined;
  });
}

const PATHS: Readonly<Record<string, string>> = {
  CustomResourceDefinition: "apis/apiextensions.k8s.io/v1/customresourcedefinitions",
  Namespace: "api/v1/namespaces",
  ServiceAccount: "api/v1/NS/serviceaccounts",
  Secret: "api/v1/NS/secrets",
  ConfigMap: "api/v1/NS/configmaps",
  Service: "api/v1/NS/services",
  Deployment: "apis/apps/v1/NS/deployments",
  Job: "apis/batch/v1/NS/jobs",
  PodDisruptionBudget: "apis/policy/v1/NS/poddisruptionbudgets",
  NetworkPolicy: "apis/networking.k8s.io/v1/NS/networkpolicies",
  Role: "apis/rbac.authorization.k8s.io/v1/NS/roles",
  RoleBinding: "apis/rbac.authorization.k8s.io/v1/NS/rolebindings",
  ClusterRole: "apis/rbac.authorization.k8s.io/v1/clusterroles",
  ClusterRoleBinding: "apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
  CcRuntime: "apis/confidentialcontainers.org/v1beta1/ccruntimes",
  Certificate: "apis/cert-manager.io/v1/NS/certificates",
  Cluster: "apis/postgresql.cnpg.io/v1/NS/clusters",
};
/** Taken by Argo's own definitions in test/untrusted/argo.slow.test.ts. */
const ARGO = ["WorkflowTemplate", "CronWorkflow"];

/** Pods of an object: those of its template, and of Jobs that a WorkflowTemplate makes. */
function podsOf(inputs: Plain): [string, Plain][] {
  const { kind, metadata, spec } = inputs;
  if (kind === "WorkflowTemplate") {
    const jobs = spec.templates.flatMap(({ resource }: Plain) =>
      resource?.manifest ? [parse(resource.manifest)] : [],
    );
    return jobs.map((job: Plain) => ["steps", job.spec.template.spec]);
  }
  const name = metadata.name ?? metadata.labels["app.kubernetes.io/name"];
  return spec?.template?.spec?.containers ? [[name, spec.template.spec]] : [];
}

/** Rows of the table: what is enforced, and by whom it is shown. */
function table(): Record<string, string> {
  const text = readFileSync(path.join(ROOT, "docs/kubernetes.md"), "utf8");
  const [, section = ""] = /## Pod Security\n([\s\S]*?)\n## /.exec(text) ?? [];
  const rows = [...section.matchAll(/^\| `([^`]+)`[^|]*\| ([^|]+?) \| [^|]{10,} \|$/gm)];
  return Object.fromEntries(rows.map(([, object = "", verdict = ""]) => [object, verdict]));
}

(missing ? describe.skip : describe)("a real API server", () => {
  let cluster: Cluster;
  let api: KubernetesClient;
  let objects: Plain[];
  const create = (place: string, object: object, more = "") =>
    api.create(`/${place}?fieldValidation=Strict&fieldManager=test${more}`, object);

  beforeAll(async () => {
    pulumi.runtime.setMocks(
      {
        newResource: ({ type, name, inputs }) => {
          registered.push({ type, inputs });
          return { id: idOf(name), state: { ...inputs, ...outputsOf(type, name, inputs) } };
        },
        call: () => ({}),
      },
      "project",
      "dev",
    );
    jest.spyOn(pulumi.log, "warn").mockImplementation(async () => undefined);
    await everything();
    objects = registered.filter(({ type }) => /^kubernetes:(?!helm)/.test(type)).map(({ inputs }) => plain(inputs));
    cluster = await startCluster();
    api = new KubernetesClient(clusterOf(readFileSync(cluster.kubeconfig, "utf8"), cluster.kubeconfig));
    for (const crd of [CERTIFICATE_CRD, CLUSTER_CRD]) await create(PATHS.CustomResourceDefinition as string, crd);
    const restricted = { "pod-security.kubernetes.io/enforce": "restricted" };
    await create(PATHS.Namespace as string, { metadata: { name: "strict", labels: restricted } });
    // Pods need an account, which a controller makes.
    await eventually("the account", () =>
      api.get("/api/v1/namespaces/strict/serviceaccounts/default").catch(() => undefined),
    );
  });
  afterAll(async () => {
    api?.close();
    await cluster?.stop();
  });

  it("takes every object, whatever its kind", async () => {
    const first = ["CustomResourceDefinition", "Namespace"];
    const sorted = [...objects].sort((a, b) => Number(first.includes(b.kind)) - Number(first.includes(a.kind)));
    for (const object of sorted.filter(({ kind }) => !ARGO.includes(kind))) {
      const { kind, metadata } = object;
      const place = PATHS[kind]?.replace("NS", `namespaces/${metadata.namespace}`);
      if (place === undefined) throw new Error(`no path for ${kind}: add it, so that it is checked`);
      const named = metadata.name ? object : { ...object, metadata: { ...metadata, generateName: "x-" } };
      const what = `${kind} ${metadata.namespace ?? ""}/${metadata.name ?? ""}`;
      // A definition takes a moment to be served.
      const taken = await eventually(what, () =>
        create(place, named).catch((error: Error) => {
          if (/page not found|could not find the requested resource/.test(error.message)) return undefined;
          throw new Error(`${what}: ${error.message}`);
        }),
      );
      expect(taken.kind).toBe(kind);
    }
    const kinds = new Set(objects.map(({ kind }) => kind));
    expect([...kinds].sort()).toEqual([...Object.keys(PATHS), "WorkflowTemplate"].sort());
  });

  it("lets every pod into a `restricted` namespace, but for the exceptions that docs/kubernetes.md names", async () => {
    const verdicts: Record<string, string> = {};
    for (const [name, spec] of objects.flatMap(podsOf)) {
      const { serviceAccountName: _account, runtimeClassName: _class, ...pod } = spec;
      const verdict = await create(
        "api/v1/namespaces/strict/pods",
        { metadata: { generateName: "x-" }, spec: pod },
        "&dryRun=All",
      ).then(
        () => "passes",
        (error: Error) => {
          if (/violates PodSecurity "restricted/.test(error.message)) return "exception";
          throw error;
        },
      );
      // All forms of one name must agree.
      expect(verdicts[name] ?? verdict).toBe(verdict);
      verdicts[name] = verdict;
    }
    const { "argo executors": executors, "<service>-database": databases, ...rows } = table();
    // Made by Argo, and by an operator: the first is held to it in test/untrusted/argo.slow.test.ts.
    expect([executors, databases]).toEqual(["passes", "passes"]);
    // Pods of charts and of the operator are rendered elsewhere.
    for (const foreign of ["kata-deploy", "cloud-api-adaptor", "cc-operator-*-daemon"]) {
      expect(rows[foreign]).toBe("exception");
      delete rows[foreign];
    }
    expect(verdicts).toEqual(rows);
  });

  it("refuses a pod of a service that lost any one of its restrictions", async () => {
    const found = objects.find(({ kind, metadata }) => kind === "Deployment" && metadata.name === "ledger");
    for (const remove of [
      (spec: Plain) => delete spec.containers[0].securityContext.allowPrivilegeEscalation,
      (spec: Plain) => delete spec.containers[0].securityContext.capabilities,
      (spec: Plain) => delete spec.securityContext.seccompProfile,
      (spec: Plain) => {
        spec.securityContext.runAsNonRoot = false;
        delete spec.containers[0].securityContext.runAsNonRoot;
      },
    ]) {
      const { serviceAccountName: _account, ...spec } = structuredClone(found.spec.template.spec);
      remove(spec);
      await expect(
        create("api/v1/namespaces/strict/pods", { metadata: { generateName: "x-" }, spec }, "&dryRun=All"),
      ).rejects.toThrow(/violates PodSecurity "restricted/);
    }
  });

  it("no component makes workloads that this suite does not know", () => {
    const makers =
      /new (k8s\.)?(apps|batch)\.v1\.\w+\(|core\.v1\.(Pod|ReplicationController)\(|kind: "(WorkflowTemplate|CronWorkflow)"/;
    const files = (readdirSync(path.join(ROOT, "components"), { recursive: true }) as string[]).filter((file) => {
      return file.endsWith(".ts") && makers.test(readFileSync(path.join(ROOT, "components", file), "utf8"));
    });
    expect(files.sort()).toEqual([
      "backend/argo/schedules.ts",
      "backend/argo/templates.ts",
      "baremetal/preflight.ts",
      "relying-party/kubernetes-service.ts",
      "runtime/operator.ts",
    ]);
  });
});
