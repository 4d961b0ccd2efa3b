import * as pulumi from "@pulumi/pulumi";
import type { KeysReference } from "./keys-reference";
import type { AtRelyingParty } from "./relying-party-reference";

/** An engine that starts a run's Jobs elsewhere than on the caller's machine. Public. */
export interface BackendReference {
  kind: "argo";
  /** Namespace of the pipeline's objects. */
  namespace: pulumi.Input<string>;
  /** WorkflowTemplate that a run is made from. */
  template: pulumi.Input<string>;
}

export interface PipelineVersionArgs extends AtRelyingParty {
  keys: KeysReference;
  /** Step name to `entry` of its StepIdentity. */
  steps: Record<string, pulumi.Input<Record<string, unknown>>>;
  /** Pipeline input to `entry` of its SealedDataset. @default none */
  datasets?: Record<string, pulumi.Input<Record<string, unknown>>>;
  /** Release name to {from: "step.output", recipients?}. @default none */
  releases?: Record<string, object>;
  /** Recipient name to X25519 key, beside the owner. @default none */
  recipients?: Record<string, string>;
  /** Ed25519 keys that may open runs, beside the pipeline's own. @default none */
  runKeys?: string[];
  /** Schedule name to {cron, lateSeconds}: its slots open runs without a key. @default none */
  schedules?: Record<string, { cron: string; lateSeconds: number }>;
  /** Seconds that open runs of the version before may go on. @default 0 */
  drainSeconds?: number;
  /** Seconds after which a run's secrets are deleted. @default 2592000 (30 days) */
  runSeconds?: number;
  /** Delete the objects of all runs with the pipeline, releases among them. @default false */
  deleteObjects?: boolean;
  /** Where `sealflow run` submits runs. @default on the caller's machine */
  backend?: BackendReference;
  /** Step to the defaults of its parameters. Kept as a secret; written to a private file for `sealflow run`. */
  parameters?: pulumi.Input<Record<string, object>>;
}

/** The signed description of a pipeline in the ledger. An update registers the next version. */
export class PipelineVersion extends pulumi.CustomResource {
  declare readonly pipelineUid: pulumi.Output<string>;
  declare readonly digest: pulumi.Output<string>;
  declare readonly sequence: pulumi.Output<number>;
  declare readonly ledgerKey: pulumi.Output<string>;
  /** Public file for run, status and fetch, relative to the project. */
  declare readonly connectionFile: pulumi.Output<string>;
  /** Schedule name to the signed schedule; `POST /v1/runs` of the ledger takes it, or one of its slots. Public. */
  declare readonly scheduleTokens: pulumi.Output<Record<string, string>>;

  constructor(name: string, args: PipelineVersionArgs, opts?: pulumi.CustomResourceOptions) {
    const outputs = { pipelineUid: undefined, digest: undefined, sequence: undefined };
    const more = { ledgerKey: undefined, connectionFile: undefined, scheduleTokens: undefined };
    const hidden = args.parameters ? { parameters: pulumi.secret(args.parameters) } : {};
    super("sealflow:index:PipelineVersion", name, { ...outputs, ...more, ...args, ...hidden }, opts);
  }
}
