/**
 * Who owns which field of an object. Objects are created by an ordinary request under one manager's name and updated by
 * applies under another, as the real provider does since 4.29; so an update first takes over what the creation owns.
 */
import type { Manifest } from "./objects";

/** Name under which objects are created. */
export const CREATOR = "pulumi-kubernetes";

interface Entry {
  readonly manager?: string;
  readonly operation?: string;
  readonly subresource?: string;
  readonly fieldsV1?: Tree;
}
/** FieldsV1: each key names a field or an item, and holds what is below it. */
type Tree = { readonly [key: string]: Tree };

/** Managers whose fields an update takes over: its own creation, and whoever used plain kubectl. */
const TAKEN: readonly (readonly [manager: string, operation: string])[] = [
  [CREATOR, "Update"],
  ["kubectl", "Apply"],
  ["kubectl", "Update"],
  ["before-first-apply", "Update"],
];

const entriesOf = ({ metadata }: Manifest): readonly Entry[] => (metadata.managedFields as Entry[] | undefined) ?? [];
const isTaken = ({ manager, operation, subresource }: Entry): boolean =>
  subresource === undefined && TAKEN.some(([name, kind]) => name === manager && kind === operation);

export const hasFieldsToTake = (live: Manifest): boolean => entriesOf(live).some(isTaken);

/** A JSON patch that gives `manager` what TAKEN own. The object's version is in it, so nothing newer is lost. */
export function takeOver(live: Manifest, manager: string): object[] {
  const entries = entriesOf(live);
  const own = entries.filter((entry) => entry.manager === manager && entry.operation === "Apply");
  const taken = entries.filter(isTaken);
  const fieldsV1 = [...own, ...taken].reduce<Tree>((all, { fieldsV1 = {} }) => union(all, fieldsV1), {});
  const others = entries.filter((entry) => !own.includes(entry) && !taken.includes(entry));
  const first = own[0] ?? taken[0];
  return [
    {
      op: "replace",
      path: "/metadata/managedFields",
      value: [...others, { ...first, manager, operation: "Apply", fieldsV1 }],
    },
    { op: "replace", path: "/metadata/resourceVersion", value: live.metadata.resourceVersion },
  ];
}

function union(a: Tree, b: Tree): Tree {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return Object.fromEntries([...keys].map((key) => [key, union(a[key] ?? {}, b[key] ?? {})]));
}
