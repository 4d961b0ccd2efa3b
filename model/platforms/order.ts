/**
 * What must exist before what, by model; deletion is the reverse. Identity outlives the adaptor, which deletes VMs with it;
 * the adaptor outlives workloads; VMs are gone before their subnet. Source: cloud-api-adaptor's uninstall steps, and its
 * tests, which delete VMs bound to a network before the cluster.
 */
import type { PlatformModel } from "./types";

export const PARTS = [
  "network",
  "identity",
  "image",
  "cluster",
  "workers",
  "roles",
  "federation",
  "certificates",
  "namespace",
  "adaptorSecret",
  "adaptor",
  "runtime",
  "sweep",
  "workloads",
] as const;
export type Part = (typeof PARTS)[number];

export type Needs = Readonly<Partial<Record<Part, readonly Part[]>>>;

const PEER_PODS: Needs = {
  network: [],
  identity: [],
  image: [],
  cluster: ["network"],
  workers: ["cluster"],
  roles: ["identity", "network"],
  /** The cluster's issuer is known once it exists. */
  federation: ["identity", "cluster"],
  /** cert-manager: the webhook's certificate is a resource of it. */
  certificates: ["workers"],
  namespace: ["cluster"],
  adaptorSecret: ["namespace", "identity"],
  adaptor: ["certificates", "namespace", "adaptorSecret", "workers", "roles", "federation", "network", "image"],
  /** Runs when deleted: waits until no VM with the stack's tag is left, deletes what stays behind. */
  sweep: ["adaptor", "roles", "network"],
  workloads: ["adaptor", "sweep"],
};

const NODE_POOL: Needs = { network: [], cluster: ["network"], workers: ["cluster"], workloads: ["workers"] };
/** Runtime: the chart of Confidential Containers; it must be removed by Helm itself, whose hooks clean the nodes. */
const BARE_METAL: Needs = { namespace: [], runtime: ["namespace"], workloads: ["runtime"] };
const SIMULATED: Needs = { workloads: [] };

/** @returns what each part needs; empty for models that are refused. */
export function partsOf(model: PlatformModel): Needs {
  switch (model) {
    case "peer-pods":
      return PEER_PODS;
    case "node-pool":
      return NODE_POOL;
    case "bare-metal":
      return BARE_METAL;
    case "simulated":
      return SIMULATED;
    default:
      return {};
  }
}

/** Parts in an order in which they can be made; the same in every call. */
export function creationOrder(needs: Needs): Part[] {
  const order: Part[] = [];
  const visit = (part: Part): void => {
    if (order.includes(part)) return;
    for (const needed of needs[part] ?? []) visit(needed);
    order.push(part);
  };
  for (const part of PARTS) if (needs[part] !== undefined) visit(part);
  return order;
}

export const deletionOrder = (needs: Needs): Part[] => creationOrder(needs).reverse();

/**
 * @param deleted parts in the order in which they went. A part may have several resources, so it may be named often.
 * @returns one line for each part that was deleted while something that needs it was there.
 */
export function deletionProblems(needs: Needs, deleted: readonly Part[]): string[] {
  return Object.entries(needs).flatMap(([part, needed]) =>
    needed.flatMap((other) => {
      const first = deleted.indexOf(other);
      const late = first >= 0 && deleted.lastIndexOf(part as Part) > first;
      return late ? [`${other} was deleted before ${part}, which needs it`] : [];
    }),
  );
}
