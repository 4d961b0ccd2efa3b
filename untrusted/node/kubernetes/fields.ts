/** Values that a pod takes from itself and from other objects: environment and downward API. */
import { setTimeout as sleep } from "node:timers/promises";
import type { KubernetesClient } from "../../kubernetes";
import type { Container, Pod } from "./types";

/** Where pods and nodes are, as far as this simulation has a network. */
export const ADDRESS = "127.0.0.1";

/** @returns "" for a field that is not set, as the kubelet has it. */
export function fieldOf(pod: Pod, path: string, node: string): string {
  const fixed: Readonly<Record<string, string | undefined>> = {
    "spec.nodeName": node,
    "spec.serviceAccountName": pod.spec.serviceAccountName,
    "status.podIP": ADDRESS,
    "status.podIPs": ADDRESS,
    "status.hostIP": ADDRESS,
    "metadata.name": pod.metadata.name,
    "metadata.namespace": pod.metadata.namespace,
    "metadata.uid": pod.metadata.uid,
  };
  if (path in fixed) return fixed[path] ?? "";
  const [, map, key] = /^metadata\.(labels|annotations)(?:\['(.+)'\])?$/.exec(path) ?? [];
  const values = map === undefined ? {} : (pod.metadata[map as "labels" | "annotations"] ?? {});
  if (key !== undefined) return values[key] ?? "";
  return Object.entries(values)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}\n`)
    .join("");
}

/** The server learns after a moment which objects a pod that was just bound may have, and some are made beside it. */
const PATIENCE_MS = 15_000;

/** Tries again while the server says that the node has no right to it, or that it is not there. */
export async function patiently<T>(optional: boolean, work: () => Promise<T>): Promise<T> {
  for (const until = Date.now() + PATIENCE_MS; ; await sleep(200)) {
    try {
      return await work();
    } catch (error) {
      const { status } = error as { status?: number };
      const later = status === 403 || (status === 404 && !optional);
      if (!later || Date.now() > until) throw error;
    }
  }
}

/** @throws Error for an object or key that is missing and not optional. */
export async function dataOf(
  client: KubernetesClient,
  namespace: string,
  kind: "configmaps" | "secrets",
  name: string,
  optional = false,
): Promise<Record<string, Buffer>> {
  try {
    const path = `/api/v1/namespaces/${namespace}/${kind}/${name}`;
    const object = (await patiently(optional, () => client.get(path))) as {
      data?: Record<string, string>;
      binaryData?: Record<string, string>;
    };
    const encoding = kind === "secrets" ? "base64" : "utf8";
    const all = [
      ...Object.entries(object.data ?? {}).map(([key, value]) => [key, Buffer.from(value, encoding)] as const),
      ...Object.entries(object.binaryData ?? {}).map(([key, value]) => [key, Buffer.from(value, "base64")] as const),
    ];
    return Object.fromEntries(all);
  } catch (error) {
    if (optional && (error as { status?: number }).status === 404) return {};
    throw error;
  }
}

/** Environment of a container in the manifest's order; later entries win, `$(NAME)` is replaced. */
export async function environmentOf(
  client: KubernetesClient,
  pod: Pod,
  container: Container,
  node: string,
): Promise<Record<string, string>> {
  const { namespace } = pod.metadata;
  const env: Record<string, string> = {};
  for (const { prefix = "", configMapRef, secretRef } of container.envFrom ?? []) {
    const [kind, ref] = configMapRef ? (["configmaps", configMapRef] as const) : (["secrets", secretRef] as const);
    if (!ref) continue;
    const data = await dataOf(client, namespace, kind, ref.name, ref.optional);
    for (const [key, value] of Object.entries(data)) env[prefix + key] = value.toString("utf8");
  }
  for (const { name, value, valueFrom } of container.env ?? []) {
    if (!valueFrom) {
      env[name] = expand(value ?? "", env);
      continue;
    }
    const { fieldRef, configMapKeyRef, secretKeyRef } = valueFrom;
    const ref = configMapKeyRef ?? secretKeyRef;
    if (fieldRef) env[name] = fieldOf(pod, fieldRef.fieldPath, node);
    else if (ref) {
      const kind = configMapKeyRef ? "configmaps" : "secrets";
      const found = (await dataOf(client, namespace, kind, ref.name, ref.optional))[ref.key];
      if (found) env[name] = found.toString("utf8");
      else if (!ref.optional) throw new Error(`${kind} ${ref.name} has no key ${ref.key}`);
    } else env[name] = "0";
  }
  return env;
}

/** As Kubernetes does it: unknown names stay as they are, `$$` is a dollar. */
export const expand = (text: string, env: Readonly<Record<string, string>>): string =>
  text.replace(/\$\$|\$\(([A-Za-z_][\w.-]*)\)/g, (all, name?: string) =>
    name === undefined ? "$" : (env[name] ?? all),
  );
