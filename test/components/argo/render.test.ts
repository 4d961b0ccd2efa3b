import { jobManifest } from "../../../components/backend/argo/render/job";
import { partName, templateName } from "../../../components/backend/argo/render/names";
import { partsOf, STEPS_PER_PART } from "../../../components/backend/argo/render/parts";
import { FINAL_EXIT_CODES } from "../../../components/backend/argo/render/retries";
import { cronWorkflow } from "../../../components/backend/argo/render/schedule";
import {
  MAX_TEMPLATE_BYTES,
  type StepOfWorkflow,
  workflowOfParts,
  workflowOfSteps,
} from "../../../components/backend/argo/render/workflow";
import { renderJob, stepGuest } from "../../../policy";

const CA = `-----BEGIN CERTIFICATE-----\n${`${"A".repeat(64)}\n`.repeat(10)}-----END CERTIFICATE-----\n`;
const imageReference = `ns.sealflow.local/image@sha256:${"a".repeat(64)}`;

function step(name: string, after: string[] = [], shards = 1): StepOfWorkflow {
  const resource = `sf-0123456789abcdef/step/${name
    .padEnd(64, "0")
    .slice(0, 64)
    .replace(/[^0-9a-f]/g, "0")}`;
  const guest = stepGuest({ tee: "sample", kbsUrl: "https://kbs.example:8080", caPem: CA, imageReference, resource });
  const given = { pipeline: "spam", step: name, imageReference, resource, annotation: guest.annotation, shards };
  const job = renderJob({ ...given, runtimeClass: "kata-qemu-snp", timeoutSeconds: 60, cpu: "1", memory: "1Gi" });
  return { name, after, shards, job, retryLimit: 2, backoff: { seconds: 5, factor: 1.5, maxSeconds: 60 } };
}
const settings = { pipeline: "spam", serviceAccount: "engine", keptSeconds: 60 };

// biome-ignore lint/suspicious/noExplicitAny: manifests are read as whoever gets them reads them
type Loose = any;
const templatesOf = (spec: object): Loose[] => (spec as Loose).templates;
/** What Argo makes of a manifest. */
const filled = (manifest: string, values: Record<string, string>): Loose =>
  JSON.parse(manifest.replace(/\{\{([a-z0-9.-]+)\}\}/g, (_all, name: string) => values[name] ?? fail(name)));
const fail = (name: string): never => {
  throw new Error(`the manifest asks Argo for ${name}`);
};
const RUN = "f".repeat(64);

const FILL = { "workflow.name": "spam-x", "workflow.uid": "0b6b9e2e", "workflow.parameters.run": RUN };

describe("the Job that Argo creates", () => {
  const values = { ...FILL, "workflow.parameters.pods-many": "3" };

  it("has the pod that the step's identity pins, and the run's id as a hint, nothing else of a run", () => {
    const one = step("one");
    const made = filled(jobManifest("spam", "one", one, "{{workflow.name}}"), values);
    const { containers, ...pod } = made.spec.template.spec;
    const { containers: wanted, ...wantedPod } = one.job.spec.template.spec;
    expect(pod).toEqual(wantedPod);
    expect(made.spec.template.metadata).toEqual(one.job.spec.template.metadata);
    expect(containers).toEqual([{ ...wanted[0], env: [...wanted[0].env, { name: "SEALFLOW_RUN", value: RUN }] }]);
    expect(pod.automountServiceAccountToken).toBe(false);
    expect(made.metadata).toEqual({
      generateName: "spam-one-",
      labels: { ...one.job.metadata.labels, "sealflow/workflow": "spam-x" },
    });
  });

  it("is not started again by Kubernetes, and says which exit codes are final", () => {
    const { spec } = filled(jobManifest("spam", "one", step("one"), "{{workflow.name}}"), values);
    expect(spec.backoffLimit).toBe(0);
    const [rule, disruption] = spec.podFailurePolicy.rules;
    expect(rule).toMatchObject({ action: "FailJob", onExitCodes: { operator: "In", values: [...FINAL_EXIT_CODES] } });
    expect(rule.onExitCodes.containerName).toBe(spec.template.spec.containers[0].name);
    expect(rule.onExitCodes.values).not.toContain(10);
    expect(disruption.action).toBe("Ignore");
    expect(spec.activeDeadlineSeconds).toBeGreaterThan(60);
    expect(spec.ttlSecondsAfterFinished).toBeGreaterThan(600);
  });

  it("of a sharded step has as many pods as are missing, and starts each again by itself", () => {
    const manifest = jobManifest("spam", "many", step("many", [], 8), "{{workflow.name}}");
    const { spec } = filled(manifest, values);
    expect(spec).toMatchObject({ completions: 3, parallelism: 3, backoffLimit: 8 * 5 });
    // Pods of an indexed Job get a host name that no agent policy admits.
    expect(spec.completionMode).toBeUndefined();
    expect(spec.podFailurePolicy.rules[0].action).toBe("FailJob");
  });

  it("is refused when something in it would make Argo replace more", () => {
    const bad = step("one");
    const job = JSON.parse(JSON.stringify(bad.job));
    job.spec.template.spec.containers[0].env.push({ name: "X", value: "{{inputs.parameters.x}}" });
    expect(() => jobManifest("spam", "one", { ...bad, job }, "{{workflow.name}}")).toThrow(/step "one".*"\{\{"/);
  });
});

describe("the Workflow of a small pipeline", () => {
  const spec: Loose = workflowOfSteps([step("a"), step("b", ["a"]), step("c", ["a", "b"], 4)], settings, false);

  it("runs steps after those that they read from, and leaves out what is committed", () => {
    const [main] = templatesOf(spec);
    expect(main.name).toBe(spec.entrypoint);
    expect(main.dag.tasks.map((t: Loose) => [t.name, t.dependencies])).toEqual([
      ["a", []],
      ["b", ["a"]],
      ["c", ["a", "b"]],
    ]);
    expect(main.dag.tasks[1].when).toBe("'{{workflow.parameters.done}}' !~ ',b,'");
  });

  it("asks for no data, output or parameter: only the run, what is done and how many pods", () => {
    const asked = new Set([...JSON.stringify(spec).matchAll(/\{\{([^}]+)\}\}/g)].map(([, name]) => name));
    expect([...asked].sort()).toEqual([
      "workflow.name",
      "workflow.parameters.done",
      "workflow.parameters.pods-c",
      "workflow.parameters.run",
      "workflow.uid",
    ]);
    for (const template of templatesOf(spec)) {
      expect(template.outputs).toBeUndefined();
      expect(
        Object.keys(template).filter((key) => ["container", "script", "steps", "http", "data"].includes(key)),
      ).toEqual([]);
    }
  });

  it("starts a step with one pod again with its pauses, but not after a final end", () => {
    const a = templatesOf(spec).find(({ name }) => name === "a");
    expect(a.retryStrategy).toEqual({
      limit: 5,
      retryPolicy: "Always",
      expression: 'not (lastRetry.message contains "PodFailurePolicy")',
      backoff: { duration: "5s", factor: 2, cap: "60s" },
    });
    expect(a.resource.failureCondition.split(",")[0]).toContain("PodFailurePolicy");
    // Its Job starts pods again by itself; only an executor that was lost is, and finds the same Job.
    const c = templatesOf(spec).find(({ name }) => name === "c");
    expect(c.retryStrategy.expression).toBe('not (lastRetry.message contains "failure condition")');
    expect(c.resource.action).toBe("apply");
    expect(filled(c.resource.manifest, { ...FILL, "workflow.parameters.pods-c": "4" }).metadata.name).toBe(
      "spam-c-0b6b9e2e",
    );
  });

  it("cleans up its own Jobs whatever happens, owns them, and goes away in time", () => {
    const clean = templatesOf(spec).find(({ name }) => name === spec.onExit);
    expect(clean.resource).toEqual({
      action: "delete",
      flags: ["jobs", "--selector", "sealflow/workflow={{workflow.name}}", "--wait=false"],
    });
    expect(templatesOf(spec).find(({ name }) => name === "a").resource.setOwnerReference).toBe(true);
    expect(spec.ttlStrategy).toEqual({ secondsAfterCompletion: 60 });
  });

  it("has executors that `restricted` Pod Security lets through", () => {
    expect(spec.securityContext).toEqual({ runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } });
  });
});

describe("a pipeline that does not fit into one object", () => {
  const fan = [
    { name: "source", after: [] as string[], shards: 1 },
    ...Array.from({ length: 300 }, (_, i) => ({ name: `leaf-${i}`, after: ["source"], shards: i === 7 ? 4 : 1 })),
    { name: "sink", after: Array.from({ length: 300 }, (_, i) => `leaf-${i}`), shards: 1 },
  ];

  it("is split by levels, so that a fan-out stays side by side", () => {
    const parts = partsOf(fan);
    expect(parts.map(({ steps }) => steps.length)).toEqual([1, 34, 34, 34, 34, 34, 34, 34, 34, 29]);
    expect(parts.slice(1, 9).map(({ after }) => after)).toEqual(Array.from({ length: 8 }, () => [0]));
    // The sink is in the last one.
    expect(parts[9]?.after).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(parts[1]).toMatchObject({ sharded: ["leaf-7"], shards: [4] });
  });

  it("keeps every step once, and every edge inside a part or backwards", () => {
    const chain = Array.from({ length: 500 }, (_, i) => ({
      name: `s${i}`,
      after: i === 0 ? [] : [`s${i - 1}`],
      shards: 1,
    }));
    for (const steps of [fan, chain]) {
      const parts = partsOf(steps);
      const home = new Map(parts.flatMap(({ steps }, part) => steps.map((name) => [name, part] as const)));
      expect([...home.keys()].sort()).toEqual(steps.map(({ name }) => name).sort());
      for (const { name, after } of steps) {
        for (const other of after) {
          const [from, to] = [home.get(other) as number, home.get(name) as number];
          expect(from === to || (from < to && parts[to]?.after.includes(from))).toBe(true);
        }
      }
      expect(Math.max(...parts.map(({ steps }) => steps.length))).toBeLessThanOrEqual(STEPS_PER_PART);
    }
  });

  it("stays below the limit with a certificate chain in every initdata", () => {
    const steps = Array.from({ length: STEPS_PER_PART }, (_, i) => step(`a${i}`));
    expect(JSON.stringify(workflowOfSteps(steps, settings, true)).length).toBeLessThan(MAX_TEMPLATE_BYTES);
  });

  it("becomes Workflows that get the run and their share of what is missing, and go with the one they began with", () => {
    const spec: Loose = workflowOfParts(partsOf(fan), (i) => partName("dev", "spam", i), settings);
    const manifest = filled(templatesOf(spec)[2].resource.manifest, {
      "workflow.name": "root",
      "workflow.parameters.run": RUN,
      "workflow.parameters.done": ",",
      "workflow.parameters.pods-leaf-7": "4",
    });
    expect(manifest.spec.workflowTemplateRef).toEqual({ name: "dev-spam-part-1" });
    expect(manifest.spec.arguments.parameters).toEqual([
      { name: "run", value: RUN },
      { name: "done", value: "," },
      { name: "pods-leaf-7", value: "4" },
      { name: "root", value: "root" },
    ]);
    expect(templatesOf(spec).find(({ name }) => name === spec.onExit).resource.flags[0]).toBe("workflows.argoproj.io");
    const part: Loose = workflowOfSteps([step("a")], settings, true);
    expect(part.onExit).toBeUndefined();
    expect(JSON.stringify(spec).length).toBeLessThan(MAX_TEMPLATE_BYTES);
  });
});

describe("names", () => {
  it("of long stacks and pipelines stay short and apart", () => {
    const long = "x".repeat(40);
    expect(templateName(long, `${long.slice(1)}a`)).not.toBe(templateName(long, `${long.slice(1)}b`));
    expect(`${partName(long, long, 999)}-abcde`.length).toBeLessThan(63);
  });
});

describe("a schedule", () => {
  const facts = {
    pipeline: "spam",
    cron: "30 3 * * *",
    lateSeconds: 3600,
    token: "e30.e30.c2ln",
    ledgerUrl: "https://ledger.example:8443",
    template: "dev-spam",
    labels: { "workflows.argoproj.io/controller-instanceid": "mine" },
    opener: "dev-spam-opener",
    engine: "engine",
    keptSeconds: 60,
  };
  const spec = cronWorkflow(facts) as Loose;
  const [, open, run] = spec.workflowSpec.templates;

  it("fires in UTC, late slots as long as the owner allows, and sends the signed schedule with the slot", () => {
    expect(spec).toMatchObject({ schedules: ["30 3 * * *"], timezone: "Etc/UTC", startingDeadlineSeconds: 3600 });
    expect(spec.workflowSpec.arguments.parameters).toEqual([{ name: "schedule", value: facts.token }]);
    expect(open.http).toMatchObject({ method: "POST", url: "https://ledger.example:8443/v1/runs" });
    expect(open.http.body).toMatch(
      /^\{"token": "\{\{=workflow.parameters.schedule \+ '\|' \+ .*scheduledTime\)\)\}\}"\}$/,
    );
  });

  it("creates the Workflow of the slot's run, of which nothing comes from the ledger's answer", () => {
    const made = JSON.parse(run.resource.manifest);
    expect(made.spec.workflowTemplateRef).toEqual({ name: "dev-spam" });
    expect(made.spec.arguments.parameters).toEqual([
      { name: "run", value: expect.stringMatching(/^\{\{=sprig.sha256sum\(workflow.parameters.schedule .*\}\}$/) },
    ]);
    expect(made.metadata.labels).toMatchObject(facts.labels);
    expect(JSON.stringify(spec)).not.toMatch(/outputs|result/);
    expect([spec.workflowSpec.serviceAccountName, run.serviceAccountName]).toEqual(["dev-spam-opener", "engine"]);
  });
});
