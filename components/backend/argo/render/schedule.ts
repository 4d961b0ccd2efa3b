/**
 * A schedule of a pipeline as a CronWorkflow. At each slot it sends the owner's signed schedule with the slot's time to the
 * ledger, which opens the slot's run, and creates that run's Workflow. Nothing of it is secret: whoever has a schedule may
 * open its slots, each of them once and not before its time by the ledger's clock. Valid for Argo Workflows 3.7 and 4.
 */
import { MANAGED_BY, pipelineLabels, RUN, RUN_LABEL } from "./names";

export interface ScheduleFacts {
  readonly pipeline: string;
  /** Five fields, UTC. */
  readonly cron: string;
  /** How long after its time a slot may be opened. */
  readonly lateSeconds: number;
  /** Signed; public. */
  readonly token: string;
  readonly ledgerUrl: string;
  /** WorkflowTemplate that runs are made from. */
  readonly template: string;
  /** Labels that say which controller takes the run's Workflow. */
  readonly labels: Readonly<Record<string, string>>;
  /** Calls the ledger. */
  readonly opener: string;
  /** Creates the Workflow. */
  readonly engine: string;
  readonly keptSeconds: number;
}

const TOKEN = "schedule";
/** The slot in seconds since 1970: the time for which the controller has started the Workflow. */
const SLOT = "sprig.unixEpoch(sprig.toDate('2006-01-02T15:04:05Z07:00', workflow.scheduledTime))";
/** What opens it, and the run's id, which follows from that. Computed: an answer could bring along more than an id. */
const OPENING = `workflow.parameters.${TOKEN} + '|' + ${SLOT}`;
const RUN_ID = `sprig.sha256sum(${OPENING})`;
const LABEL_LENGTH = 40;

/** @returns the `spec` of a CronWorkflow. */
export function cronWorkflow(facts: ScheduleFacts): object {
  const { pipeline, cron, lateSeconds, token, ledgerUrl, template, opener, engine, keptSeconds } = facts;
  const workflow = {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Workflow",
    metadata: {
      generateName: `${template}-`,
      labels: { ...pipelineLabels(pipeline), ...facts.labels, [RUN_LABEL]: `{{=${RUN_ID}[0:${LABEL_LENGTH}]}}` },
    },
    spec: {
      workflowTemplateRef: { name: template },
      arguments: { parameters: [{ name: RUN, value: `{{=${RUN_ID}}}` }] },
    },
  };
  return {
    schedules: [cron],
    timezone: "Etc/UTC",
    // A slot is a run of its own, however long the one before takes.
    concurrencyPolicy: "Allow",
    startingDeadlineSeconds: lateSeconds,
    workflowMetadata: { labels: { ...pipelineLabels(pipeline), ...facts.labels } },
    workflowSpec: {
      entrypoint: "slot",
      serviceAccountName: opener,
      arguments: { parameters: [{ name: TOKEN, value: token }] },
      workflowMetadata: { labels: MANAGED_BY },
      podMetadata: { labels: pipelineLabels(pipeline) },
      securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
      ttlStrategy: { secondsAfterCompletion: keptSeconds },
      podGC: { strategy: "OnPodSuccess" },
      templates: [
        {
          name: "slot",
          dag: {
            tasks: [
              { name: "open", template: "open" },
              { name: "run", template: "run", dependencies: ["open"] },
            ],
          },
        },
        {
          name: "open",
          retryStrategy: { limit: 5, retryPolicy: "Always", backoff: { duration: "10s", factor: 2 } },
          http: {
            method: "POST",
            url: `${ledgerUrl}/v1/runs`,
            headers: [{ name: "content-type", value: "application/json" }],
            body: `{"token": "{{=${OPENING}}}"}`,
            // Argo takes no CA here. Nothing secret is sent, and of the answer only its status counts, to go on or not.
            insecureSkipVerify: true,
            timeoutSeconds: 30,
            successCondition: "response.statusCode == 200",
          },
        },
        {
          name: "run",
          serviceAccountName: engine,
          resource: {
            action: "create",
            setOwnerReference: true,
            successCondition: "status.phase==Succeeded",
            failureCondition: "status.phase in (Failed,Error)",
            manifest: JSON.stringify(workflow),
          },
        },
      ],
    },
  };
}
