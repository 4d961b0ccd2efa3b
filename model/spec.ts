/**
 * A pipeline as plain data: what `pipeline(...).toJSON()` yields, what files and other languages may produce, and what
 * spec.schema.json describes (a test keeps the two in step). References are text: `mails` is an input of the pipeline,
 * `split.train` an output of a step.
 */
import type { Format } from "../protocol/formats";

export type { Format };

/** `90s`, `30m`, `2h`, `1d`; a plain number is seconds. Whole numbers only. */
export type Duration = number | `${number}${"s" | "m" | "h" | "d"}`;
/** Kubernetes quantity with a binary unit: `512Mi`, `4Gi`. */
export type Memory = `${number}${"Mi" | "Gi" | "Ti"}`;
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

export interface PipelineSpec {
  /** Of this form. */
  readonly version: 1;
  /** [a-z0-9-], 1 to 40 characters; part of every key, so a renamed pipeline is a new one. */
  readonly name: string;
  /** For readers only: no part of any identity. */
  readonly description?: string;
  /** Datasets that the pipeline reads, by name. */
  readonly inputs?: Readonly<Record<string, Format | FormatSpec>>;
  /** 1 to 5000. */
  readonly steps: Readonly<Record<string, StepSpec>>;
  /** Outputs that leave the pipeline, by the name they get. The owner can open each of them. */
  readonly releases?: Readonly<Record<string, string | ReleaseSpec>>;
  /** Times at which a run may be opened without a key, by name: a cron expression in UTC, or the long form. */
  readonly schedules?: Readonly<Record<string, string | ScheduleSpec>>;
}

/** The long form of a schedule. Its runs get the program's default parameters. */
export interface ScheduleSpec {
  /** Five fields, UTC: minute, hour, day, month, weekday. */
  readonly cron: string;
  /** How long after its time a slot may still be opened. 1m to 365d. @default "1h" */
  readonly late?: Duration;
}

/** The condition of a step. */
export interface WhenSpec {
  /** `step.output` of a declassified output. */
  readonly from: string;
  /** The step runs only when the output is this; else it is skipped, and all that wait for it. */
  readonly equals: boolean;
}

/** The long form of a format. */
export interface FormatSpec {
  readonly format: Format;
  /** Why content of this edge may hold pickles (npy object arrays, such members of a tar). Kept in the receipts. */
  readonly allowUnsafeFormat?: string;
  /**
   * For an output (json) that is `true` or `false`: why everybody, the operator too, may learn it. It stands in clear in
   * the receipt; steps may have it as their condition.
   */
  readonly declassify?: string;
}

export interface ReleaseSpec {
  /** `step.output`. */
  readonly from: string;
  /** Names of recipients beside the owner, whose public keys the component is given. */
  readonly recipients?: readonly string[];
}

/** The long form of a reference. */
export interface InputSpec {
  /** `step.output`, or the name of a pipeline input. */
  readonly from: string;
  /** All shards of the producer, as files `/sealflow/in/<name>/<shard>`. */
  readonly collect?: true;
  /** What the step can read; checked against what `from` yields. */
  readonly format?: Format;
}

export interface StepSpec {
  readonly image: ImageSource;
  /** The program and its first arguments; nothing is interpolated and no shell is involved. */
  readonly command: readonly string[];
  /** Further arguments, appended to `command`. */
  readonly args?: readonly string[];
  /** Environment of the program. Nothing else is inherited. */
  readonly env?: Readonly<Record<string, string>>;
  /** Name of the file under `/sealflow/in/` → where it comes from. */
  readonly inputs?: Readonly<Record<string, string | InputSpec>>;
  /** Name of the file that the program writes under `/sealflow/out/` → its format. */
  readonly outputs?: Readonly<Record<string, Format | FormatSpec>>;
  /** Run only if a declassified output has a value. @default always */
  readonly when?: WhenSpec;
  /** @default { cpu: 1, memory: "2Gi" } */
  readonly resources?: Resources;
  /** @default no retry */
  readonly retry?: Retry;
  /** Wall-clock limit of one attempt of the program. @default "1h" */
  readonly timeout?: Duration;
  /** How long a started step waits for its inputs before it gives the machine back. @default "10m" */
  readonly wait?: Duration;
  /** Static fan-out: this many copies, each told its number in `SEALFLOW_SHARD` and `SEALFLOW_SHARDS`. 1 to 1000. @default 1 */
  readonly shards?: number;
  /** Whether the program may use the network. @default false */
  readonly egress?: boolean;
  /** Reason for running the program without isolation from the runner. Shown in previews, receipts and reports. */
  readonly trustProgram?: string;
  /** `hidden`: a failure is committed encrypted and the exit code says nothing. @default "visible" */
  readonly exitClass?: "visible" | "hidden";
  /** Reason for accepting scratch space that the host can roll back while the step runs. */
  readonly acceptRollback?: string;
  /** Defaults of the run's parameters, readable by the program in `/sealflow/params.json`. No part of any identity. */
  readonly parameters?: Readonly<Record<string, Json>>;
}

export interface Resources {
  /** Cores; up to three decimals. @default 1 */
  readonly cpu?: number;
  /** @default "2Gi" */
  readonly memory?: Memory;
}

export interface Retry {
  /** Further attempts after the first, per run and shard. 0 to 100. */
  readonly limit: number;
  /** Pause before the second attempt. @default "5s" */
  readonly backoff?: Duration;
  /** Each further pause is this many times as long. 1 to 10. @default 2 */
  readonly factor?: number;
  /** No pause is longer. @default "5m" */
  readonly maxBackoff?: Duration;
}

/** Where the plain content of an image comes from. Paths are relative to the Pulumi project. */
export type ImageSource = FolderImage | OciLayoutImage | RegistryImage;

export interface FolderImage {
  readonly kind: "folder";
  readonly path: string;
  /** OCI layout that the folder is put on top of. @default nothing */
  readonly base?: string;
  /** Reference inside that layout. @default its only manifest */
  readonly baseRef?: string;
  /** Image in a registry that the folder is put on top of, instead of `base`: `host/repository@sha256:…`. @default nothing */
  readonly baseImage?: string;
  /** Folder of the image that gets the content. @default "/app" */
  readonly prefix?: string;
}

export interface OciLayoutImage {
  readonly kind: "oci-layout";
  readonly path: string;
  /** Tag (`org.opencontainers.image.ref.name`) or `sha256:…` of a manifest. @default its only manifest */
  readonly ref?: string;
}

export interface RegistryImage {
  readonly kind: "registry";
  /** `host/repository@sha256:…`, in full: a tag or a short name can mean another image tomorrow. */
  readonly reference: string;
}

/** Where the plain content of a dataset comes from. */
export interface FileDataset {
  readonly kind: "file";
  readonly path: string;
}
