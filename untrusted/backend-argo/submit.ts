import type { BackendReference } from "../../protocol/connection";
import type { KubernetesClient, KubernetesObject } from "../kubernetes/client";
import { KubernetesError } from "../kubernetes/errors";
import {
  ArgoError,
  hasEnded,
  RUN_LABEL,
  runLabel,
  stateOf,
  templatePath,
  type WorkflowState,
  workflowsPath,
} from "./workflow";

export interface SubmitOptions {
  readonly client: KubernetesClient;
  readonly at: BackendReference;
  readonly run: string;
  /** Step → how many of its shards are committed already. */
  readonly done: ReadonlyMap<string, number>;
  /** Step → number of its shards. */
  readonly steps: ReadonlyMap<string, number>;
}

/** The Workflow of an open run: the one that works on it, or a new one. @throws ArgoError, KubernetesError. */
export async function submitRun(options: SubmitOptions): Promise<WorkflowState & { readonly isNew: boolean }> {
  const { client, at, run } = options;
  const [active] = await activeWorkflows(client, at, run);
  if (active) return { ...active, isNew: false };
  const template = await readTemplate(client, at);
  const made = await client.create(workflowsPath(at), workflowOf(template, options));
  return { ...stateOf(made), isNew: true };
}

/** Those of a run that have not ended. */
export async function activeWorkflows(
  client: KubernetesClient,
  at: BackendReference,
  run: string,
): Promise<WorkflowState[]> {
  const selector = encodeURIComponent(`${RUN_LABEL}=${runLabel(run)}`);
  const { items } = await client.list(`${workflowsPath(at)}?labelSelector=${selector}`).catch(explainMissing);
  return items.map(stateOf).filter((state) => !hasEnded(state));
}

/** Lets the engine start nothing more of a run, and clean up. @returns names of the Workflows that it stopped. */
export async function stopRun(client: KubernetesClient, at: BackendReference, run: string): Promise<string[]> {
  const active = await activeWorkflows(client, at, run);
  for (const { name } of active) await client.patch(`${workflowsPath(at)}/${name}`, { spec: { shutdown: "Stop" } });
  return active.map(({ name }) => name);
}

/** A list of a kind that the server does not know is 404. */
function explainMissing(error: unknown): never {
  if (!(error instanceof KubernetesError) || error.code !== "API_NOT_FOUND") throw error;
  const remedy = "Install Argo Workflows 3.7 or 4 there: docs/argo.md";
  throw new ArgoError("ARGO_MISSING", `the cluster of your kubeconfig has no Workflows. ${remedy}`, { cause: error });
}

async function readTemplate(client: KubernetesClient, at: BackendReference): Promise<KubernetesObject> {
  try {
    return await client.get(templatePath(at));
  } catch (error) {
    if (!(error instanceof KubernetesError) || error.code !== "API_NOT_FOUND") throw error;
    const place = `namespace "${at.namespace}" has no WorkflowTemplate "${at.template}"`;
    throw new ArgoError("TEMPLATE_MISSING", `${place}. Is this the right cluster? Otherwise run: sealflow up`, {
      cause: error,
    });
  }
}

/** Nothing but the run's id and what is done goes to the cluster. Deleting the template deletes the Workflow. */
function workflowOf({ metadata }: KubernetesObject, { at, run, done, steps }: SubmitOptions): object {
  const committed = [...steps].filter(([step, shards]) => (done.get(step) ?? 0) >= shards).map(([step]) => step);
  const missing = [...steps].flatMap(([step, shards]) => {
    const left = shards - (done.get(step) ?? 0);
    return shards > 1 && left > 0 && left < shards ? [{ name: `pods-${step}`, value: `${left}` }] : [];
  });
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Workflow",
    metadata: {
      generateName: `${at.template}-`,
      // Those of the template say which pipeline it is, and which controller shall take it.
      labels: { ...metadata.labels, [RUN_LABEL]: runLabel(run) },
      ownerReferences: [
        { apiVersion: "argoproj.io/v1alpha1", kind: "WorkflowTemplate", name: metadata.name, uid: metadata.uid },
      ],
    },
    spec: {
      workflowTemplateRef: { name: at.template },
      arguments: {
        parameters: [
          { name: "run", value: run },
          { name: "done", value: `,${committed.map((step) => `${step},`).join("")}` },
          ...missing,
        ],
      },
    },
  };
}
