import { LocalWorkload, type WorkloadStep } from "../../resources/local-workload";
import type { PipelineVersion } from "../../resources/pipeline-version";
import type { SealedImage } from "../../resources/sealed-image";
import type { StepIdentity } from "../../resources/step-identity";
import { childOf } from "../options";
import type { Scope } from "../pipeline/parts";

/** Written after the version is registered: a Job that starts before finds nothing to run. */
export function createWorkload(
  { name, args, plan, parent }: Scope,
  images: Record<string, SealedImage>,
  identities: Record<string, StepIdentity>,
  version: PipelineVersion,
): LocalWorkload {
  const steps = plan.steps.map((step): [string, WorkloadStep] => {
    const image = images[step.name] as SealedImage;
    const identity = identities[step.name] as StepIdentity;
    const { limits, resources, backoff, after } = step;
    const facts = { resource: identity.id, identity: identity.identity, reference: image.reference };
    return [step.name, { ...facts, limits, resources, backoff, after: [...after] }];
  });
  const { tee, runtimeClass } = args.environment.platform;
  return new LocalWorkload(
    `${name}-workload`,
    { pipeline: plan.name, tee, runtimeClass, steps: Object.fromEntries(steps) },
    childOf(parent, { dependsOn: version }),
  );
}
