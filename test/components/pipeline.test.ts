import * as pulumi from "@pulumi/pulumi";
import {
  type Backend,
  ConfidentialPipeline,
  type ConfidentialPipelineArgs,
  dataset,
  EncryptedStorage,
  environment,
  image,
  LocalPlatform,
  localEnvironment,
  type PipelineSpec,
  pipeline,
  RelyingParty,
} from "../../index";

interface Registered {
  readonly type: string;
  readonly name: string;
  readonly inputs: Record<string, unknown>;
  readonly custom: boolean;
}

const registered: Registered[] = [];
const warnings: string[] = [];

beforeAll(() => {
  pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs, custom }) => {
        registered.push({ type, name, inputs, custom: custom === true });
        return { id: `${name}-id`, state: outputsOf(type, name, inputs) };
      },
      call: () => ({}),
    },
    "project",
    "dev",
  );
  jest.spyOn(pulumi.log, "warn").mockImplementation(async (text) => void warnings.push(text));
});
beforeEach(() => {
  registered.length = 0;
  warnings.length = 0;
});

/** What the provider would answer, with every output named after its resource. */
function outputsOf(type: string, name: string, inputs: Record<string, unknown>) {
  if (type.endsWith("PipelineKeys"))
    return { ...inputs, fingerprint: "f", generation: 1, pipelineUid: "uid", root: "r" };
  if (type.endsWith("SealedImage"))
    return { digest: `${name}-d`, kekId: `${name}-k`, reference: `${name}-ref`, env: {} };
  if (type.endsWith("StepIdentity")) return { identity: `${name}-i`, entry: { of: name } };
  if (type.endsWith("SealedDataset")) return { entry: { dataset: name }, size: 1 };
  return { digest: `${name}-digest`, connectionFile: "file", directory: "d" };
}

const settle = async (component: ConfidentialPipeline): Promise<void> => {
  await new Promise((resolve) => component.ready.apply(resolve));
};
const ofType = (type: string) => registered.filter((r) => r.type === `sealflow:index:${type}`);
const named = (name: string) => registered.find((r) => r.name === name);

/** Two steps from one folder and one from another. */
function spec(): PipelineSpec {
  const p = pipeline("spam");
  const mails = p.input("mails", "jsonl");
  const shared = image.folder("./steps/shared");
  const first = p.step("first", {
    image: shared,
    command: ["node", "SECRET-COMMAND"],
    env: { A: "SECRET-ENV" },
    inputs: { mails },
    outputs: { rows: "jsonl" },
    parameters: { rate: "SECRET-PARAMETER" },
  });
  const second = p.step("second", {
    image: image.folder("steps/shared"),
    command: ["node", "b.js"],
    inputs: { rows: first.rows },
    outputs: { model: "json" },
    trustProgram: "tries things",
  });
  p.step("third", {
    image: image.folder("steps/other"),
    command: ["node", "c.js"],
    inputs: { model: second.model },
    outputs: {},
  });
  p.release({ model: second.model }, { recipients: ["partner"] });
  return p.toJSON();
}
const PARTNER = "A".repeat(43);
const args = (more: Partial<ConfidentialPipelineArgs> = {}): ConfidentialPipelineArgs => ({
  spec: spec(),
  inputs: { mails: dataset.file("mails.jsonl") },
  recipients: { partner: PARTNER },
  environment: localEnvironment("local"),
  ...more,
});

describe("ConfidentialPipeline", () => {
  it("makes one image for each source, one identity for each step, and wires them", async () => {
    await settle(new ConfidentialPipeline("filter", args()));
    expect(ofType("SealedImage").map((r) => r.name)).toEqual(["filter-first-image", "filter-third-image"]);
    expect(
      ofType("StepIdentity")
        .map((r) => r.name)
        .sort(),
    ).toEqual(["filter-first", "filter-second", "filter-third"]);
    expect(named("filter-second")?.inputs.image).toMatchObject({
      digest: "filter-first-image-d",
      reference: "filter-first-image-ref",
    });
    expect(named("filter-first")?.inputs).toMatchObject({
      datasets: { mails: "mails" },
      inputs: { mails: { dataset: "mails", format: "jsonl" } },
    });
    expect(named("filter-second")?.inputs).toMatchObject({ trustProgram: "tries things" });
    expect(named("filter-version")?.inputs).toMatchObject({
      steps: {
        first: { of: "filter-first" },
        second: { of: "filter-second" },
      },
      datasets: { mails: { dataset: "filter-mails-data" } },
      releases: { model: { from: "second.model", recipients: ["owner", "partner"] } },
      runSeconds: 2_592_000,
    });
    expect(named("filter-workload")?.inputs.steps).toMatchObject({
      second: { resource: "filter-second-id", identity: "filter-second-i", after: ["first"] },
    });
    expect(named("filter-keys")?.inputs).toEqual({ pipeline: "spam", stack: "dev", keyFiles: true, disposable: true });
  });

  it("gives a recipient's key only to the step that releases to it", async () => {
    await settle(new ConfidentialPipeline("keyed", args()));
    expect(named("keyed-second")?.inputs.recipients).toEqual({ partner: PARTNER });
    expect(named("keyed-first")?.inputs.recipients).toBeUndefined();
  });

  it("has no inputs of its own, and says which steps run without isolation", async () => {
    await settle(new ConfidentialPipeline("waived", args()));
    expect(ofType("ConfidentialPipeline")[0]?.inputs).toEqual({});
    expect(warnings).toEqual([
      'step "second" runs without isolation from the runner that holds its keys: tries things',
    ]);
    expect(named("waived-second")?.inputs.trustProgram).toBe("tries things");
    expect(named("waived-first")?.inputs.trustProgram).toBeUndefined();
  });

  it("on a machine without namespaces every step gets the platform's reason, unless it has its own", async () => {
    await settle(
      new ConfidentialPipeline("all", args({ environment: localEnvironment("l2", { trustPrograms: "container" }) })),
    );
    expect(["all-first", "all-second", "all-third"].map((name) => named(name)?.inputs.trustProgram)).toEqual([
      "container",
      "tries things",
      "container",
    ]);
    expect(warnings).toHaveLength(3);
  });

  it("takes keys that the program made", async () => {
    const { PipelineKeys, SealedDataset } = jest.requireActual("../../index");
    const keys = new PipelineKeys("mine", { pipeline: "spam" });
    const mails = new SealedDataset("mails", {
      keys: keys.reference,
      id: "corpus",
      format: "jsonl",
      source: dataset.file("mails.jsonl"),
    });
    await settle(new ConfidentialPipeline("own", args({ keys, inputs: { mails } })));
    expect(named("own-keys")).toBeUndefined();
    expect(named("own-mails-data")).toBeUndefined();
    expect(named("own-first")?.inputs.datasets).toEqual({ mails: "corpus" });
  });
});

describe("a backend of another kind", () => {
  const reference = { kind: "argo", namespace: "pipelines", template: "spam" } as const;
  const given: string[][] = [];
  const backend: Backend = {
    kind: "test",
    problems: (_environment, plan) => (plan?.steps.length === 3 ? [] : ["backend: wants three steps"]),
    reference: () => reference,
    createWorkload: (_scope, { images, identities }) => {
      given.push(Object.keys(images), Object.keys(identities));
      return pulumi.output("made");
    },
  };
  const parts = () => {
    const { platform, relyingParty, storage } = localEnvironment(`other${given.length}`);
    return { platform, relyingParty, storage };
  };

  it("makes the workload itself, and the connection file says where runs are submitted", async () => {
    const env = { ...parts(), backend };
    await settle(new ConfidentialPipeline("other", args({ environment: env })));
    expect(given).toEqual([
      ["first", "second", "third"],
      ["first", "second", "third"],
    ]);
    expect(named("other-version")?.inputs.backend).toEqual(reference);
    expect(ofType("LocalWorkload")).toEqual([]);
  });

  it("says what does not fit, before anything is registered", () => {
    expect(() => environment({ ...parts(), backend })).toThrow("environment: backend: wants three steps");
    const two = JSON.parse(JSON.stringify(spec()));
    delete two.steps.third;
    registered.length = 0;
    const env = { ...parts(), backend };
    expect(() => new ConfidentialPipeline("two", args({ spec: two, environment: env }))).toThrow("wants three steps");
    expect(registered.filter((r) => r.custom)).toEqual([]);
  });

  it("that is none is refused with what there is", () => {
    expect(() => environment({ ...parts(), backend: "argo" as never })).toThrow(
      'environment: backend "argo" is not available. Use "local", or argoBackend(…) of sealflow/kubernetes',
    );
  });
});

describe("wrong arguments are all listed at once", () => {
  it("in the spec, with places and suggestions", () => {
    const broken = JSON.parse(JSON.stringify(spec()));
    broken.steps.second.inputs.rows = "first.rwos";
    broken.steps.third.comand = ["x"];
    const make = () => new ConfidentialPipeline("broken", args({ spec: broken }));
    expect(make).toThrow(/steps\.second\.inputs\.rows.*Did you mean "rows"/);
    expect(make).toThrow(/steps\.third.*comand/);
  });

  it("beside the spec", () => {
    const inputs = { mials: dataset.file("x") };
    const images = { fourth: undefined as never };
    const recipients = { partner: "short", owner: PARTNER };
    const make = () => new ConfidentialPipeline("beside", args({ inputs, images, recipients }));
    for (const text of [
      /inputs\.mials: the spec has no such input \(has mails\)/,
      /inputs\.mails: missing\. Pass dataset\.file/,
      /images\.fourth: the spec has no such step \(has first, second, third\)/,
      /recipients\.partner: not an X25519 public key/,
      /recipients\.owner: the owner is always a recipient/,
    ]) {
      expect(make).toThrow(text);
    }
    expect(registered.filter((r) => r.custom)).toEqual([]);
  });

  it("and a recipient that a release names but nobody gave", () => {
    expect(() => new ConfidentialPipeline("nobody", args({ recipients: {} }))).toThrow(
      /recipients\.partner: a release names this recipient/,
    );
  });

  it("storage says what it offers", () => {
    expect(() => new EncryptedStorage("s", { kind: "tape", retentionSeconds: 1 })).toThrow(
      /kind: "tape" is not available. Use one of: fs, s3\nEncryptedStorage "s": retentionSeconds: 1 is not/,
    );
    expect(() => new EncryptedStorage("s", { kind: "s3" })).toThrow(/EncryptedStorage "s": url: missing. Give s3:/);
  });

  it("the local platform never calls itself confidential", () => {
    expect(new LocalPlatform("p").confidential).toBe(false);
  });
});

describe("a platform of hardware", () => {
  const CONFIDENTIAL = { tee: "snp", runtimeClass: "kata-qemu-snp", confidential: true };
  const stock = (acknowledgeStockGuestImage?: string) => ({
    guestImage: { defaultPolicy: "stock" as const, acknowledgeStockGuestImage },
  });
  const backend: Backend = {
    kind: "other",
    problems: () => [],
    reference: () => undefined,
    createWorkload: () => pulumi.output(true),
  };
  const on = (name: string, platform: object) => {
    const env = environment({
      platform: Object.assign(new LocalPlatform(`${name}-platform`), CONFIDENTIAL, platform),
      relyingParty: new RelyingParty(`${name}-party`, { reference: REFERENCE }),
      storage: new EncryptedStorage(`${name}-storage`),
      backend,
    });
    return () => new ConfidentialPipeline(name, args({ environment: env }));
  };
  const REFERENCE = { kbsUrl: "https://kbs:1", ledgerUrl: "https://l:1", caPem: "ca", ledgerKey: "key" };
  const DENY = { guestImage: { defaultPolicy: "deny" as const } };

  it.each([
    [
      "that boots open without initdata",
      "stock",
      stock(),
      /guest image of snp: marked "stock".*acknowledgeStockGuestImage/,
    ],
    ["whose reason for that says nothing", "short", stock("ok"), /marked "stock"/],
    ["that does not say what it does then", "silent", {}, /does not say what guests do.*guestImage/],
    [
      "with logs and exec",
      "debug",
      { ...DENY, guest: { debugGuests: "looking into it" } },
      /guest\.debugGuests opens guests of snp/,
    ],
    ["that is simulated in truth", "sample", { tee: "sample" }, /simulated guests protect nothing/],
  ])("%s is refused, before anything is registered", (_what, name, platform, message) => {
    expect(on(name, platform)).toThrow(message);
    expect(registered.filter((r) => r.custom)).toEqual([]);
  });

  it("with a reason for a stock image says so at every preview", async () => {
    await settle(on("known", stock("tests of the image come in May"))());
    expect(warnings).toContainEqual(
      expect.stringMatching(/guest image of snp is stock.*tests of the image come in May/),
    );
  });

  it("hands its guest settings and the relying party to everything that needs them", async () => {
    const guest = { initdataCarrier: "ec2", images: { proxy: { https: "http://proxy:1" } } };
    await settle(on("handed", { ...DENY, guest })());
    expect(named("handed-first")?.inputs).toMatchObject({ guest, relyingParty: REFERENCE });
    for (const name of ["handed-mails-data", "handed-first-image", "handed-version"]) {
      expect(named(name)?.inputs.relyingParty).toEqual(REFERENCE);
    }
  });

  it("whose relying party goes with the stack leaves its grants to that", async () => {
    const deletedWith = new LocalPlatform("broker");
    const with_ = new Map<string, unknown>();
    const env = environment({
      platform: Object.assign(new LocalPlatform("gone-platform"), CONFIDENTIAL, DENY),
      relyingParty: { reference: REFERENCE, deletedWith },
      storage: new EncryptedStorage("gone-storage"),
      backend,
    });
    const see: pulumi.ResourceTransformation = ({ name, opts }) => {
      with_.set(name, (opts as pulumi.CustomResourceOptions).deletedWith);
      return undefined;
    };
    await settle(new ConfidentialPipeline("gone", args({ environment: env }), { transformations: [see] }));
    expect(with_.get("gone-first")).toBe(deletedWith);
    // These also have files on this machine to remove.
    for (const name of ["gone-version", "gone-first-image"]) expect(with_.get(name)).toBeUndefined();
  });

  it("on this machine debugging is allowed, told, and part of every step", async () => {
    const env = localEnvironment("debugged", { debugGuests: "looking for a fault" });
    await settle(new ConfidentialPipeline("debugged", args({ environment: env })));
    expect(named("debugged-first")?.inputs.guest).toEqual({ debugGuests: "looking for a fault" });
    expect(named("debugged-workload")?.inputs.guest).toEqual({ debugGuests: "looking for a fault" });
    expect(warnings).toContainEqual(expect.stringContaining("run commands in them: looking for a fault"));
  });
});
