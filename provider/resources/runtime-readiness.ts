import { setTimeout as sleep } from "node:timers/promises";
import { answerRuntime, type RuntimeAnswer } from "../../policy/runtime";
import { clusterOf, KubernetesClient, KubernetesError, readKubeconfig } from "../../untrusted/kubernetes";
import type { Context } from "../server/context";
import type { Definition, Failure } from "../server/definition";
import { ProviderError } from "../server/errors";

interface Inputs {
  kubeconfig?: string;
  runtimeClass: string;
  nodeLabels: Record<string, string>;
  resources?: string[];
  installed?: string;
  timeoutSeconds?: number;
}

interface Outputs {
  handler: string;
}

const USUAL_SECONDS = 1200;
const MOST_SECONDS = 7200;
const PAUSE_MS = 3000;

/** Looks and changes nothing: what it says holds until nodes change. */
export const runtimeReadiness: Definition<Inputs, Outputs> = {
  name: "RuntimeReadiness",
  about: "Waits until a cluster has a runtime class and a node that can take it.",
  inputs: {
    kubeconfig: { type: "string", optional: true, secret: true, change: "none", about: "Default: the ambient one." },
    runtimeClass: { type: "string", about: "Name of the runtime class." },
    nodeLabels: { type: "object", about: "Labels of a node that takes guests, beside those that the class selects." },
    resources: { type: "list", optional: true, about: "Extended resources that a node must offer. Default: none." },
    installed: { type: "string", optional: true, about: "What was installed: another value waits anew." },
    timeoutSeconds: { type: "number", optional: true, change: "none", about: "0 to 7200. Default: 1200." },
  },
  outputs: { handler: { type: "string", about: "Handler of the runtime class." } },

  async check(_context, { timeoutSeconds: seconds }) {
    const failures: Failure[] = [];
    if (seconds !== undefined && !(Number.isInteger(seconds) && seconds >= 0 && seconds <= MOST_SECONDS)) {
      failures.push({
        property: "timeoutSeconds",
        reason: `${seconds} is not a whole number from 0 to ${MOST_SECONDS}`,
      });
    }
    return { failures };
  },

  async create(context, inputs) {
    return { id: inputs.runtimeClass, outputs: await untilReady(context, inputs) };
  },

  update: (context, _old, inputs) => untilReady(context, inputs),

  /** Gone when no node can take a guest now: the next `up` waits for it again. */
  async read(context, { inputs, outputs }) {
    const { node, problems } = await look(context, inputs);
    if (node !== undefined) return outputs;
    for (const problem of problems) context.log.warn(problem);
    return undefined;
  },

  async delete() {},
};

async function untilReady(context: Context, inputs: Inputs): Promise<Outputs> {
  const until = performance.now() + (inputs.timeoutSeconds ?? USUAL_SECONDS) * 1000;
  for (;;) {
    const { node, handler, problems } = await look(context, inputs).catch(unreachable);
    if (node !== undefined) return { handler };
    if (performance.now() >= until) {
      const text = `no node can take guests of runtime class ${inputs.runtimeClass}: ${problems.join("; ")}`;
      throw new ProviderError("NOT_READY", text);
    }
    context.log.status(`waits: ${problems[0]}`);
    await sleep(PAUSE_MS, undefined, { signal: context.signal }).catch(() => context.signal.throwIfAborted());
  }
}

async function look(
  context: Context,
  { kubeconfig, runtimeClass, nodeLabels, resources }: Inputs,
): Promise<RuntimeAnswer> {
  const cluster = kubeconfig === undefined ? readKubeconfig(context.env) : clusterOf(kubeconfig, "kubeconfig");
  const client = new KubernetesClient(cluster);
  try {
    const name = encodeURIComponent(runtimeClass);
    const found = await client.get(`/apis/node.k8s.io/v1/runtimeclasses/${name}`).catch(missing);
    const { items } = await client.list("/api/v1/nodes");
    const question = { runtimeClass, nodeLabels, ...(resources ? { resources } : {}) };
    return answerRuntime(question, found, items);
  } finally {
    client.close();
  }
}

/** Installing a runtime restarts node components, the API server's among them on small clusters. */
function unreachable(error: unknown): RuntimeAnswer {
  if (!(error instanceof KubernetesError) || error.code !== "API_UNREACHABLE") throw error;
  return { node: undefined, handler: "", problems: [error.message] };
}

function missing(error: unknown): undefined {
  if (error instanceof KubernetesError && error.code === "API_NOT_FOUND") return undefined;
  throw error;
}
