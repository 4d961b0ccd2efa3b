import { RUNNER_ARGV, renderJob } from "../../policy";
import { RULES } from "../../policy-pack/rules";
import { isProduction } from "../../policy-pack/settings";
import { type Rule, type Seen, UNKNOWN } from "../../policy-pack/types";

const DIGEST = `@sha256:${"a".repeat(64)}`;
const rule = (name: string): Rule => RULES.find((r) => r.name === name) as Rule;

const seen = (type: string, props: Record<string, unknown>, more: Partial<Seen> = {}): Seen => ({
  type,
  name: "thing",
  urn: `urn:pulumi:prod::p::${type}::thing`,
  props,
  parentTypes: [],
  ...more,
});

// biome-ignore lint/suspicious/noExplicitAny: tests break manifests in ways that no type allows
type Loose = any;

/** A step's Job as the product renders it, changed by `edit`. */
function job(edit: (pod: Loose, container: Loose) => void = () => {}): Seen {
  const made = renderJob({
    pipeline: "spam",
    step: "train",
    imageReference: `registry.example/spam/train${DIGEST}`,
    resource: `ns/step/${"0".repeat(64)}`,
    annotation: "H4sI",
    runtimeClass: "kata-qemu-snp",
    shards: 1,
    timeoutSeconds: 60,
    cpu: 1,
    memory: "1Gi",
  });
  const manifest = structuredClone(made) as Loose;
  edit(manifest.spec.template.spec, manifest.spec.template.spec.containers[0]);
  return seen("kubernetes:batch/v1:Job", manifest);
}

/** The same Job as text inside of an Argo template. */
const template = (inside: Seen): Seen =>
  seen("kubernetes:argoproj.io/v1alpha1:WorkflowTemplate", {
    spec: {
      templates: [
        { name: "train", resource: { action: "create", manifest: JSON.stringify({ ...inside.props, kind: "Job" }) } },
      ],
    },
  });

const violations = ({ check, checkStack }: Rule, resources: Seen[], production: boolean) => [
  ...(check ? resources.flatMap((resource) => check(resource, { production })) : []),
  ...(checkStack ? checkStack(resources, { production }) : []),
];
const messages = (name: string, resources: Seen[], production = true): string[] =>
  violations(rule(name), resources, production).map(({ message }) => message);

it("accepts what the product renders, as an object and inside of a workflow", () => {
  for (const resource of [job(), template(job())]) {
    for (const each of RULES) expect(violations(each, [resource], true)).toEqual([]);
  }
});

describe.each([
  ["sealflow-confidential-runtime-class", (pod: Loose) => delete pod.runtimeClassName, "runtimeClassName: missing"],
  ["sealflow-confidential-runtime-class", (pod: Loose) => (pod.runtimeClassName = "runc"), '"runc"'],
  [
    "sealflow-confidential-runtime-class",
    (pod: Loose) => (pod.runtimeClassName = "sealflow-simulated"),
    "simulated guests",
  ],
  ["sealflow-pinned-images", (_: Loose, c: Loose) => (c.image = "registry.example/spam/train:latest"), "has no digest"],
  ["sealflow-pinned-images", (_: Loose, c: Loose) => delete c.image, "no image"],
  [
    "sealflow-pinned-images",
    (pod: Loose) => (pod.initContainers = [{ name: "x", image: "busybox" }]),
    "initContainers[x]",
  ],
  ["sealflow-no-sub-path", (_: Loose, c: Loose) => (c.volumeMounts[0].subPath = "x"), 'subPath "x"'],
  ["sealflow-no-sub-path", (_: Loose, c: Loose) => (c.volumeMounts[0].subPathExpr = "$(X)"), "subPathExpr"],
  ["sealflow-no-service-account-token", (pod: Loose) => delete pod.automountServiceAccountToken, "is not false"],
  [
    "sealflow-no-service-account-token",
    (pod: Loose) => pod.volumes.push({ name: "t", projected: { sources: [{ serviceAccountToken: { path: "t" } }] } }),
    "volumes[t]",
  ],
  [
    "sealflow-guest-memory-only",
    (pod: Loose) => pod.volumes.push({ name: "d", emptyDir: {} }),
    "volumes[d] is emptyDir",
  ],
  ["sealflow-guest-memory-only", (pod: Loose) => pod.volumes.push({ name: "h", hostPath: { path: "/" } }), "hostPath"],
])("%s", (name, edit, words) => {
  it.each([
    ["as an object", (changed: Seen) => changed],
    ["inside of a workflow", template],
  ])(`refuses a step's pod ${words} %s`, (_how, place) => {
    const found = messages(name, [place(job(edit as (pod: Loose, c: Loose) => void))]);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(words);
  });
});

it("reads manifests in which the engine fills in a number, and refuses those that it cannot read", () => {
  const open = (resource: Seen, from: string, to: string): Seen =>
    JSON.parse(JSON.stringify(resource).replaceAll(from, to)) as Seen;
  const plain = template(
    job((pod) => {
      pod.activeDeadlineSeconds = "PODS";
      delete pod.runtimeClassName;
    }),
  );
  const name = "sealflow-confidential-runtime-class";
  const filled = open(plain, '\\"PODS\\"', "{{workflow.parameters.pods}}");
  expect(JSON.stringify(filled)).toContain(":{{workflow");
  expect(messages(name, [filled])).toEqual([expect.stringContaining("runtimeClassName: missing")]);
  const broken = open(plain, '\\"PODS\\"', "PODS");
  expect(messages(name, [broken])).toEqual([expect.stringContaining("no JSON manifest that the rules can read")]);
});

it("looks into lists of objects, and at steps that a shell starts", () => {
  const name = "sealflow-confidential-runtime-class";
  const missing = [expect.stringContaining("runtimeClassName: missing")];
  const plain = job((pod) => {
    delete pod.runtimeClassName;
  });
  const { kind: _kind, ...untold } = plain.props;
  expect(messages(name, [seen("kubernetes:batch/v1:JobList", { items: [untold] })])).toEqual(missing);
  expect(messages(name, [seen("kubernetes:core/v1:List", { items: [{ ...plain.props, kind: "Job" }] })])).toEqual(
    missing,
  );
  const nested = { kind: "List", items: [{ ...plain.props, kind: "Job" }] };
  const carried = seen("kubernetes:core/v1:ConfigMap", { data: { jobs: JSON.stringify(nested) } });
  expect(messages(name, [carried])).toEqual(missing);
  const byShell = seen("kubernetes:core/v1:Pod", {
    spec: { containers: [{ name: "step", command: ["sh", "-c"], args: [`exec node ${RUNNER_ARGV.at(-1)}`] }] },
  });
  expect(messages(name, [byShell])).toEqual(missing);
});

it("finds steps by their form, in kinds that it does not know and under names that are none of Kubernetes'", () => {
  const name = "sealflow-confidential-runtime-class";
  const pod = job((spec) => {
    delete spec.runtimeClassName;
  }).props.spec as Loose;
  const { template: made } = pod;
  const container = made.spec.containers[0];
  for (const [type, props] of [
    ["kubernetes:core/v1:PodTemplate", { template: made }],
    ["kubernetes:kubeflow.org/v1:PyTorchJob", { spec: { pytorchReplicaSpecs: { Worker: { template: made } } } }],
    ["kubernetes:serving.knative.dev/v1:Service", { spec: { template: made } }],
    ["kubernetes:helm.sh/v3:Release", { values: { extra: { podSpec: made.spec } } }],
    ["kubernetes:helm.sh/v3:Release", { values: { extra: JSON.stringify({ manifests: { one: made } }) } }],
    ["kubernetes:argoproj.io/v1alpha1:Workflow", { spec: { templates: [{ name: "a", container }] } }],
    ["kubernetes:argoproj.io/v1alpha1:Workflow", { spec: { templates: [{ name: "a", script: container }] } }],
    ["kubernetes:batch/v1:CronJobPatch", { spec: { jobTemplate: { spec: pod } } }],
    ["kubernetes:apps/v1beta2:StatefulSet", { spec: { template: made } }],
    ["kubernetes:core/v1:Pod", { spec: { initContainers: [container], containers: [] }, metadata: {} }],
  ] as [string, Loose][]) {
    expect([type, messages(name, [seen(type, props)])]).toEqual([
      type,
      [expect.stringContaining("runtimeClassName: missing")],
    ]);
  }
});

it("leaves pods alone that are not Sealflow's", () => {
  const web = seen("kubernetes:apps/v1:Deployment", {
    spec: { template: { spec: { containers: [{ name: "web", image: "nginx" }] } } },
  });
  for (const each of RULES) expect(violations(each, [web], true)).toEqual([]);
});

it("lets simulated guests run outside of production", () => {
  const simulated = job((pod) => {
    pod.runtimeClassName = "sealflow-simulated";
  });
  expect(messages("sealflow-confidential-runtime-class", [simulated], false)).toEqual([]);
  const identity = seen("sealflow:index:StepIdentity", { tee: "sample" });
  expect(messages("sealflow-confidential-runtime-class", [identity], false)).toEqual([]);
  expect(messages("sealflow-confidential-runtime-class", [identity])[0]).toContain('tee: "sample"');
});

describe("sealflow-no-waivers-in-production", () => {
  const waivers = (props: Record<string, unknown>, production = true) =>
    messages("sealflow-no-waivers-in-production", [seen("sealflow:index:StepIdentity", props)], production);

  it.each([
    [{ trustProgram: "needs the network" }, "trustProgram"],
    [{ acceptRollback: "large scratch" }, "acceptRollback"],
    [{ inputs: { model: { from: "a.b", allowUnsafeFormat: "legacy pickle" } } }, "inputs.model.allowUnsafeFormat"],
    [{ acknowledgeStockGuestImage: "no image yet" }, "acknowledgeStockGuestImage"],
    [{ acknowledgeUnboundInitdata: true }, "acknowledgeUnboundInitdata"],
    [{ guest: { debug: "looking for a fault" } }, "guest.debug"],
    [{ registry: { repository: "r.example/spam", plainHttp: "a lab" } }, "registry.plainHttp"],
    [{ trustProgram: UNKNOWN }, "trustProgram"],
  ])("refuses %j", (props, at) => {
    const found = waivers(props);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(at);
    expect(waivers(props, false)).toEqual([]);
  });

  it.each([[{ trustProgram: "" }], [{ acknowledgeUnboundInitdata: false }], [{ env: { A: "acknowledgeX" } }]])(
    "%j sets none",
    (props) => expect(waivers(props)).toEqual([]),
  );
});

describe("sealflow-relying-party-elsewhere", () => {
  const provider = (urn: string, kubeconfig?: string, context?: string) => ({ urn, props: { kubeconfig, context } });
  const broker = (at: ReturnType<typeof provider>) =>
    seen(
      "kubernetes:apps/v1:Deployment",
      { spec: { template: { spec: { containers: [{ name: "kbs", image: `kbs${DIGEST}` }] } } } },
      { parentTypes: ["sealflow:index:Trustee"], provider: at },
    );
  const step = { ...job(), provider: provider("urn:a", "cluster-1") };
  const name = "sealflow-relying-party-elsewhere";

  it.each([
    ["the same provider", provider("urn:a", "cluster-1")],
    ["another provider with the same kubeconfig", provider("urn:b", "cluster-1")],
  ])("refuses a broker under %s", (_what, at) => {
    expect(messages(name, [step, broker(at)])).toEqual(["thing: runs in the same cluster as steps"]);
  });

  it.each([
    ["both with the ambient kubeconfig", undefined, undefined],
    ["both with one context of it", undefined, "guests"],
  ])("refuses a broker under another provider, %s", (_what, kubeconfig, context) => {
    const [here, there] = ["urn:a", "urn:b"].map((urn) => provider(urn, kubeconfig, context));
    const found = messages(name, [{ ...job(), ...(here ? { provider: here } : {}) }, broker(there as never)]);
    expect(found).toEqual(["thing: runs in the same cluster as steps"]);
  });

  it.each([
    ["kubeconfig", provider("urn:a", "cluster-1"), provider("urn:b", "cluster-2")],
    ["context of the ambient kubeconfig", provider("urn:a", undefined, "guests"), provider("urn:b", undefined, "own")],
  ])("accepts one elsewhere by its %s", (_what, here, there) => {
    expect(messages(name, [{ ...job(), provider: here }, broker(there)])).toEqual([]);
  });
});

describe("sealflow-closed-admin-api", () => {
  const under = { parentTypes: ["sealflow:index:Trustee"] };
  it.each([
    ["ConfigMap", { data: { "kbs.toml": '[admin]\ntype = "InsecureAllowAll"' } }, "InsecureAllowAll"],
    ["ConfigMap", { data: { "kbs.json": '{"http_server":{"insecure_http": true}}' } }, "insecure_http"],
    ["Secret", { stringData: { "kbs.toml": "insecure_api = true" } }, "insecure_api"],
    [
      "Secret",
      { data: { "kbs.toml": Buffer.from("insecure_header_jwk = true").toString("base64") } },
      "sign attestation",
    ],
  ])("refuses an open setting in a %s", (kind, props, words) => {
    const found = messages("sealflow-closed-admin-api", [seen(`kubernetes:core/v1:${kind}`, props, under)]);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(words);
  });
  it.each([
    ["core/v1:ConfigMap", { binaryData: { "kbs.toml": Buffer.from("insecure_api = true").toString("base64") } }],
    ["core/v1:ConfigMapPatch", { data: { "kbs.toml": "insecure_api = true" } }],
    ["core/v1:SecretList", { items: [{ stringData: { "kbs.toml": "insecure_api = true" } }] }],
    ["core/v1:ConfigMap", { data: { "kbs.toml": '"insecure\\u005Fapi" = true' } }],
    [
      "apps/v1:Deployment",
      { spec: { template: { spec: { containers: [{ args: ["sh", "-c", "echo insecure_api=true >/x"] }] } } } },
    ],
    ["helm.sh/v3:Release", { values: { kbs: { insecure_api: true } } }],
  ])("refuses an open setting in a %s", (type, props) => {
    const found = messages("sealflow-closed-admin-api", [seen(`kubernetes:${type}`, props, under)]);
    expect(found).toEqual([expect.stringContaining("insecure_api lets everybody")]);
  });
  it("accepts closed ones, and does not judge what is not the broker's", () => {
    const closed = { data: { "kbs.toml": "insecure_http = false" } };
    expect(messages("sealflow-closed-admin-api", [seen("kubernetes:core/v1:ConfigMap", closed, under)])).toEqual([]);
    const foreign = { data: { note: "InsecureAllowAll" } };
    expect(messages("sealflow-closed-admin-api", [seen("kubernetes:core/v1:ConfigMap", foreign)])).toEqual([]);
  });
});

describe("sealflow-closed-storage", () => {
  // As the components register themselves: a rule about others would never look at theirs.
  const under = { parentTypes: ["sealflow:index:EncryptedBucket"], parent: "urn:store" };
  const inAzure = { parentTypes: ["sealflow:index:EncryptedContainer"], parent: "urn:store" };
  const s3 = (kind: string, props: Record<string, unknown> = {}) =>
    seen(`aws:s3/${kind[0]?.toLowerCase()}${kind.slice(1)}:${kind}`, props, under);
  const closed = {
    blockPublicAcls: true,
    blockPublicPolicy: true,
    ignorePublicAcls: true,
    restrictPublicBuckets: true,
  };
  const all = [
    s3("Bucket"),
    s3("BucketPublicAccessBlock", closed),
    s3("BucketServerSideEncryptionConfiguration"),
    s3("BucketPolicy"),
  ];
  const name = "sealflow-closed-storage";

  it("accepts a bucket with all of its walls", () => expect(messages(name, all)).toEqual([]));
  it.each([1, 2, 3])("refuses a bucket without wall %i", (missing) => {
    expect(
      messages(
        name,
        all.filter((_, i) => i !== missing),
      ),
    ).toHaveLength(1);
  });
  it("refuses a wall that is open", () => {
    const open = all.with(1, s3("BucketPublicAccessBlock", { ...closed, blockPublicPolicy: false }));
    expect(messages(name, open)).toEqual(["thing: blockPublicPolicy: not true"]);
  });
  it("refuses an open storage account", () => {
    const type = "azure-native:storage:StorageAccount";
    const good = {
      allowBlobPublicAccess: false,
      allowSharedKeyAccess: false,
      enableHttpsTrafficOnly: true,
      minimumTlsVersion: "TLS1_2",
    };
    expect(messages(name, [seen(type, good, inAzure)])).toEqual([]);
    for (const key of Object.keys(good)) {
      expect(messages(name, [seen(type, { ...good, [key]: undefined }, inAzure)])).toHaveLength(1);
    }
  });
});

describe("which stacks are production", () => {
  it.each([
    ["prod"],
    ["production"],
    ["eu-prod"],
    ["prod.eu"],
    ["team_prod_1"],
    ["Prod"],
    ["EU-PRODUCTION"],
    ["prod2"],
  ])("%s is", (stack) => expect(isProduction(stack, {})).toBe(true));
  it.each([["dev"], ["product"], ["reproduction"], ["local"]])("%s is not", (stack) =>
    expect(isProduction(stack, {})).toBe(false),
  );
  it("can be said, and a list that could match nothing is refused", () => {
    expect(isProduction("live", { production: ["^live$"] })).toBe(true);
    expect(() => isProduction("live", { production: [] })).toThrow("empty");
    expect(() => isProduction("live", { production: ["("] })).toThrow('"(" is no regular expression');
  });
});
