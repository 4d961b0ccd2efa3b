/** Whether a cluster can start guests: what its API server says about a runtime class and its nodes. */

/** Read as it is: no field is taken for granted. */
interface ClassObject {
  readonly handler?: unknown;
  readonly overhead?: { readonly podFixed?: Readonly<Record<string, string>> };
  readonly scheduling?: { readonly nodeSelector?: Readonly<Record<string, string>> };
}
interface NodeObject {
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec?: { readonly unschedulable?: boolean };
  readonly status?: {
    readonly allocatable?: Readonly<Record<string, string>>;
    readonly conditions?: readonly { readonly type?: string; readonly status?: string }[];
    readonly runtimeHandlers?: readonly { readonly name?: string }[];
  };
}

export interface RuntimeQuestion {
  readonly runtimeClass: string;
  /** What the platform says of its nodes, beside what the class itself selects. */
  readonly nodeLabels: Readonly<Record<string, string>>;
  /** Extended resources without which no pod is started, such as `kata.peerpods.io/vm`. */
  readonly resources?: readonly string[];
}

export interface RuntimeAnswer {
  /** One that can take a guest; undefined: none can. */
  readonly node: string | undefined;
  readonly handler: string;
  /** What is missing, and what to do; empty exactly when there is a node. */
  readonly problems: readonly string[];
}

/** @param runtimeClass undefined: there is none of that name. */
export function answerRuntime(
  question: RuntimeQuestion,
  runtimeClass: object | undefined,
  nodes: readonly object[],
): RuntimeAnswer {
  const name = question.runtimeClass;
  if (runtimeClass === undefined) {
    const remedy = "The runtime is not installed, or still at work: look at its pods, kata-deploy's or the adaptor's";
    return { node: undefined, handler: "", problems: [`runtime class ${name}: the cluster has none. ${remedy}`] };
  }
  const found = runtimeClass as ClassObject;
  const handler = String(found.handler ?? "");
  const missing = (nodes as readonly NodeObject[]).map((node) => ({ node, lacks: lacking(question, found, node) }));
  const able = missing.find(({ lacks }) => lacks.length === 0);
  if (able) return { node: able.node.metadata.name, handler, problems: [] };
  if (missing.length === 0) {
    return { node: undefined, handler, problems: ["nodes: the cluster has none. Add one that starts guests"] };
  }
  // What the closest node lacks is what is worth mending.
  const [closest] = [...missing].sort((a, b) => a.lacks.length - b.lacks.length);
  const lines = closest?.lacks.map((lack) => `node ${closest.node.metadata.name}: ${lack}`) ?? [];
  return { node: undefined, handler, problems: lines };
}

function lacking(question: RuntimeQuestion, runtimeClass: ClassObject, node: NodeObject): string[] {
  const { labels = {} } = node.metadata;
  const { allocatable = {}, conditions = [], runtimeHandlers = [] } = node.status ?? {};
  const selector = { ...runtimeClass.scheduling?.nodeSelector, ...question.nodeLabels };
  const handler = String(runtimeClass.handler ?? "");
  const needed = new Set([
    ...Object.keys(runtimeClass.overhead?.podFixed ?? {}).filter((resource) => resource.includes("/")),
    ...(question.resources ?? []),
  ]);
  return [
    ...(conditions.some(({ type, status }) => type === "Ready" && status === "True")
      ? []
      : ["is not Ready. See its kubelet's and containerd's logs: installing a runtime restarts both"]),
    ...(node.spec?.unschedulable ? ["is cordoned. Run kubectl uncordon"] : []),
    ...Object.entries(selector).flatMap(([label, value]) => {
      if (labels[label] === value) return [];
      const has = labels[label] === undefined ? "has no such label" : `has "${labels[label]}"`;
      return [`needs the label ${label}="${value}", ${has}. ${labelRemedy(label)}`];
    }),
    ...[...needed]
      .filter((resource) => !(Number(allocatable[resource] ?? 0) >= 1))
      .map((resource) => `offers no ${resource}. ${resourceRemedy(resource)}`),
    // Kubelets since 1.33 say which handlers containerd has; older ones say nothing.
    ...(runtimeHandlers.length > 0 && !runtimeHandlers.some(({ name }) => name === handler)
      ? [`its container runtime has no handler "${handler}". Restart containerd, then look at kata-deploy's log`]
      : []),
  ];
}

function labelRemedy(label: string): string {
  if (label.startsWith("katacontainers.io/") || label.startsWith("kata-deploy.katacontainers.io/"))
    return "kata-deploy sets it when the node is ready: look at its pod there";
  if (label.includes("feature.node.kubernetes.io"))
    return "Node Feature Discovery sets it where the hardware is there: switch the TEE on in the BIOS";
  return "Label the node";
}

const resourceRemedy = (resource: string): string =>
  resource === "kata.peerpods.io/vm"
    ? "The cloud-api-adaptor sets it: look at its pod on that node"
    : "Node Feature Discovery counts it with the rules of kata-deploy, which nodeFeatureDiscovery switches on";
