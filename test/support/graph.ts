/** The resources of a stack as text for review, and the order in which they may go. */
import type { Call } from "./cloud-providers/store";
import type { StateResource } from "./engine-stack";

const nameOf = (urn: string): string => urn.split("::").pop() ?? "";

/** Everything but the stack itself and default providers. */
const own = (state: readonly StateResource[]): StateResource[] =>
  state.filter(({ type }) => type !== "pulumi:pulumi:Stack" && !type.startsWith("pulumi:providers:"));

/**
 * One line for each resource, by name: `name (type) in parent after what it needs`. What is needed is what the engine
 * recorded: it deletes in this order.
 */
export function graphText(state: readonly StateResource[]): string {
  const lines = own(state).map(({ urn, type, parent, dependencies = [] }) => {
    const inside = parent && !parent.includes("pulumi:pulumi:Stack::") ? ` in ${nameOf(parent)}` : "";
    const after = [...new Set(dependencies.map(nameOf))].sort();
    return `${nameOf(urn)} (${type})${inside}${after.length > 0 ? ` after ${after.join(", ")}` : ""}`;
  });
  return `${lines.sort().join("\n")}\n`;
}

/**
 * Walks the deletions of a destroy. @param state before it.
 * @returns one line for each resource that went while something that needs it was still there.
 */
export function orderProblems(state: readonly StateResource[], calls: readonly Call[]): string[] {
  const deleted = calls
    .filter(({ method, error }) => method === "delete" && error === undefined)
    .map(({ name }) => name);
  const at = new Map(deleted.map((name, i) => [name, i]));
  return own(state).flatMap(({ urn, dependencies = [] }) => {
    const name = nameOf(urn);
    const when = at.get(name);
    if (when === undefined) return [];
    return dependencies
      .map(nameOf)
      .filter((needed) => (at.get(needed) ?? Number.POSITIVE_INFINITY) < when)
      .map((needed) => `${needed} went before ${name}, which needs it`);
  });
}

/** Names of custom resources by the length of the longest chain of what they need: those of one layer need none of it. */
export function layersOf(state: readonly StateResource[]): string[][] {
  const custom = own(state).filter((resource) => resource.custom);
  const needs = new Map(custom.map(({ urn, dependencies = [] }) => [urn, dependencies]));
  const depth = (urn: string): number => 1 + Math.max(0, ...(needs.get(urn) ?? []).map(depth));
  const layers: string[][] = [];
  for (const { urn } of custom) {
    const layer = depth(urn) - 1;
    layers[layer] = [...(layers[layer] ?? []), nameOf(urn)];
  }
  return layers;
}
