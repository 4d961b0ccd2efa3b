/** Specs of WorkflowTemplates: what the engine sees of a pipeline. Valid for Argo Workflows 3.7 and 4. */
import { jobManifest, type StepFacts } from "./job";
import { DONE, MANAGED_BY, pipelineLabels, podsParameter, ROOT, ROOT_LABEL, RUN } from "./names";
import type { Part } from "./parts";
import { type Backoff, JOB_FAILED, JOB_SUCCEEDED, retryOfExecutor, retryOfJob } from "./retries";

export interface StepOfWorkflow extends StepFacts {
  readonly name: string;
  /** Steps that it waits for. */
  readonly after: readonly string[];
  readonly shards: number;
  readonly backoff: Backoff;
}

export interface WorkflowSettings {
  readonly pipeline: string;
  /** Of Argo's executor pods; steps have no account's token. */
  readonly serviceAccount: string;
  /** Steps at work at the same time. */
  readonly parallelism?: number | undefined;
  /** Seconds that a finished Workflow is kept. */
  readonly keptSeconds: number;
}

/**
 * Argo refuses Workflows from 1 MB. It copies the whole template into a Workflow's status, and each of its templates once
 * more when a node of it begins; and the states of the nodes are there as well.
 */
export const MAX_TEMPLATE_BYTES = 450_000;

const WORKFLOW_NAME = "{{workflow.name}}";
const parameterOf = (name: string): string => `{{workflow.parameters.${name}}}`;
const ENTRY = "pipeline";
const CLEAN = "clean-up";

/** A pipeline, or a part of one, whose steps are Jobs. @param root expression of the Workflow that the run began with. */
export function workflowOfSteps(steps: readonly StepOfWorkflow[], settings: WorkflowSettings, part: boolean): object {
  const names = new Set(steps.map(({ name }) => name));
  const root = part ? parameterOf(ROOT) : WORKFLOW_NAME;
  const tasks = steps.map(({ name, after }) => ({
    name,
    template: name,
    dependencies: after.filter((other) => names.has(other)),
    // A run that goes on leaves out what is committed.
    when: `'${parameterOf(DONE)}' !~ ',${name},'`,
  }));
  const templates = steps.map((step) => ({
    name: step.name,
    // The Job ends by itself at its deadline. This is for an executor that does not notice.
    activeDeadlineSeconds: step.job.spec.activeDeadlineSeconds + 600,
    retryStrategy: step.shards > 1 ? retryOfExecutor() : retryOfJob(step.retryLimit, step.backoff),
    resource: {
      action: step.shards > 1 ? "apply" : "create",
      setOwnerReference: true,
      successCondition: JOB_SUCCEEDED,
      failureCondition: JOB_FAILED,
      manifest: jobManifest(settings.pipeline, step.name, step, root),
    },
  }));
  const parameters = [
    { name: RUN },
    { name: DONE, value: "," },
    ...(part ? [{ name: ROOT }] : []),
    ...steps
      .filter(({ shards }) => shards > 1)
      .map(({ name, shards }) => ({ name: podsParameter(name), value: `${shards}` })),
  ];
  return workflow(settings, parameters, tasks, templates, part ? [] : [cleanUp("jobs")]);
}

/** A pipeline of parts, each a Workflow of its own. */
export function workflowOfParts(
  parts: readonly Part[],
  nameOf: (part: number) => string,
  settings: WorkflowSettings,
): object {
  const tasks = parts.map(({ after }, i) => ({
    name: `part-${i}`,
    template: `part-${i}`,
    dependencies: after.map((other) => `part-${other}`),
  }));
  const templates = parts.map(({ sharded }, i) => ({
    name: `part-${i}`,
    retryStrategy: { limit: 2, retryPolicy: "OnError" },
    resource: {
      action: "create",
      setOwnerReference: true,
      successCondition: "status.phase==Succeeded",
      failureCondition: "status.phase in (Failed,Error)",
      manifest: JSON.stringify({
        apiVersion: "argoproj.io/v1alpha1",
        kind: "Workflow",
        metadata: {
          generateName: `${nameOf(i)}-`,
          labels: { ...pipelineLabels(settings.pipeline), [ROOT_LABEL]: WORKFLOW_NAME },
        },
        spec: {
          workflowTemplateRef: { name: nameOf(i) },
          arguments: {
            parameters: [
              ...[RUN, DONE, ...sharded.map(podsParameter)].map((name) => ({ name, value: parameterOf(name) })),
              { name: ROOT, value: WORKFLOW_NAME },
            ],
          },
        },
      }),
    },
  }));
  const pods = parts.flatMap(({ sharded, shards }) =>
    sharded.map((name, i) => ({ name: podsParameter(name), value: `${shards[i]}` })),
  );
  const parameters = [{ name: RUN }, { name: DONE, value: "," }, ...pods];
  return workflow(settings, parameters, tasks, templates, [cleanUp("workflows.argoproj.io")]);
}

function workflow(
  { pipeline, serviceAccount, parallelism, keptSeconds }: WorkflowSettings,
  parameters: readonly object[],
  tasks: readonly object[],
  templates: readonly object[],
  clean: readonly object[],
): object {
  return {
    entrypoint: ENTRY,
    // A part leaves it to the Workflow that the run began with, which deletes its parts.
    ...(clean.length > 0 ? { onExit: CLEAN } : {}),
    serviceAccountName: serviceAccount,
    arguments: { parameters },
    ...(parallelism === undefined ? {} : { parallelism }),
    podMetadata: { labels: pipelineLabels(pipeline) },
    workflowMetadata: { labels: MANAGED_BY },
    // Of the executor's pods, which are ordinary ones: `restricted` Pod Security.
    securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
    ttlStrategy: { secondsAfterCompletion: keptSeconds },
    podGC: { strategy: "OnPodSuccess" },
    templates: [{ name: ENTRY, dag: { failFast: false, tasks } }, ...templates, ...clean],
  };
}

/** Stopping a Workflow does not stop its Jobs; deleting one deletes what it owns, in time. */
function cleanUp(kind: string): object {
  return {
    name: CLEAN,
    retryStrategy: { limit: 3, retryPolicy: "Always" },
    resource: { action: "delete", flags: [kind, "--selector", `${ROOT_LABEL}=${WORKFLOW_NAME}`, "--wait=false"] },
  };
}
