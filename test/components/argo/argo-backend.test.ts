import { spawnSync } from "node:child_process";
import * as path from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { stepOfWorkflow } from "../../../components/backend/argo/render/step";
import { type ArgoBackendArgs, argoBackend } from "../../../components/kubernetes";
import {
  ConfidentialPipeline,
  compilePlan,
  EncryptedStorage,
  environment,
  image,
  localEnvironment,
  type PipelineSpec,
  type Platform,
  pipeline,
  RelyingParty,
} from "../../../index";
import type { PlanStep } from "../../../model";
import { stepGuest } from "../../../policy";

interface Registered {
  readonly type: string;
  readonly name: string;
  // biome-ignore lint/suspicious/noExplicitAny: inputs as the engine gets them
  readonly inputs: any;
}
const registered: Registered[] = [];
const CA = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const reference = { kbsUrl: "https://kbs.example:8080", ledgerUrl: "https://l.example", caPem: CA, ledgerKey: "k" };
const imageReference = (name: string) => `ns.sealflow.local/${name}@sha256:${"a".repeat(64)}`;

beforeAll(() => {
  pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs }) => {
        registered.push({ type, name, inputs });
        return { id: idOf(name), state: { ...inputs, ...outputsOf(type, name, inputs) } };
      },
      call: () => ({}),
    },
    "project",
    "dev",
  );
});
beforeEach(() => {
  registered.length = 0;
});

const idOf = (name: string): string =>
  `sf-0123456789abcdef/step/${Buffer.from(name).toString("hex").padEnd(64, "0").slice(0, 64)}`;
// biome-ignore lint/suspicious/noExplicitAny: as above
function outputsOf(type: string, name: string, inputs: any) {
  if (type.endsWith("SealedImage")) return { digest: "d", kekId: "k", reference: imageReference(name), env: {} };
  if (type.endsWith("StepIdentity")) {
    const { kbsUrl, caPem } = reference;
    const guest = stepGuest({
      tee: inputs.tee,
      kbsUrl,
      caPem,
      imageReference: inputs.image.reference,
      resource: idOf(name),
    });
    return { programId: "p", identity: guest.identity };
  }
  if (type.endsWith("PipelineKeys"))
    return { fingerprint: "f", generation: 1, pipelineUid: "u", root: "r", pipeline: "fan" };
  return { digest: "d", connectionFile: "c" };
}

function spec(leaves: number): PipelineSpec {
  const p = pipeline("fan");
  const folder = image.folder("./steps/one");
  const source = p.step("source", { image: folder, command: ["x"], inputs: {}, outputs: { rows: "jsonl" } });
  for (let i = 0; i < leaves; i++) {
    p.step(`leaf-${i}`, { image: folder, command: ["x"], inputs: { rows: source.rows }, outputs: {} });
  }
  return p.toJSON();
}

class TestPlatform extends pulumi.ComponentResource implements Platform {
  readonly tee = "sample";
  readonly confidential = false;
  constructor(
    name: string,
    readonly runtimeClass: string,
  ) {
    super("test:index:Platform", name);
  }
}

let count = 0;
async function deploy(args: ArgoBackendArgs, leaves = 1): Promise<void> {
  const n = `t${++count}`;
  const env = environment({
    platform: new TestPlatform(`${n}-platform`, "kata-qemu-coco-dev"),
    relyingParty: new RelyingParty(`${n}-party`, { reference }),
    storage: new EncryptedStorage(`${n}-storage`),
    backend: argoBackend(args, n),
  });
  const made = new ConfidentialPipeline("fan", { spec: spec(leaves), environment: env });
  await new Promise((resolve) => made.ready.apply(resolve));
}
const ofKind = (kind: string) => registered.filter(({ inputs }) => inputs?.kind === kind);

describe("argoBackend", () => {
  it("makes a namespace in which the engine may create and delete Jobs, and nobody may call a step", async () => {
    await deploy({ namespace: "pipelines" });
    expect(ofKind("Namespace")[0]?.inputs.metadata).toEqual({
      name: "pipelines",
      labels: {
        "app.kubernetes.io/managed-by": "sealflow",
        "pod-security.kubernetes.io/enforce": "privileged",
        "pod-security.kubernetes.io/audit": "restricted",
      },
    });
    expect(ofKind("NetworkPolicy")[0]?.inputs.spec).toEqual({ podSelector: {}, policyTypes: ["Ingress"] });
    const [role] = ofKind("Role");
    expect(
      role?.inputs.rules.map((r: { resources: string[]; verbs: string[] }) => [r.resources.join(), r.verbs.join()]),
    ).toEqual([
      ["jobs", "create,get,list,patch,delete"],
      ["workflowtaskresults", "create,patch"],
      ["workflows", "create,get,list,delete"],
      ["workflows/finalizers", "update"],
    ]);
    for (const { inputs } of registered.filter(({ type }) => type.startsWith("kubernetes:"))) {
      expect(inputs.kind).not.toMatch(/^Cluster/);
      expect(inputs.metadata.labels["app.kubernetes.io/managed-by"]).toBe("sealflow");
    }
  });

  it("makes one WorkflowTemplate whose Jobs have the initdata that the key broker granted", async () => {
    await deploy({ instanceId: "mine" });
    const [template, ...others] = ofKind("WorkflowTemplate");
    expect(others).toEqual([]);
    expect(template?.inputs.metadata).toMatchObject({
      name: "dev-fan",
      namespace: "sealflow",
      labels: { "workflows.argoproj.io/controller-instanceid": "mine" },
    });
    const step = template?.inputs.spec.templates.find(({ name }: { name: string }) => name === "source");
    const { kbsUrl, caPem } = reference;
    const guest = stepGuest({
      tee: "sample",
      kbsUrl,
      caPem,
      imageReference: imageReference("fan-source-image"),
      resource: idOf("fan-source"),
    });
    expect(step.resource.manifest).toContain(guest.annotation);
    const version = registered.find(({ type }) => type === "sealflow:index:PipelineVersion");
    expect(version?.inputs.backend).toEqual({ kind: "argo", namespace: "sealflow", template: "dev-fan" });
  });

  it("splits a large pipeline into templates of parts", async () => {
    await deploy({}, 70);
    expect(
      ofKind("WorkflowTemplate")
        .map(({ inputs }) => inputs.metadata.name)
        .sort(),
    ).toEqual(["dev-fan", "dev-fan-part-0", "dev-fan-part-1", "dev-fan-part-2"]);
  });

  it("splits it where it is told to", async () => {
    await deploy({ stepsPerPart: 30 }, 70);
    // The source, three parts of leaves side by side, the last of them with the sink; and what starts them.
    expect(ofKind("WorkflowTemplate")).toHaveLength(5);
  });

  it("lets no Job out that would be measured as something else than was granted", () => {
    const [step] = compilePlan(spec(0)).steps;
    const { kbsUrl, caPem } = reference;
    const granted = {
      kbsUrl,
      caPem,
      resource: idOf("x"),
      imageReference: imageReference("x"),
      identity: "0".repeat(64),
    };
    const place = { pipeline: "fan", tee: "snp", runtimeClass: "kata-qemu-snp" } as const;
    expect(() => stepOfWorkflow(step as PlanStep, place, granted)).toThrow(
      "steps.source: its guest would have another identity than was granted. Run `pulumi up` again",
    );
    const { identity } = stepGuest({ tee: "snp", ...granted });
    expect(
      stepOfWorkflow(step as PlanStep, place, { ...granted, identity }).job.spec.template.spec.runtimeClassName,
    ).toBe("kata-qemu-snp");
  });

  it("does not fit guests that only this machine has", () => {
    const { platform, relyingParty, storage } = localEnvironment("here");
    expect(() => environment({ platform, relyingParty, storage, backend: argoBackend({}, "misfit") })).toThrow(
      /backend "argo": the platform's guests run on this machine only/,
    );
  });

  it("lists everything that is wrong with its arguments", () => {
    const make = () => argoBackend({ namespace: "Not_One", keptSeconds: 1, parallelism: 0, stepsPerPart: 61 }, "bad");
    const words = [/namespace: "Not_One"/, /keptSeconds: 1 /, /parallelism: 0 /, /stepsPerPart: 61 .* 1 to 60/];
    for (const text of words) expect(make).toThrow(text);
  });
});

it("the root import loads no package of a cloud", () => {
  const root = path.resolve(__dirname, "../../..");
  const program = `require("./dist/index.js");
    const found = Object.keys(require.cache).filter((f) => /node_modules.@pulumi.(kubernetes|aws|azure-native)/.test(f));
    console.log(JSON.stringify(found));
    require("./dist/components/kubernetes.js");
    if (!Object.keys(require.cache).some((f) => f.includes("@pulumi/kubernetes"))) process.exit(3);`;
  const { stdout, status } = spawnSync(process.execPath, ["-e", program], { cwd: root, encoding: "utf8" });
  expect([status, stdout.trim()]).toEqual([0, "[]"]);
}, 60_000);
