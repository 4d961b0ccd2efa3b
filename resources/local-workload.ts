import * as pulumi from "@pulumi/pulumi";
import type { GuestSettings } from "../model";

export interface WorkloadStep {
  /** Path of the step's bundle in the key broker: `id` of its StepIdentity. */
  resource: pulumi.Input<string>;
  /** Initdata digest that the Job's guest must have: `identity` of its StepIdentity. */
  identity: pulumi.Input<string>;
  /** Image with digest. */
  reference: pulumi.Input<string>;
  /** {timeoutSeconds, waitSeconds, retryLimit, shards}. */
  limits: object;
  /** {cpu, memory}, Kubernetes quantities. */
  resources: object;
  /** Pauses between attempts: {seconds, factor, maxSeconds}. */
  backoff: object;
  /** Steps that it reads from. */
  after: string[];
}

export interface LocalWorkloadArgs {
  pipeline: string;
  /** @default the stack's name */
  stack?: string;
  tee: string;
  runtimeClass: string;
  steps: Record<string, WorkloadStep>;
  /** As the steps' StepIdentity has it. @default none */
  guest?: GuestSettings;
}

/** Job manifests of a pipeline for the simulated node. Public: they hold names, limits and digests. */
export class LocalWorkload extends pulumi.CustomResource {
  /** Folder with `workload.json` and the Jobs, relative to the project. */
  declare readonly directory: pulumi.Output<string>;
  /** Digest of its files. */
  declare readonly digest: pulumi.Output<string>;

  constructor(name: string, args: LocalWorkloadArgs, opts?: pulumi.CustomResourceOptions) {
    const inputs = { ...args, stack: args.stack ?? pulumi.getStack() };
    super("sealflow:index:LocalWorkload", name, { directory: undefined, digest: undefined, ...inputs }, opts);
  }
}
