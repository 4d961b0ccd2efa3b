/** When an object is ready, as the real provider understands it. */
import type { Manifest } from "./objects";

const ANNOTATION = "pulumi.com/";
const DEFAULT_SECONDS = 600;

type Plain = Record<string, unknown>;
export type Readiness =
  | { readonly done: true }
  | { readonly done: false; readonly why: string }
  | { readonly failed: string };
const DONE: Readiness = { done: true };
const no = (why: string): Readiness => ({ done: false, why });

export function timeoutSeconds({ metadata }: Manifest, requested: number): number {
  const said = Number(metadata.annotations?.[`${ANNOTATION}timeoutSeconds`]);
  return requested > 0 ? requested : said > 0 ? said : DEFAULT_SECONDS;
}

/** @throws Error for a waitFor that cannot be read. */
export function readinessOf(live: Manifest): Readiness {
  const annotations = live.metadata.annotations ?? {};
  const waitFor = annotations[`${ANNOTATION}waitFor`];
  if (waitFor !== undefined) {
    const all = waitFor.trim().startsWith("[") ? (JSON.parse(waitFor) as string[]) : [waitFor];
    return all.map((one) => satisfied(one, live)).find((answer) => !("done" in answer && answer.done)) ?? DONE;
  }
  if (annotations[`${ANNOTATION}skipAwait`] === "true") return DONE;
  const status = (live.status ?? {}) as Plain;
  const spec = (live.spec ?? {}) as Plain;
  const rule = RULES[live.kind];
  return rule ? rule(spec, status, live) : DONE;
}

const conditionsOf = (status: Plain): { type: string; status: string; message?: string; reason?: string }[] =>
  (status.conditions as never) ?? [];
const holds = (status: Plain, type: string): boolean =>
  conditionsOf(status).some((condition) => condition.type === type && condition.status === "True");

function rollout(spec: Plain, status: Plain, live: Manifest): Readiness {
  const wanted = Number(spec.replicas ?? 1);
  if (status.observedGeneration !== live.metadata.generation) return no("the controller has not seen it yet");
  const updated = Number(status.updatedReplicas ?? 0);
  const ready = Number(status.readyReplicas ?? 0);
  if (updated >= wanted && ready >= wanted) return DONE;
  // Why no pod comes, such as a refusal by Pod Security, is told by the controller alone.
  const said = conditionsOf(status)
    .filter(({ type, status: is }) => (type === "ReplicaFailure" ? is === "True" : is === "False"))
    .map(({ type, message }) => `${type}: ${message ?? ""}`);
  return no([`${ready} of ${wanted} replicas are ready`, ...said].join("; "));
}

const RULES: Readonly<Record<string, (spec: Plain, status: Plain, live: Manifest) => Readiness>> = {
  Deployment: rollout,
  StatefulSet: rollout,
  DaemonSet: (_, status, live) => {
    if (status.observedGeneration !== live.metadata.generation) return no("the controller has not seen it yet");
    const [ready, wanted] = [Number(status.numberReady ?? 0), Number(status.desiredNumberScheduled ?? 0)];
    return ready >= wanted ? DONE : no(`${ready} of ${wanted} pods are ready`);
  },
  Job: (_, status) => {
    const failed = conditionsOf(status).find(({ type, status: s }) => type === "Failed" && s === "True");
    if (failed) return { failed: `the Job failed: ${failed.reason ?? ""} ${failed.message ?? ""}`.trim() };
    return holds(status, "Complete") ? DONE : no("the Job has not completed");
  },
  Pod: (_, status) => {
    if (status.phase === "Failed") return { failed: `the Pod failed: ${String(status.reason ?? "")}` };
    return status.phase === "Succeeded" || holds(status, "Ready") ? DONE : no(`the Pod is ${String(status.phase)}`);
  },
  // Filled in by a controller; no other kind of Secret is waited for.
  Secret: (_, _status, live) =>
    live.type !== "kubernetes.io/service-account-token" || Object.keys((live.data ?? {}) as Plain).length > 0
      ? DONE
      : no("it has no token yet"),
};

function satisfied(text: string, live: Manifest): Readiness {
  const [, condition, wanted = "True"] = /^condition=([A-Za-z0-9./-]+?)(?:=(.+))?$/.exec(text) ?? [];
  if (condition !== undefined) {
    const found = conditionsOf((live.status ?? {}) as Plain).find(({ type }) => type === condition);
    return found?.status === wanted
      ? DONE
      : no(`condition ${condition} is ${found?.status ?? "absent"}, not ${wanted}`);
  }
  const [, path, value] = /^jsonpath=\{(\.[^}]+)\}(?:=(.*))?$/.exec(text) ?? [];
  if (path === undefined) throw new Error(`${ANNOTATION}waitFor: "${text}" is neither condition=… nor jsonpath={…}`);
  const parts = path.split(/[.[\]]+/).filter((part) => part !== "");
  const at = parts.reduce<unknown>((here, part) => (here as Plain | undefined)?.[part], live);
  const good = value === undefined ? at !== undefined : String(at) === value;
  return good ? DONE : no(`${path} is ${String(at)}${value === undefined ? "" : `, not ${value}`}`);
}
