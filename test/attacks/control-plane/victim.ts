/** A deployed pipeline, in the hands of whoever owns the cluster. */
import { setTimeout as sleep } from "node:timers/promises";
import { ROOT_LABEL } from "../../../components/backend/argo/render/names";
import type { RunSummary } from "../../support/chain";
import { ok } from "../../support/cli";
import { eventually, NAMESPACE, type Stage } from "../../support/cluster-stage";
import type { Project } from "../../support/project";
import type { Edit, Loose } from "./jobs";

const GROUP = `/apis/argoproj.io/v1alpha1/namespaces/${NAMESPACE}`;
const JOBS = `/apis/batch/v1/namespaces/${NAMESPACE}/jobs`;
export const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`;
const COMPONENT = "app.kubernetes.io/component";

export interface PodEnd {
  readonly pod: string;
  readonly exitCode: number;
  /** Of the first container that did not end well. */
  readonly reason: string;
}

export class Victim {
  constructor(
    readonly project: Project,
    readonly stage: Stage,
    /** Name of its WorkflowTemplate. */
    private readonly template: string,
  ) {}

  sealflow = (...args: string[]) => ok(this.project, args, this.stage.env);

  /** An `up` that overwrites what others have changed; without the variable it names them and stops. */
  async takeBack(): Promise<void> {
    const up = ["up", "--stack", "kubernetes"];
    await expect(this.sealflow(...up)).rejects.toThrow(/conflict/);
    await ok(this.project, up, { ...this.stage.env, PULUMI_K8S_ENABLE_PATCH_FORCE: "true" });
  }

  /** As the owner does it. */
  async run(...more: string[]): Promise<RunSummary> {
    return JSON.parse((await this.sealflow("run", "--json", ...more)).stdout) as RunSummary;
  }

  /** @returns state and attempts of each step, by the ledger. */
  async steps(run: string): Promise<Record<string, { state: string; attempts: number }>> {
    const { steps } = JSON.parse((await this.sealflow("status", run, "--json")).stdout) as {
      steps: Record<string, { state: string; shards: { attempts: number }[] }>;
    };
    const entries = Object.entries(steps).map(([name, { state, shards }]) => {
      const attempts = shards.reduce((sum, shard) => sum + shard.attempts, 0);
      return [name, { state, attempts }] as const;
    });
    return Object.fromEntries(entries);
  }

  /** Fetches a run that ended well. @returns the line about its receipts. */
  async receipts(run: string): Promise<string> {
    const { stdout } = await this.sealflow("fetch", run, "--all");
    return /receipts verified: .*/.exec(stdout)?.[0] ?? stdout;
  }

  readTemplate = (): Promise<Loose> => this.stage.api.get(`${GROUP}/workflowtemplates/${this.template}`);

  /** Changes it until the returned function puts it back. */
  async rewrite(change: (spec: Loose) => void): Promise<() => Promise<void>> {
    const { spec } = await this.readTemplate();
    const changed = structuredClone(spec);
    change(changed);
    const write = async (next: object) => {
      const { metadata, ...now } = await this.readTemplate();
      const body = { ...now, metadata: { ...metadata, managedFields: undefined }, spec: next };
      await this.stage.api.call("PUT", `${GROUP}/workflowtemplates/${this.template}`, body);
      // The controller reads templates from what it watches, and says nowhere how far it is.
      await sleep(1500);
    };
    await write(changed);
    return () => write(spec);
  }

  /** Creates a step's Job as Argo would, but for the edit. @returns its name. */
  async startJob(step: string, edit: Edit = () => undefined, run = "f".repeat(64)): Promise<string> {
    const { manifest } = templateOf((await this.readTemplate()).spec, step).resource;
    const text = manifest.replaceAll("{{workflow.parameters.run}}", run).replaceAll("{{workflow.name}}", "attack");
    const job = JSON.parse(text);
    const { template } = job.spec;
    edit(template.spec, template, template.spec.containers[0]);
    return (await this.stage.api.create(`${JOBS}?fieldValidation=Strict`, job)).metadata.name;
  }

  async podsOf(selector: string): Promise<Loose[]> {
    return (await this.stage.api.list(`${PODS}?labelSelector=${selector}`)).items;
  }

  endOfJob = (job: string): Promise<PodEnd> =>
    eventually(`the end of ${job}`, async () => {
      const [pod] = await this.podsOf(`batch.kubernetes.io/job-name=${job}`);
      if (!["Succeeded", "Failed"].includes(pod?.status.phase)) return undefined;
      const states = [...(pod.status.initContainerStatuses ?? []), ...pod.status.containerStatuses];
      const all = states.flatMap(({ state }: Loose) => state.terminated ?? []);
      const bad = all.find(({ exitCode }: Loose) => exitCode !== 0);
      const { exitCode = 0, reason = "Completed" } = bad ?? {};
      return { pod: pod.metadata.name, exitCode, reason };
    });

  /** Starts a Workflow for a run, past the owner's command. @param done steps that it leaves out. */
  async startWorkflow(run: string, done: readonly string[] = []): Promise<string> {
    const parameters = [
      { name: "run", value: run },
      { name: "done", value: `,${done.map((step) => `${step},`).join("")}` },
    ];
    const made = await this.stage.api.create(`${GROUP}/workflows`, {
      apiVersion: "argoproj.io/v1alpha1",
      kind: "Workflow",
      metadata: { generateName: "attack-" },
      spec: { workflowTemplateRef: { name: this.template }, arguments: { parameters } },
    });
    return made.metadata.name;
  }

  /** Pods of the Jobs that a Workflow has started, by step. */
  async startedBy(workflow: string): Promise<Record<string, string>> {
    const { items } = await this.stage.api.list(`${JOBS}?labelSelector=${ROOT_LABEL}=${workflow}`);
    const found: Record<string, string> = {};
    for (const { metadata } of items) {
      const [pod] = await this.podsOf(`batch.kubernetes.io/job-name=${metadata.name}`);
      if (pod) found[metadata.labels?.[COMPONENT] ?? ""] = pod.metadata.name;
    }
    return found;
  }

  endOfWorkflow = (workflow: string): Promise<{ phase: string; messages: string[] }> =>
    eventually(`the end of ${workflow}`, async () => {
      const { status = {} } = (await this.stage.api.get(`${GROUP}/workflows/${workflow}`)) as Loose;
      if (!["Succeeded", "Failed", "Error"].includes(status.phase)) return undefined;
      const messages = Object.values(status.nodes ?? {}).map(({ message = "" }: Loose) => message as string);
      return { phase: status.phase as string, messages };
    });

  /** A run that the owner opened and whose Workflow the attacker has deleted. */
  async abandonedRun(): Promise<string> {
    // Argo takes no `suspend` from a template: a Workflow that begins with a pause starts nothing.
    const restore = await this.rewrite((spec) => {
      spec.templates.push({ name: "pause", suspend: {} });
      spec.entrypoint = "pause";
    });
    const following = this.run("--params", "params.json").catch((error: Error) => error);
    const mine = await eventually("the owner's Workflow", async () =>
      (await this.stage.api.list(`${GROUP}/workflows`)).items.find(
        ({ metadata, status }: Loose) => metadata.name.startsWith(this.template) && !status?.finishedAt,
      ),
    );
    await this.stage.api.call("DELETE", `${GROUP}/workflows/${mine.metadata.name}`);
    await following;
    await restore();
    return (mine as Loose).spec.arguments.parameters.find(({ name }: Loose) => name === "run").value;
  }

  logOf = (pod: string): Promise<string> => this.stage.kubectl(["logs", "-n", NAMESPACE, pod]);
}

export const templateOf = (spec: Loose, step: string): Loose => spec.templates.find(({ name }: Loose) => name === step);
