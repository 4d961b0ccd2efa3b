import type * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { STEPS_PER_PART } from "./render/parts";

export interface ArgoBackendArgs {
  /** Namespace of the pipelines' objects. @default "sealflow" */
  namespace?: string;
  /** Whether this makes the namespace. One that is there already needs the Pod Security level of `podSecurity`. @default true */
  createNamespace?: boolean;
  /**
   * Pod Security level that the namespace enforces. Steps have capabilities inside their guest, which only `privileged`
   * lets through; `restricted` fits clusters that exempt the confidential runtime classes. @default "privileged"
   */
  podSecurity?: "privileged" | "restricted";
  /** Steps of one run that are at work at the same time; for large pipelines as many parts, each with as many steps. @default no limit */
  parallelism?: number;
  /**
   * Steps of one Workflow: a pipeline of more is split into parts. Lower it where a preview says that a WorkflowTemplate
   * would be too large, as with long certificate chains. 1 to 60. @default 36
   */
  stepsPerPart?: number;
  /** Seconds for which Argo keeps a finished Workflow. @default 86400 (a day) */
  keptSeconds?: number;
  /** Instance id of the workflow controller that shall take them. @default the controller without one */
  instanceId?: string;
  /**
   * Users, groups and service accounts that may submit runs, beside the cluster's administrators. A Workflow
   * of theirs can be any, with any pod that `podSecurity` lets through: with `privileged`, root on the nodes. @default none
   */
  submitters?: pulumi.Input<k8s.types.input.rbac.v1.Subject>[];
  /** Cluster to deploy to. @default the ambient kubeconfig */
  provider?: k8s.Provider;
}

/** The smallest Jobs have 7 kB, and a template 450. */
const MOST_STEPS_PER_PART = 60;
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

export interface ArgoSettings {
  readonly namespace: string;
  readonly createNamespace: boolean;
  readonly podSecurity: "privileged" | "restricted";
  readonly keptSeconds: number;
  readonly parallelism: number | undefined;
  readonly stepsPerPart: number;
  readonly instanceId: string | undefined;
}

/** @throws RunError with every problem. */
export function checkArgs(name: string, args: ArgoBackendArgs): ArgoSettings {
  const { namespace = "sealflow", createNamespace = true, podSecurity = "privileged", keptSeconds = 86_400 } = args;
  const { parallelism, instanceId, stepsPerPart = STEPS_PER_PART } = args;
  const count = (value: number, min: number) => Number.isInteger(value) && value >= min;
  const problems = [
    ...(NAMESPACE.test(namespace)
      ? []
      : [`namespace: "${namespace}" is no name of a namespace: a-z, 0-9 and -, up to 63`]),
    ...(["privileged", "restricted"].includes(podSecurity)
      ? []
      : [`podSecurity: "${podSecurity}" is neither "privileged" nor "restricted"`]),
    ...(count(keptSeconds, 60) ? [] : [`keptSeconds: ${keptSeconds} is not a whole number from 60`]),
    ...(parallelism === undefined || count(parallelism, 1)
      ? []
      : [`parallelism: ${parallelism} is not a whole number from 1`]),
    ...(count(stepsPerPart, 1) && stepsPerPart <= MOST_STEPS_PER_PART
      ? []
      : [`stepsPerPart: ${stepsPerPart} is not a whole number from 1 to ${MOST_STEPS_PER_PART}`]),
    ...(instanceId === undefined || NAMESPACE.test(instanceId)
      ? []
      : [`instanceId: "${instanceId}" is no label's value`]),
  ];
  if (problems.length > 0)
    throw new pulumi.RunError(problems.map((text) => `argoBackend "${name}": ${text}`).join("\n"));
  return { namespace, createNamespace, podSecurity, keptSeconds, parallelism, stepsPerPart, instanceId };
}
