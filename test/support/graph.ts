/** The resources of a stack as text for review, and the order in which they may go. */
import type { Call } from "./cloud-providers/store";
import type { StateResource } from "./engine-stack";

const nameOf = (urn: string): string => urn.split("::").pop() ?? "";

/** Everything but the stack itself and default providers. */
const own = (state: readonly StateResource[]): StateResource[] =>
  state.filter(({ type, urn }) => type !== "pulumi:pulumi:Stack" && !isDefaultProvider(urn));

const isDefaultProvider = (urn: string): boolean =>
  urn.includes("::pulumi:providers:") && /^default(?:_|$)/.test(nameOf(urn));

/** URN of a provider that the program made; those that the engine makes need nothing. */
function providerOf({ provider = "" }: StateResource): string | undefined {
  const urn = provider.slice(0, provider.lastIndexOf("::"));
  return urn === "" || isDefaultProvider(urn) ? undefined : urn;
}

/** What must outlive a resource: what it needs, and its provider. */
const needsOf = (resource: StateResource): string[] => [
  ...(resource.dependencies ?? []),
  ...[providerOf(resource) ?? []].flat(),
];

/**
 * One line for each resource, by name: `name (type) in parent by provider after what it needs`. What is needed is what the
 * engine recorded: it deletes in this order.
 */
export function graphText(state: readonly StateResource[]): string {
  const lines = own(state).map((resource) => {
    const { urn, type, parent, dependencies = [] } = resource;
    const inside = parent && !parent.includes("pulumi:pulumi:Stack::") ? ` in ${nameOf(parent)}` : "";
    const provider = providerOf(resource);
    const by = provider === undefined ? "" : ` by ${nameOf(provider)}`;
    const after = [...new Set(dependencies.map(nameOf))].sort();
    return `${nameOf(urn)} (${type})${inside}${by}${after.length > 0 ? ` after ${after.join(", ")}` : ""}`;
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

/** When a resource went: places in the engine's event log. */
export interface Deletion {
  readonly urn: string;
  readonly began: number;
  readonly ended: number;
}

interface EngineEvent {
  readonly resourcePreEvent?: { readonly metadata: { readonly op: string; readonly urn: string } };
  readonly resOutputsEvent?: { readonly metadata: { readonly op: string; readonly urn: string } };
}

/** Of a file that `--event-log` wrote, in the order in which they ended. */
export function deletionsOf(log: string): Deletion[] {
  const began = new Map<string, number>();
  const deletions: Deletion[] = [];
  for (const [at, line] of log.trim().split("\n").entries()) {
    const { resourcePreEvent: before, resOutputsEvent: after } = JSON.parse(line) as EngineEvent;
    if (before?.metadata.op === "delete") began.set(before.metadata.urn, at);
    if (after?.metadata.op !== "delete") continue;
    const { urn } = after.metadata;
    deletions.push({ urn, began: began.get(urn) ?? at, ended: at });
  }
  return deletions;
}

/**
 * Walks a whole destroy, providers and what no cloud sees included. @param state before it.
 * @returns one line for each resource whose deletion began while something that needs it was not gone yet.
 */
export function walkProblems(state: readonly StateResource[], deletions: readonly Deletion[]): string[] {
  const of = new Map(deletions.map((deletion) => [deletion.urn, deletion]));
  return own(state).flatMap((resource) => {
    const name = nameOf(resource.urn);
    const gone = of.get(resource.urn);
    if (!gone) return [`${name} was not deleted`];
    return needsOf(resource)
      .filter((needed) => (of.get(needed)?.began ?? Number.POSITIVE_INFINITY) < gone.ended)
      .map((needed) => `${nameOf(needed)} went before ${name}, which needs it`);
  });
}

/** Names of resources in the order in which they went. */
export const namesOf = (deletions: readonly Deletion[]): string[] => deletions.map(({ urn }) => nameOf(urn));
