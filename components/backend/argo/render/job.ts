/**
 * The Job that Argo creates for a step: policy/job.ts' Job, with what Kubernetes needs to know about its end. Its pod is the
 * same in every run, but for the run's id as a hint that the ledger checks. The agent policy pins what the pod may be.
 */
import { boundedName, jobName, type KubernetesJob } from "../../../../policy";
import { podsParameter, ROOT_LABEL, RUN } from "./names";
import { EXTRA_STARTS, FINAL_EXIT_CODES } from "./retries";

/** Longer than the engine's pause between two looks, so that it never misses an end. Seconds. */
const KEPT_AFTER_END = 3600;

export interface StepFacts {
  readonly job: KubernetesJob;
  /** Further attempts after the first, for every shard. */
  readonly retryLimit: number;
}

/** @param root what tells Workflow the Job belongs to: an expression of Argo. @throws Error when Argo would change more. */
export function jobManifest(pipeline: string, step: string, { job, retryLimit }: StepFacts, root: string): string {
  const {
    completions = 1,
    completionMode: _mode,
    parallelism: _all,
    backoffLimit: _none,
    template,
    ...spec
  } = job.spec;
  const container = template.spec.containers[0];
  const { labels } = job.metadata;
  const fixed = JSON.stringify(job);
  // Argo replaces these wherever they stand; nothing that comes from a pipeline may bring one along.
  if (fixed.includes("{{")) throw new Error(`step "${step}": its Job has "{{", which Argo would replace`);
  const sharded = completions > 1;
  const manifest = {
    ...job,
    metadata: {
      // One Job of a sharded step in a Workflow, however often its executor is started.
      ...(sharded
        ? { name: `${boundedName(`${pipeline}-${step}`, 26)}-{{workflow.uid}}` }
        : { generateName: `${jobName(pipeline, step)}-` }),
      labels: { ...labels, [ROOT_LABEL]: root },
    },
    spec: {
      ...spec,
      ...(sharded
        ? {
            // Not indexed: the ledger says which shard a pod is, and pods of an indexed Job have host names of their own,
            // which agent policies do not admit.
            completions: PODS,
            parallelism: PODS,
            // Started again within the Job: another Job would start pods for shards that are at work.
            backoffLimit: completions * (retryLimit + EXTRA_STARTS),
          }
        : { backoffLimit: 0 }),
      podFailurePolicy: failurePolicy(container.name),
      ttlSecondsAfterFinished: KEPT_AFTER_END,
      template: {
        ...template,
        spec: {
          ...template.spec,
          containers: [
            {
              ...container,
              env: [...container.env, { name: "SEALFLOW_RUN", value: `{{workflow.parameters.${RUN}}}` }],
            },
          ],
        },
      },
    },
  };
  const text = JSON.stringify(manifest);
  return completions > 1 ? text.replaceAll(`"${PODS}"`, `{{workflow.parameters.${podsParameter(step)}}}`) : text;
}

/** Stands for a number until the text is made. */
const PODS = "sealflow-pods";

/** Exit codes after which another attempt ends the same way; and pods that the cluster itself took away do not count. */
function failurePolicy(containerName: string) {
  const onExitCodes = { containerName, operator: "In", values: [...FINAL_EXIT_CODES] };
  return {
    rules: [
      { action: "FailJob", onExitCodes },
      { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
    ],
  };
}
