/** Job manifests as Sealflow renders them. Only the shape is checked: what it may say, the agent policy decides. */
import type { KubernetesJob } from "../../policy";
import { integer, json, list, literal, object, optional, parse, record, text } from "../../protocol/shape";
import { NodeError } from "./errors";

const anyText = text({ max: 300_000 });
const texts = record(/^[ -~]{1,300}$/, anyText, 100);

const container = object({
  name: text({ max: 63 }),
  image: text({ max: 1024 }),
  imagePullPolicy: anyText,
  command: list(text({ max: 4096 }), 100),
  env: list(object({ name: text({ max: 200 }), value: text({ max: 10_000 }) }), 200),
  resources: json,
  securityContext: object({
    runAsUser: integer(0, 4_294_967_294),
    runAsGroup: integer(0, 4_294_967_294),
    readOnlyRootFilesystem: literal(true, false),
    capabilities: object({ drop: list(anyText, 100), add: list(anyText, 100) }),
  }),
  volumeMounts: list(object({ name: text({ max: 63 }), mountPath: text({ max: 1024 }) }), 20),
});

const job = object({
  apiVersion: literal("batch/v1"),
  kind: literal("Job"),
  metadata: object({ name: text({ max: 63 }), labels: optional(texts), annotations: optional(texts) }),
  spec: object({
    backoffLimit: integer(0, 1000),
    activeDeadlineSeconds: integer(1, 100_000_000),
    completionMode: optional(literal("Indexed")),
    completions: optional(integer(1, 1000)),
    parallelism: optional(integer(1, 1000)),
    template: object({
      metadata: object({ labels: optional(texts), annotations: texts }),
      spec: object({
        runtimeClassName: text({ max: 253 }),
        restartPolicy: literal("Never"),
        automountServiceAccountToken: optional(literal(true, false)),
        enableServiceLinks: optional(literal(true, false)),
        containers: list(container, 1),
        volumes: list(json, 20),
      }),
    }),
  }),
});

/** @throws NodeError MANIFEST with every problem. */
export function checkJob(manifest: unknown): KubernetesJob {
  try {
    const checked = parse(job, manifest, "Job");
    if (checked.spec.template.spec.containers.length !== 1) throw new Error("Job: expected one container");
    return checked as unknown as KubernetesJob;
  } catch (cause) {
    throw new NodeError("MANIFEST", (cause as Error).message, { cause });
  }
}
