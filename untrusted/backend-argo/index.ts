export { type FollowWorkflowOptions, followWorkflow } from "./follow";
export { activeWorkflows, type SubmitOptions, stopRun, submitRun } from "./submit";
export { type ArgoCode, ArgoError, type WorkflowState } from "./workflow";
