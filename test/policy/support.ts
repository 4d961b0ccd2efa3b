/** A step's guest and its pod, for tests of the agent policy. */
import { type PodRequests, parseInitdata, podRequests, renderJob, stepGuest } from "../../policy";

export const CA = `-----BEGIN CERTIFICATE-----\n${"TUlJQ".repeat(12)}\n-----END CERTIFICATE-----\n`;
export const STEP = {
  tee: "sample" as const,
  kbsUrl: "https://127.0.0.1:8443",
  caPem: CA,
  imageReference: `sf-0011.sealflow.local/train@sha256:${"ab".repeat(32)}`,
  resource: `sf-0011/step/${"cd".repeat(32)}`,
};
export const POD = {
  podName: "spam-train-x7k2p",
  namespace: "default",
  sandboxId: "1".repeat(64),
  containerId: "2".repeat(64),
  podUid: "31df313a-931f-4979-a405-cc3f3ccb6a56",
};

export function stepPod(): { policy: string; requests: PodRequests } {
  const { initdata, annotation } = stepGuest(STEP);
  const job = renderJob({
    pipeline: "spam",
    step: "train",
    imageReference: STEP.imageReference,
    resource: STEP.resource,
    annotation,
    runtimeClass: "sealflow-simulated",
    shards: 1,
    timeoutSeconds: 600,
    cpu: 2,
    memory: "4Gi",
  });
  const extraEnv = { SEALFLOW_RUN: "e".repeat(64) };
  return {
    policy: parseInitdata(initdata).data["policy.rego"] as string,
    requests: podRequests(job, { ...POD, extraEnv }),
  };
}

export interface Mutation {
  /** Such as `OCI.Process.Env[2]`, and what was done. */
  readonly at: string;
  readonly how: string;
  readonly request: Record<string, unknown>;
}

type Node = Record<string, unknown> | unknown[];

/** Every single change of a few kinds at every place of a request. */
export function mutations(request: Record<string, unknown>): Mutation[] {
  const out: Mutation[] = [];
  const walk = (node: Node, path: (string | number)[]) => {
    for (const [key, value] of Object.entries(node)) {
      const here = [...path, Array.isArray(node) ? Number(key) : key];
      for (const [how, change] of changesOf(value)) out.push(applied(request, here, how, change));
      if (Array.isArray(node)) {
        out.push(edited(request, here, "removed", (list, i) => void list.splice(i, 1)));
        out.push(edited(request, here, "doubled", (list, i) => void list.splice(i, 0, structuredClone(list[i]))));
        out.push(edited(request, here, "moved to the front", (list, i) => void list.unshift(...list.splice(i, 1))));
      }
      if (typeof value === "object" && value !== null) walk(value as Node, here);
    }
  };
  walk(request, []);
  const same = JSON.stringify(request);
  return out.filter((m) => JSON.stringify(m.request) !== same);
}

function changesOf(value: unknown): [string, unknown][] {
  if (typeof value === "string") {
    return [
      ["emptied", ""],
      ["extended", `${value}x`],
      ["prefixed", `x${value}`],
      ["in capitals", value === value.toUpperCase() ? value.toLowerCase() : value.toUpperCase()],
      ["with a newline", `${value}\n`],
      ["with a parent", `${value}/../x`],
      ["nulled", null],
    ];
  }
  if (typeof value === "number")
    return [
      ["one more", value + 1],
      ["negative", -1],
      ["nulled", null],
    ];
  if (typeof value === "boolean")
    return [
      ["flipped", !value],
      ["nulled", null],
    ];
  if (value === null)
    return [
      ["an object", {}],
      ["a text", "x"],
    ];
  if (Array.isArray(value))
    return [
      ["emptied", []],
      ["with a text more", [...value, "evil"]],
      ["nulled", null],
    ];
  return [
    ["emptied", {}],
    ["with a member more", { ...(value as object), evil: "evil" }],
    ["nulled", null],
  ];
}

function applied(request: object, path: (string | number)[], how: string, change: unknown): Mutation {
  return edited(request, path, how, (parent, key) => {
    (parent as unknown as Record<string, unknown>)[key] = change;
  });
}

function edited(
  request: object,
  path: (string | number)[],
  how: string,
  edit: (parent: unknown[], key: number) => void,
): Mutation {
  const copy = structuredClone(request) as Record<string, unknown>;
  let parent: unknown = copy;
  for (const key of path.slice(0, -1)) parent = (parent as Record<string, unknown>)[key];
  edit(parent as unknown[], path.at(-1) as number);
  return { at: path.join("."), how, request: copy };
}
