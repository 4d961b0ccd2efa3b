/**
 * Pods that a stack asks for, wherever they are written: in workloads of Kubernetes, as text inside Argo templates, and by
 * their form in kinds that nobody here knows (operators, values of charts).
 */
import { INITDATA_ANNOTATION, RUNNER_ARGV } from "../policy";
import type { Seen } from "./types";

export type Fields = Readonly<Record<string, unknown>>;

export interface Pod {
  readonly from: Seen;
  /** Where inside of the resource, for messages; empty for the resource itself. */
  readonly at: string;
  readonly labels: Fields;
  readonly annotations: Fields;
  readonly spec: Fields;
}

/** kubernetes:<api>:<kind> → path of the pod template. */
const TEMPLATES: Readonly<Record<string, readonly string[]>> = {
  Pod: [],
  Job: ["spec", "template"],
  CronJob: ["spec", "jobTemplate", "spec", "template"],
  Deployment: ["spec", "template"],
  StatefulSet: ["spec", "template"],
  DaemonSet: ["spec", "template"],
  ReplicaSet: ["spec", "template"],
  ReplicationController: ["spec", "template"],
  PodTemplate: ["template"],
};

export function podsOf(resource: Seen): Pod[] {
  const kind = /^kubernetes:[^:]+:([A-Za-z]+?)(?:Patch)?$/.exec(resource.type)?.[1];
  if (kind === undefined) return [];
  const direct = podIn(resource, "", kind, resource.props);
  const all = [...(direct ? [direct] : []), ...nested(resource, resource.props, "", 0)];
  // One pod is found by more than one way: by its kind, and by its form; the first says best where it is.
  return [...new Map([...all].reverse().map((pod) => [pod.spec, pod])).values()].reverse();
}

const RUNNER = RUNNER_ARGV.at(-1);

/** Whether a pod is a step's: it carries initdata, or starts the runner, by a shell or not. */
export const isStep = (pod: Pod): boolean =>
  pod.annotations[INITDATA_ANNOTATION] !== undefined ||
  containersOf(pod).some(({ container }) =>
    [container.command, container.args].flat().some((word) => text(word)?.includes(String(RUNNER))),
  );

export interface Container extends Fields {
  readonly name?: unknown;
}

/** Every container that the pod would start. */
export function containersOf({ spec }: Pod): { readonly at: string; readonly container: Container }[] {
  return ["initContainers", "containers", "ephemeralContainers"].flatMap((list) =>
    listOf(spec[list]).map((container, i) => ({
      at: `${list}[${text(container.name) ?? i}]`,
      container,
    })),
  );
}

export const listOf = (value: unknown): Fields[] => (Array.isArray(value) ? value.filter(isFields) : []);
export const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

export const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function podIn(from: Seen, at: string, kind: string, object: Fields): Pod | undefined {
  const path = TEMPLATES[kind];
  if (path === undefined) return undefined;
  const pod = path.reduce<unknown>((value, key) => (isFields(value) ? value[key] : undefined), object);
  if (!isFields(pod) || !isFields(pod.spec)) return undefined;
  const metadata = isFields(pod.metadata) ? pod.metadata : {};
  const labels = isFields(metadata.labels) ? metadata.labels : {};
  const annotations = isFields(metadata.annotations) ? metadata.annotations : {};
  return { from, at, labels, annotations, spec: pod.spec };
}

/** Deeper than any template nests; a value that refers to itself ends here. */
const DEPTH = 12;

/** Manifests in fields and in texts of other kinds: Argo's `resource.manifest`, a ConfigMap that a job applies. */
function nested(from: Seen, value: unknown, at: string, depth: number): Pod[] {
  if (depth > DEPTH) return [];
  if (typeof value === "string") return manifestsIn(value).flatMap((object) => manifestPods(from, object, at, depth));
  if (Array.isArray(value)) return value.flatMap((item, i) => nested(from, item, `${at}[${i}]`, depth + 1));
  if (!isFields(value)) return [];
  const own = formed(from, value, at);
  const inside = Object.entries(value).flatMap(([key, field]) => {
    const place = at === "" ? key : `${at}.${key}`;
    return [...embedded(from, field, place), ...nested(from, field, place, depth + 1)];
  });
  return [...own, ...inside];
}

/** A pod by its form: a spec with containers below its metadata, such a spec alone, or the one container of a template. */
function formed(from: Seen, value: Fields, at: string): Pod[] {
  const pod = (spec: Fields, metadata: unknown): Pod => {
    const { labels, annotations } = isFields(metadata) ? metadata : {};
    return {
      from,
      at,
      labels: isFields(labels) ? labels : {},
      annotations: isFields(annotations) ? annotations : {},
      spec,
    };
  };
  const hasContainers = (spec: unknown): spec is Fields =>
    isFields(spec) && ["containers", "initContainers"].some((list) => listOf(spec[list]).length > 0);
  const found = hasContainers(value.spec) ? [pod(value.spec, value.metadata)] : [];
  if (hasContainers(value)) found.push(pod(value, undefined));
  for (const key of ["container", "script"]) {
    if (isFields(value[key])) found.push(pod({ ...value, containers: [value[key]] }, value.metadata));
  }
  return found;
}

/** Items of a list kind: whole objects, not texts. */
function embedded(from: Seen, list: unknown, at: string): Pod[] {
  return listOf(list).flatMap((item, i) => {
    const kind = text(item.kind) ?? /^kubernetes:[^:]+:([A-Za-z]+)List$/.exec(from.type)?.[1];
    const pod = kind === undefined ? undefined : podIn(from, `${at}[${i}]`, kind, item);
    return pod ? [pod] : [];
  });
}

function manifestPods(from: Seen, object: Fields, at: string, depth: number): Pod[] {
  const pod = typeof object.kind === "string" ? podIn(from, at, object.kind, object) : undefined;
  return [...(pod ? [pod] : []), ...nested(from, object, at, depth + 1)];
}

/** Sealflow writes manifests as JSON; other text is not a manifest of ours. */
function manifestsIn(value: string): Fields[] {
  const parsed = manifest(value);
  return isFields(parsed) ? [parsed] : [];
}

/** A number that Argo fills in stands without quotes, which JSON does not take. */
const OPEN_PARAMETER = /([:[,]\s*)\{\{[^{}"]*\}\}/g;

/** @returns undefined for text that is no JSON object. */
function manifest(value: string): unknown {
  if (!value.trimStart().startsWith("{")) return undefined;
  try {
    return JSON.parse(value.replace(OPEN_PARAMETER, '$1"{{}}"'));
  } catch {
    return undefined;
  }
}

/** Texts that start the runner and that no rule can look into: places inside of the resource. */
export function unreadable(value: unknown, at = "", depth = 0): string[] {
  if (typeof value === "string") {
    return value.includes(String(RUNNER)) && value.includes("containers") && manifest(value) === undefined ? [at] : [];
  }
  if (typeof value !== "object" || value === null || depth > DEPTH) return [];
  return Object.entries(value).flatMap(([key, field]) =>
    unreadable(field, Array.isArray(value) ? `${at}[${key}]` : at === "" ? key : `${at}.${key}`, depth + 1),
  );
}
