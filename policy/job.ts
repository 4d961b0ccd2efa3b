/** The Kubernetes Job of one step: static, one container, the same in every run. */
import { createHash } from "node:crypto";
import { guestSeconds } from "../protocol/messages";
import { CONTAINER_NAME, RUNNER_ARGV, RUNNER_CAPABILITIES, SCRATCH_PATHS, stepEnvironment } from "./agent/text";
import { PolicyError } from "./errors";
import { INITDATA_ANNOTATION } from "./initdata/document";

export interface JobArgs {
  readonly pipeline: string;
  readonly step: string;
  readonly imageReference: string;
  /** `<ns>/step/<programId>`. */
  readonly resource: string;
  /** Initdata, gzip and base64. */
  readonly annotation: string;
  /** Such as `kata-qemu-snp`; for the local backend `sealflow-simulated`. */
  readonly runtimeClass: string;
  readonly shards: number;
  /** Limit of the program, seconds. The Job gets 900 s more for boot, pull and upload, and `waitSeconds`. */
  readonly timeoutSeconds: number;
  /** How long the runner may wait for inputs, seconds. Default 600. */
  readonly waitSeconds?: number;
  /** Kubernetes quantity, such as `2` or `500m`. */
  readonly cpu: string | number;
  /** Kubernetes quantity, such as `4Gi`. */
  readonly memory: string;
}

const QUANTITY = /^[0-9]+(\.[0-9]+)?(m|Ki|Mi|Gi|Ti|k|M|G|T)?$/;

/** A name for Kubernetes objects of a step, at most 52 characters: pods of an indexed Job add up to 11. */
export const jobName = (pipeline: string, step: string): string =>
  boundedName(`${pipeline}-${step}`, 52, `${pipeline}|${step}`);

/** The name itself when it is short enough; else its beginning and a digest of `whole`. */
export function boundedName(plain: string, max: number, whole = plain): string {
  if (plain.length <= max) return plain;
  const digest = createHash("sha256").update(whole).digest("hex").slice(0, 10);
  return `${plain.slice(0, max - 11).replace(/-+$/, "")}-${digest}`;
}

/** @throws PolicyError JOB with every value that Kubernetes would refuse. */
export function renderJob(args: JobArgs): KubernetesJob {
  const { pipeline, step, shards, timeoutSeconds, waitSeconds = 600, runtimeClass } = args;
  const cpu = String(args.cpu);
  const problems = [
    ...(QUANTITY.test(cpu) ? [] : [`cpu "${cpu}" is not a quantity such as 2 or 500m`]),
    ...(QUANTITY.test(args.memory) ? [] : [`memory "${args.memory}" is not a quantity such as 4Gi`]),
    ...(Number.isInteger(shards) && shards >= 1 && shards <= 1000 ? [] : [`shards is ${shards}, expected 1 to 1000`]),
    ...(Number.isInteger(timeoutSeconds) && timeoutSeconds >= 1 ? [] : [`timeoutSeconds is ${timeoutSeconds}`]),
  ];
  if (problems.length > 0) throw new PolicyError("JOB", `job of step "${step}": ${problems.join("; ")}`);
  const labels = {
    "app.kubernetes.io/managed-by": "sealflow",
    "app.kubernetes.io/part-of": pipeline,
    "app.kubernetes.io/component": step,
  };
  const resources = { cpu, memory: args.memory };
  const volumes = SCRATCH_PATHS.map((mountPath, i) => ({ name: `scratch${i === 0 ? "" : i}`, mountPath }));
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name: jobName(pipeline, step), labels },
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: guestSeconds({ timeoutSeconds, waitSeconds }),
      ...(shards > 1 ? { completionMode: "Indexed" as const, completions: shards, parallelism: shards } : {}),
      template: {
        metadata: { labels, annotations: { [INITDATA_ANNOTATION]: args.annotation } },
        spec: {
          runtimeClassName: runtimeClass,
          restartPolicy: "Never",
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          containers: [
            {
              name: CONTAINER_NAME,
              image: args.imageReference,
              imagePullPolicy: "Always",
              command: [...RUNNER_ARGV],
              env: Object.entries(stepEnvironment(args.resource)).map(([name, value]) => ({ name, value })),
              resources: { requests: resources, limits: resources },
              securityContext: {
                runAsUser: 0,
                runAsGroup: 0,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ["ALL"], add: RUNNER_CAPABILITIES.map((c) => c.slice("CAP_".length)) },
              },
              volumeMounts: volumes,
            },
          ],
          volumes: volumes.map(({ name }) => ({ name, emptyDir: { medium: "Memory" as const } })),
        },
      },
    },
  };
}

/** The fields of a `batch/v1` Job that Sealflow uses; every one of them is checked by the agent policy or harmless. */
export interface KubernetesJob {
  readonly apiVersion: "batch/v1";
  readonly kind: "Job";
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: {
    readonly backoffLimit: number;
    readonly activeDeadlineSeconds: number;
    readonly completionMode?: "Indexed";
    readonly completions?: number;
    readonly parallelism?: number;
    readonly template: {
      readonly metadata: {
        readonly labels: Readonly<Record<string, string>>;
        readonly annotations: Readonly<Record<string, string>>;
      };
      readonly spec: {
        readonly runtimeClassName: string;
        readonly restartPolicy: "Never";
        readonly automountServiceAccountToken: false;
        readonly enableServiceLinks: false;
        readonly containers: readonly [KubernetesContainer];
        readonly volumes: readonly { readonly name: string; readonly emptyDir: { readonly medium: "Memory" } }[];
      };
    };
  };
}

export interface KubernetesContainer {
  readonly name: string;
  readonly image: string;
  readonly imagePullPolicy: string;
  readonly command: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly resources: {
    readonly requests: { readonly cpu: string; readonly memory: string };
    readonly limits: { readonly cpu: string; readonly memory: string };
  };
  readonly securityContext: {
    readonly runAsUser: number;
    readonly runAsGroup: number;
    readonly readOnlyRootFilesystem: boolean;
    readonly capabilities: { readonly drop: readonly string[]; readonly add: readonly string[] };
  };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}
