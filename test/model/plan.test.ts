import { compilePlan, defineStep, image, type PipelineSpec, pipeline, SpecError } from "../../model";
import type { StepPlan } from "../../owner/step/plan";
import { jcs } from "../../protocol/canonical";

const folder = image.folder("./steps/x");
const node = ["node", "/app/main.js"];

function spam() {
  const p = pipeline("spam", { description: "finds spam" });
  const mails = p.input("mails", "jsonl");
  const split = p.step("split", {
    image: folder,
    command: node,
    inputs: { mails },
    outputs: { train: "jsonl", test: "jsonl" },
  });
  const train = defineStep({
    image: folder,
    command: node,
    args: ["--fast"],
    inputs: { data: "jsonl" },
    outputs: { model: "json", weights: { format: "npy", allowUnsafeFormat: "own writer" } },
    resources: { cpu: 0.5, memory: "1.5Gi" },
    retry: { limit: 2, backoff: "1m" },
    timeout: "2h",
  });
  const trained = train(p, "train", { data: split.train }, { args: ["--seed", "7"], env: { A: "1" } });
  p.step("score", { image: folder, command: node, inputs: { weights: trained.weights, test: split.test }, shards: 1 });
  p.release({ model: trained.model }, { recipients: ["auditor"] });
  return p;
}

describe("a compiled plan", () => {
  const plan = compilePlan(spam().toJSON());

  it("resolves every default and limit", () => {
    expect(plan.steps.map((s) => s.name)).toEqual(["split", "train", "score"]);
    expect(plan.steps[0]).toEqual({
      name: "split",
      image: { kind: "folder", path: "./steps/x" },
      command: node,
      env: {},
      inputs: { mails: { dataset: "mails", format: "jsonl" } },
      outputs: { train: { format: "jsonl" }, test: { format: "jsonl" } },
      releases: [],
      limits: { timeoutSeconds: 3600, waitSeconds: 600, retryLimit: 0, shards: 1 },
      egress: false,
      exitClass: "visible",
      resources: { cpu: "1", memory: "2Gi" },
      backoff: { seconds: 5, factor: 2, maxSeconds: 300 },
      parameters: {},
      after: [],
    });
    expect(plan.steps[1]).toMatchObject({
      command: [...node, "--fast", "--seed", "7"],
      env: { A: "1" },
      limits: { timeoutSeconds: 7200, retryLimit: 2 },
      resources: { cpu: "500m", memory: "1536Mi" },
      backoff: { seconds: 60, maxSeconds: 300 },
      releases: [{ output: "model", as: "model", recipients: ["owner", "auditor"] }],
      after: ["split"],
    });
  });

  it("gives the reader of an edge its producer's allowance", () => {
    expect(plan.steps[2]?.inputs.weights).toEqual({
      from: "train.weights",
      format: "npy",
      allowUnsafeFormat: "own writer",
    });
  });

  it("lists edges, inputs with their readers, and releases", () => {
    expect(plan.edges.map((e) => `${e.from}>${e.to}.${e.input}:${e.format}`)).toEqual([
      "split.train>train.data:jsonl",
      "train.weights>score.weights:npy",
      "split.test>score.test:jsonl",
    ]);
    expect(plan.inputs).toEqual([{ name: "mails", format: "jsonl", readers: ["split"] }]);
    const release = { name: "model", from: "train.model", step: "train", output: "model", format: "json" };
    expect(plan.releases).toEqual([{ ...release, recipients: ["owner", "auditor"] }]);
  });

  it("gives every step the same program whatever order names are written in", () => {
    const reversed = (value: unknown): unknown =>
      value !== null && typeof value === "object" && !Array.isArray(value)
        ? Object.fromEntries(
            Object.entries(value)
              .map(([key, inner]) => [key, reversed(inner)])
              .reverse(),
          )
        : value;
    const step = {
      image: folder,
      command: node,
      outputs: { a: "json", b: "json", c: "json" },
      env: { X: "1", Y: "2" },
    };
    const releases = { r1: { from: "s.c", recipients: ["z", "a"] }, r3: "s.a", r2: "s.b" };
    const written = {
      version: 1,
      name: "p",
      steps: { s: step, t: { ...step, inputs: { i: "s.a", j: "s.b" } } },
      releases,
    };
    const turned = reversed(written) as PipelineSpec;
    (turned as { releases: unknown }).releases = { ...turned.releases, r1: { from: "s.c", recipients: ["a", "z"] } };
    const [one, other] = [compilePlan(written as PipelineSpec), compilePlan(turned)];
    const byName = (p: typeof one) => p.steps.map((s) => jcs(s)).sort();
    expect(byName(other)).toEqual(byName(one));
    expect(other.releases).toEqual(one.releases);
    expect(one.releases.map((r) => r.name)).toEqual(["r1", "r2", "r3"]);
  });

  it("is what a step is derived from", () => {
    const derived: readonly StepPlan[] = plan.steps; // compiles only as long as the two agree
    expect(derived).toHaveLength(3);
  });

  it("puts steps in order whatever order the data has", () => {
    const step = (from?: string) => ({
      image: folder,
      command: node,
      outputs: { o: "json" as const },
      ...(from ? { inputs: { i: from } } : {}),
    });
    const spec: PipelineSpec = {
      version: 1,
      name: "p",
      steps: { c: step("b.o"), b: step("a.o"), a: step(), d: step("a.o") },
    };
    expect(compilePlan(spec).steps.map((s) => s.name)).toEqual(["a", "b", "d", "c"]);
  });

  it("of 5000 steps in a row takes less than 3 seconds", () => {
    const p = pipeline("long");
    let last = p.step("s0", { image: folder, command: node, outputs: { o: "json" } });
    for (let i = 1; i < 5000; i++) {
      last = p.step(`s${i}` as "s0", { image: folder, command: node, inputs: { i: last.o }, outputs: { o: "json" } });
    }
    const started = process.hrtime.bigint();
    expect(compilePlan(p.toJSON()).edges).toHaveLength(4999);
    expect(Number(process.hrtime.bigint() - started) / 1e9).toBeLessThan(3);
  });

  it("is refused for a spec with problems", () => {
    expect(() => compilePlan({ version: 1, name: "p", steps: {} })).toThrow(SpecError);
  });
});
