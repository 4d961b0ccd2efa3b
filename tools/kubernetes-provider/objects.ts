/** Kubernetes objects as the engine's property values, and where they live on the server. */
import { isMap, type Json, plain, Secret, secret, type Value, type Values } from "../../provider/server/values";
import type { KubernetesClient } from "../../untrusted/kubernetes";

export type Manifest = {
  apiVersion: string;
  kind: string;
  metadata: {
    name?: string;
    namespace?: string;
    annotations?: Record<string, string>;
    [key: string]: unknown;
  };
  [key: string]: unknown;
};

export const FIELD_MANAGER = "__fieldManager";
const AUTONAMED = "pulumi.com/autonamed";

/** `kubernetes:batch/v1:Job` of an URN. */
export const tokenOf = (urn: string): string => urn.split("::")[2]?.split("$").pop() ?? "";
export const logicalNameOf = (urn: string): string => urn.split("::").slice(3).join("::");
export const isPatch = (urn: string): boolean => /:[A-Za-z]+Patch$/.test(tokenOf(urn));

/** apiVersion and kind as the token says them; custom resources say it in their inputs. */
export function typeOf(urn: string): { apiVersion: string; kind: string } {
  const [, version = "", kind = ""] = tokenOf(urn).split(":");
  return { apiVersion: version.replace(/^core\//, ""), kind: kind.replace(/Patch$/, "") };
}

export function manifestOf(inputs: Values): Manifest {
  const { [FIELD_MANAGER]: _, ...rest } = plain(inputs) as Record<string, Json>;
  return rest as unknown as Manifest;
}

export const idOf = ({ metadata }: Manifest): string =>
  metadata.namespace ? `${metadata.namespace}/${metadata.name}` : String(metadata.name);

const ANNOTATIONS = [
  "autonamed",
  "deletionPropagationPolicy",
  "patchFieldManager",
  "patchForce",
  "skipAwait",
  "timeoutSeconds",
  "waitFor",
].map((word) => `pulumi.com/${word}`);

/** What the real provider refuses, and instructions that this one would not follow. */
export function problemsOf(urn: string, { metadata }: Values): string[] {
  if (!isMap(metadata)) return isPatch(urn) ? [PATCH_NAME] : [];
  const annotations = isMap(metadata.annotations) ? Object.keys(metadata.annotations) : [];
  const unknown = annotations.filter((key) => key.startsWith("pulumi.com/") && !ANNOTATIONS.includes(key));
  return [
    ...(metadata.generateName === undefined
      ? []
      : ["the `.metadata.generateName` field is not supported in Server-Side Apply mode"]),
    ...(isPatch(urn) && metadata.name === undefined ? [PATCH_NAME] : []),
    ...unknown.map((key) => `the stand-in for tests does not follow the annotation ${key}`),
  ];
}
const PATCH_NAME = "patch resources require the `.metadata.name` field to be set";

/** Inputs with a name: the given one, the one of before, or one made of the resource's name. */
export function named(urn: string, news: Values, olds: Values, seed: Uint8Array): Values {
  const type = typeOf(urn);
  const metadata = isMap(news.metadata) ? { ...news.metadata } : {};
  const complete = { apiVersion: type.apiVersion, kind: type.kind, ...news, metadata } as Values;
  if (metadata.name !== undefined) return complete;
  const before = isMap(olds.metadata) ? olds.metadata : {};
  const annotations = isMap(metadata.annotations) ? metadata.annotations : {};
  const kept = isMap(before.annotations) && before.annotations[AUTONAMED] === "true" ? before.name : undefined;
  const suffix = Buffer.from(seed).toString("hex").slice(0, 8).padEnd(8, "0");
  metadata.name =
    kept ??
    `${logicalNameOf(urn)
      .toLowerCase()
      .replaceAll(/[^a-z0-9.-]/g, "-")}-${suffix}`;
  metadata.annotations = { ...annotations, [AUTONAMED]: "true" };
  return complete;
}

const kinds = new WeakMap<KubernetesClient, Map<string, { plural: string; namespaced: boolean }>>();

/**
 * Path of an object, by what the server says of its kind.
 * @param patience milliseconds to wait for a kind that is just being installed
 */
export async function pathOf(
  client: KubernetesClient,
  { apiVersion, kind, metadata }: Manifest,
  { patience, namespace }: { patience: number; namespace: string },
): Promise<{ path: string; namespaced: boolean }> {
  const base = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const known = kinds.get(client) ?? new Map();
  kinds.set(client, known);
  const key = `${apiVersion}/${kind}`;
  for (const until = Date.now() + patience; !known.has(key); ) {
    const found = await resourcesAt(client, base);
    for (const { name, kind: one, namespaced } of found) {
      if (!name.includes("/")) known.set(`${apiVersion}/${one}`, { plural: name, namespaced });
    }
    if (known.has(key)) break;
    if (Date.now() >= until) throw new UnknownKind(`the cluster has no kind ${kind} in ${apiVersion}`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  const { plural, namespaced } = known.get(key) as { plural: string; namespaced: boolean };
  const place = namespaced ? `/namespaces/${metadata.namespace ?? namespace}` : "";
  return { path: `${base}${place}/${plural}`, namespaced };
}

export class UnknownKind extends Error {}

async function resourcesAt(client: KubernetesClient, base: string) {
  try {
    const answer = (await client.call("GET", base)) as {
      resources?: { name: string; kind: string; namespaced: boolean }[];
    };
    return answer.resources ?? [];
  } catch (error) {
    if ((error as { status?: number }).status === 404) return [];
    throw error;
  }
}

/** What the server said, as outputs: its bookkeeping left out, secrets marked where the inputs have them. */
export function outputsOf(live: Manifest, inputs: Values, manager: string | undefined): Values {
  const { managedFields: _, ...metadata } = live.metadata;
  const outputs = marked({ ...live, metadata } as unknown as Value, inputs) as Values;
  if (live.kind === "Secret" && live.apiVersion === "v1") {
    for (const field of ["data", "stringData"])
      if (outputs[field] !== undefined) outputs[field] = secret(outputs[field]);
  }
  return manager === undefined ? outputs : { ...outputs, [FIELD_MANAGER]: manager };
}

function marked(live: Value, input: Value | undefined): Value {
  if (input instanceof Secret) return secret(live);
  if (Array.isArray(live)) return live.map((item, i) => marked(item, Array.isArray(input) ? input[i] : undefined));
  if (!isMap(live)) return live;
  return Object.fromEntries(
    Object.entries(live).map(([key, value]) => [key, marked(value, isMap(input) ? input[key] : undefined)]),
  );
}

/** Of what the server has, the part that the program said: so that a refresh shows drift and not defaults. */
export function projected(live: Value | undefined, input: Value): Value {
  if (input instanceof Secret) return secret(projected(live, input.value));
  if (isMap(input) && isMap(live)) {
    const kept = Object.entries(input).filter(([key]) => live[key] !== undefined);
    return Object.fromEntries(kept.map(([key, value]) => [key, projected(live[key], value)]));
  }
  if (Array.isArray(input) && Array.isArray(live)) {
    return live.map((item, i) => (input[i] === undefined ? item : projected(item, input[i] as Value)));
  }
  return live ?? null;
}

/** Inputs of an imported object: what the server filled in by itself is no input. */
export function inputsOf(live: Manifest): Values {
  const { status: _, ...rest } = live;
  const { uid, resourceVersion, creationTimestamp, generation, managedFields, selfLink, ...metadata } = live.metadata;
  return { ...rest, metadata } as unknown as Values;
}
