/** What Argo's executor pods may do, in the pipeline's namespace only: create Jobs, look at them, and clean up. */

export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

export const EXECUTOR_RULES: readonly Rule[] = [
  // Patch: to find the Job of a sharded step again, whose executor was lost.
  { apiGroups: ["batch"], resources: ["jobs"], verbs: ["create", "get", "list", "patch", "delete"] },
  // How an executor tells the controller that it has ended.
  { apiGroups: ["argoproj.io"], resources: ["workflowtaskresults"], verbs: ["create", "patch"] },
  // Parts of large pipelines.
  { apiGroups: ["argoproj.io"], resources: ["workflows"], verbs: ["create", "get", "list", "delete"] },
  // Where the cluster checks who may own objects (OwnerReferencesPermissionEnforcement): Jobs are owned by Workflows.
  { apiGroups: ["argoproj.io"], resources: ["workflows/finalizers"], verbs: ["update"] },
];

/** What Argo's agent may do, which sends requests for Workflows: take its tasks and say what came of them. */
export const OPENER_RULES: readonly Rule[] = [
  { apiGroups: ["argoproj.io"], resources: ["workflowtasksets"], verbs: ["get", "list", "watch"] },
  { apiGroups: ["argoproj.io"], resources: ["workflowtasksets/status"], verbs: ["patch"] },
  { apiGroups: ["argoproj.io"], resources: ["workflowtaskresults"], verbs: ["create", "patch"] },
];

/** What `sealflow run`, `status` and `cancel` do on the cluster. */
export const SUBMITTER_RULES: readonly Rule[] = [
  { apiGroups: ["argoproj.io"], resources: ["workflowtemplates"], verbs: ["get"] },
  { apiGroups: ["argoproj.io"], resources: ["workflows"], verbs: ["create", "get", "list", "watch", "patch"] },
];

/** As the Kubernetes types want them. */
export const mutable = (rules: readonly Rule[]) =>
  rules.map(({ apiGroups, resources, verbs }) => ({
    apiGroups: [...apiGroups],
    resources: [...resources],
    verbs: [...verbs],
  }));
