/** A step's Job, from public facts only. */
import type { GuestSettings, PlanStep } from "../../../../model";
import { guestBuild, renderJob, stepGuest } from "../../../../policy";
import type { StepOfWorkflow } from "./workflow";

export interface GrantedStep {
  readonly kbsUrl: string;
  readonly caPem: string;
  /** Path of the step's bundle. */
  readonly resource: string;
  /** Initdata digest that was granted. */
  readonly identity: string;
  readonly imageReference: string;
}

export interface PlaceOfSteps {
  readonly pipeline: string;
  readonly tee: Parameters<typeof stepGuest>[0]["tee"];
  readonly runtimeClass: string;
  /** As the steps' identities have it. Default: none. */
  readonly guest?: GuestSettings | undefined;
}

/** Initdata is made again, as StepIdentity made it. @throws Error when it does not come out the same. */
export function stepOfWorkflow(step: PlanStep, place: PlaceOfSteps, granted: GrantedStep): StepOfWorkflow {
  const { pipeline, tee, runtimeClass, guest: settings } = place;
  const { kbsUrl, caPem, resource, imageReference } = granted;
  const { name, limits, resources, after, backoff } = step;
  const guest = stepGuest({ tee, kbsUrl, caPem, imageReference, resource, ...guestBuild(settings) });
  if (guest.identity !== granted.identity) {
    const remedy = "Run `pulumi up` again; if it stays, run `pulumi refresh` first";
    throw new Error(`steps.${name}: its guest would have another identity than was granted. ${remedy}`);
  }
  const { timeoutSeconds, waitSeconds, shards, retryLimit } = limits;
  const given = { pipeline, step: name, imageReference, resource, annotation: guest.annotation, runtimeClass };
  const job = renderJob({ ...given, shards, timeoutSeconds, waitSeconds, ...resources });
  return { name, after, shards, backoff, job, retryLimit };
}
