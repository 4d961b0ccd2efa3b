/** Which changes are made in place, and which need another object. */
import { isMap, Secret, sameValue, Unknown, type Value, type Values } from "../../provider/server/values";
import { FIELD_MANAGER } from "./objects";
import type { Settings } from "./settings";

export interface Change {
  readonly path: string;
  readonly kind: "add" | "delete" | "update";
  readonly replace: boolean;
}

const ALWAYS = ["apiVersion", "kind", "metadata.name", "metadata.namespace"];

/**
 * Fields whose change makes another object, by kind, as the real provider has them; a path covers what is below it. What
 * else cannot change is refused by the server.
 */
const IMMUTABLE: Readonly<Record<string, readonly string[]>> = {
  Job: ["spec.selector", "spec.template", "spec.completions", "spec.parallelism"],
  Deployment: ["spec.selector"],
  DaemonSet: ["spec.selector"],
  StatefulSet: [
    "spec.selector",
    "spec.serviceName",
    "spec.podManagementPolicy",
    "spec.volumeClaimTemplates",
    "spec.revisionHistoryLimit",
  ],
  Pod: ["spec"],
  Service: ["spec.clusterIP"],
  PersistentVolumeClaim: ["spec"],
  ResourceQuota: ["spec.scopes"],
  StorageClass: ["provisioner", "parameters"],
  RoleBinding: ["roleRef"],
  ClusterRoleBinding: ["roleRef"],
  Release: ["namespace", "name"],
};

/** Who mounts them should see another object, unless the provider's settings say otherwise. */
function dataOf(kind: string, olds: Values, { secretMutable, configMapMutable }: Settings): readonly string[] {
  const fixed = olds.immutable === true;
  if (kind === "Secret") return !secretMutable || fixed ? ["type", "data", "stringData"] : ["type"];
  if (kind === "ConfigMap") return !configMapMutable || fixed ? ["data", "binaryData"] : [];
  return [];
}

export interface DiffOf {
  readonly olds: Values;
  readonly news: Values;
  readonly ignore: readonly string[];
  /** Of a Patch resource: it changes whatever it names in place. */
  readonly patch: boolean;
  readonly settings: Settings;
}

export function changesOf({ olds, news, ignore, patch, settings }: DiffOf): Change[] {
  const { [FIELD_MANAGER]: _o, ...before } = olds;
  const { [FIELD_MANAGER]: _n, ...after } = news;
  const kind = String(news.kind ?? "Release");
  const fixed = [...ALWAYS, ...(patch ? [] : [...(IMMUTABLE[kind] ?? []), ...dataOf(kind, olds, settings)])];
  const replaces = (path: string) =>
    fixed.some((p) => path === p || path.startsWith(`${p}.`) || path.startsWith(`${p}[`));
  const found: Change[] = [];
  walk(inDefault(before), inDefault(after), "", (path, what) => {
    if (!ignore.some((p) => path === p || path.startsWith(`${p}.`)))
      found.push({ path, kind: what, replace: replaces(path) });
  });
  return found;
}

/** Saying nothing and saying "default" is the same namespace. */
function inDefault(values: Values): Values {
  const { metadata } = values;
  if (!isMap(metadata) || metadata.namespace !== "default") return values;
  const { namespace: _, ...rest } = metadata;
  return { ...values, metadata: rest };
}

function walk(
  old: Value | undefined,
  now: Value | undefined,
  path: string,
  tell: (path: string, kind: Change["kind"]) => void,
): void {
  const a = old instanceof Secret ? old.value : old;
  const b = now instanceof Secret ? now.value : now;
  if (isMap(a) && isMap(b)) {
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
      walk(a[key], b[key], path === "" ? key : `${path}${/^[\w]+$/.test(key) ? `.${key}` : `["${key}"]`}`, tell);
    }
    return;
  }
  if (b instanceof Unknown || !sameValue(a, b))
    tell(path, a === undefined ? "add" : b === undefined ? "delete" : "update");
}
