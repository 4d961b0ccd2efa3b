/** Workflows as this backend makes and finds them. */
import type { BackendReference } from "../../protocol/connection";
import { SealflowError } from "../../protocol/errors";
import type { KubernetesObject } from "../kubernetes/client";

/**
 * Append only. TEMPLATE_MISSING: the namespace has no such WorkflowTemplate; deploy again. ARGO_MISSING: the cluster has no
 * Argo Workflows.
 */
export type ArgoCode = "TEMPLATE_MISSING" | "ARGO_MISSING";
export class ArgoError extends SealflowError<ArgoCode> {}

const GROUP = "/apis/argoproj.io/v1alpha1/namespaces";
export const workflowsPath = ({ namespace }: BackendReference): string => `${GROUP}/${namespace}/workflows`;
export const templatePath = ({ namespace, template }: BackendReference): string =>
  `${GROUP}/${namespace}/workflowtemplates/${template}`;

/** Label of a run's Workflows: as much of its id as a label may have. */
export const RUN_LABEL = "sealflow/run";
export const runLabel = (run: string): string => run.slice(0, 40);

export type WorkflowPhase = "Pending" | "Running" | "Succeeded" | "Failed" | "Error";

export interface WorkflowState {
  readonly name: string;
  /** undefined: the controller has not looked at it yet. */
  readonly phase: WorkflowPhase | undefined;
  /** Argo's own words on a failure. */
  readonly message: string | undefined;
}

const PHASES = new Set<unknown>(["Pending", "Running", "Succeeded", "Failed", "Error"]);

export function stateOf({ metadata, status }: KubernetesObject): WorkflowState {
  const { phase, message } = (status ?? {}) as { phase?: unknown; message?: unknown };
  return {
    name: metadata.name,
    phase: PHASES.has(phase) ? (phase as WorkflowPhase) : undefined,
    message: typeof message === "string" ? message : undefined,
  };
}

export const hasEnded = ({ phase }: WorkflowState): boolean =>
  phase === "Succeeded" || phase === "Failed" || phase === "Error";
