/** Which changes are made in place, and which need another object. */
import { isMap, Secret, sameValue, Unknown, type Value, type Values } from "../../provider/server/values";
import { FIELD_MANAGER } from "./objects";

export interface Change {
  readonly path: string;
  readonly kind: "add" | "delete" | "update";
  readonly replace: boolean;
}

const ALWAYS = ["apiVersion", "kind", "metadata.name", "metadata.namespace"];

/** Fields that the server does not let change, by kind; a path covers what is below it. */
const IMMUTABLE: Readonly<Record<string, readonly string[]>> = {
  Job: [
    "spec.selector",
    "spec.template",
    "spec.completions",
    "spec.completionMode",
    "spec.podFailurePolicy",
    "spec.backoffLimitPerIndex",
  ],
  Deployment: ["spec.selector"],
  DaemonSet: ["spec.selector"],
  StatefulSet: ["spec.selector", "spec.serviceName", "spec.podManagementPolicy", "spec.volumeClaimTemplates"],
  Pod: ["spec"],
  Secret: ["type"],
  Service: ["spec.clusterIP"],
  PersistentVolumeClaim: [
    "spec.accessModes",
    "spec.storageClassName",
    "spec.selector",
    "spec.volumeName",
    "spec.volumeMode",
  ],
  StorageClass: ["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"],
  RoleBinding: ["roleRef"],
  ClusterRoleBinding: ["roleRef"],
  RuntimeClass: ["handler"],
  PriorityClass: ["value"],
  Release: ["namespace", "name"],
};

export function changesOf(olds: Values, news: Values, ignore: readonly string[]): Change[] {
  const { [FIELD_MANAGER]: _o, ...before } = olds;
  const { [FIELD_MANAGER]: _n, ...after } = news;
  const kind = String(news.kind ?? "Release");
  const fixed = [...ALWAYS, ...(IMMUTABLE[kind] ?? [])];
  const locked =
    kind !== "Secret" && kind !== "ConfigMap"
      ? []
      : olds.immutable === true
        ? ["data", "binaryData", "stringData"]
        : [];
  const replaces = (path: string) =>
    [...fixed, ...locked].some((p) => path === p || path.startsWith(`${p}.`) || path.startsWith(`${p}[`));
  const found: Change[] = [];
  walk(before, after, "", (path, what) => {
    if (!ignore.some((p) => path === p || path.startsWith(`${p}.`)))
      found.push({ path, kind: what, replace: replaces(path) });
  });
  return found;
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
