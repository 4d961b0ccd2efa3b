import type * as pulumi from "@pulumi/pulumi";
import type { Plan } from "../../model";
import type { BackendReference, PipelineVersion } from "../../resources/pipeline-version";
import type { SealedImage } from "../../resources/sealed-image";
import type { StepIdentity } from "../../resources/step-identity";
import type { Environment } from "../environment";
import type { Scope } from "../pipeline/parts";

/** What a pipeline has when its backend's objects are made. */
export interface DeployedParts {
  /** Step to its image. */
  readonly images: Readonly<Record<string, SealedImage>>;
  /** Step to its identity. */
  readonly identities: Readonly<Record<string, StepIdentity>>;
  /** Registered in the ledger; what starts Jobs depends on it. */
  readonly version: PipelineVersion;
}

/** How a pipeline's Jobs get started. It is trusted for nothing but that they do. */
export interface Backend {
  /** Word for messages. */
  readonly kind: string;
  /** Why it does not fit an environment or a pipeline; every problem, before anything is registered. */
  problems(environment: Environment, plan?: Plan): string[];
  /** Where runs of a pipeline are submitted; part of its public connection file. undefined: on the caller's machine. */
  reference(plan: Plan): BackendReference | undefined;
  /** Makes the backend's objects. @returns what resolves when the pipeline can run. */
  createWorkload(scope: Scope, parts: DeployedParts): pulumi.Output<unknown>;
}
