import type { BackendReference } from "../../protocol/connection";
import type { KubernetesClient } from "../kubernetes/client";
import { follow } from "../kubernetes/follow";
import { hasEnded, stateOf, type WorkflowState, workflowsPath } from "./workflow";

export interface FollowWorkflowOptions {
  readonly client: KubernetesClient;
  readonly at: BackendReference;
  readonly name: string;
  readonly signal: AbortSignal;
  /** One line worth telling once. */
  readonly onNote: (line: string) => void;
}

/** Longer than a controller needs to take a Workflow that it watches for. */
const NOT_TAKEN_MS = 30_000;

/** Until the engine has ended. @returns its last state; undefined: somebody deleted the Workflow. @throws AbortError. */
export async function followWorkflow(options: FollowWorkflowOptions): Promise<WorkflowState | undefined> {
  const { client, at, name, signal, onNote } = options;
  const collection = workflowsPath(at);
  const idle = setTimeout(() => {
    onNote(`no workflow controller has taken ${name} yet: does one watch namespace "${at.namespace}"?`);
  }, NOT_TAKEN_MS);
  const onAway = (reason: string) => onNote(`${reason}; the run goes on, and so does this when the server is back`);
  let last: WorkflowState | undefined;
  try {
    for await (const object of follow(client, { collection, name, signal, onAway })) {
      last = stateOf(object);
      if (last.phase !== undefined) clearTimeout(idle);
      if (hasEnded(last)) return last;
    }
    return undefined;
  } finally {
    clearTimeout(idle);
  }
}
