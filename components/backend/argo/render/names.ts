/** Names and labels of a pipeline's objects on a cluster. All of them are public. */
import { boundedName } from "../../../../policy";

export const MANAGED_BY = { "app.kubernetes.io/managed-by": "sealflow" } as const;

/** Label of everything that belongs to one run, Jobs and the Workflows of parts: name of the Workflow it began with. */
export const ROOT_LABEL = "sealflow/workflow";

/** Label of a run's Workflows: as much of its id as a label may have. `sealflow run` and `cancel` find them by it. */
export const RUN_LABEL = "sealflow/run";

/** Parameters of every Workflow. None of them is data: a run's id, and how much of it is done already. */
export const RUN = "run";
export const DONE = "done";
export const ROOT = "root";

/** Labels of a pipeline's objects; `part-of` finds them all. */
export const pipelineLabels = (pipeline: string): Record<string, string> => ({
  ...MANAGED_BY,
  "app.kubernetes.io/part-of": pipeline,
});

/**
 * The WorkflowTemplate that runs are made from. Stacks of one namespace must not meet, so their name is part of it. A part
 * adds up to 9 characters, a Workflow 6 more, and its label has to fit into 63.
 */
export const templateName = (stack: string, pipeline: string): string => boundedName(`${stack}-${pipeline}`, 46);

/** CronWorkflow of a schedule; Argo adds a time of 11 characters for each Workflow, up to 63. */
export const scheduleName = (stack: string, pipeline: string, schedule: string): string =>
  boundedName(`${templateName(stack, pipeline)}-${schedule}`, 50);

/** Service account that opens slots of a pipeline's schedules. */
export const openerName = (stack: string, pipeline: string): string => `${templateName(stack, pipeline)}-opener`;

/** The WorkflowTemplate of one part of a pipeline that is too large for one object. */
export const partName = (stack: string, pipeline: string, part: number): string =>
  `${templateName(stack, pipeline)}-part-${part}`;

/** Name of the parameter that says how many pods of a sharded step are still missing. */
export const podsParameter = (step: string): string => `pods-${step}`;
