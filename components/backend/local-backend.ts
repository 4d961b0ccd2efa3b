import type * as pulumi from "@pulumi/pulumi";
import { LocalWorkload, type WorkloadStep } from "../../resources/local-workload";
import type { SealedImage } from "../../resources/sealed-image";
import type { StepIdentity } from "../../resources/step-identity";
import { childOf } from "../options";
import { guestOf, type Scope } from "../pipeline/parts";
import type { Backend, DeployedParts } from "./backend";

/** The simulated node on this machine, started by `sealflow run`. */
export const localBackend: Backend = {
  kind: "local",
  problems: ({ platform, relyingParty }) => [
    ...(platform.confidential ? ['backend "local" runs simulated guests only. Use a LocalPlatform with it'] : []),
    ...(relyingParty.reference
      ? ['backend "local" uses the relying party of this machine. Use new RelyingParty(name) without a reference']
      : []),
  ],
  reference: () => undefined,
  createWorkload,
};

/** Written after the version is registered: a Job that starts before finds nothing to run. */
function createWorkload(
  { name, args, plan, parent }: Scope,
  { images, identities, version }: DeployedParts,
): pulumi.Output<unknown> {
  const steps = plan.steps.map((step): [string, WorkloadStep] => {
    const image = images[step.name] as SealedImage;
    const identity = identities[step.name] as StepIdentity;
    const { limits, resources, backoff, after } = step;
    const facts = { resource: identity.id, identity: identity.identity, reference: image.reference };
    return [step.name, { ...facts, limits, resources, backoff, after: [...after] }];
  });
  const { tee, runtimeClass } = args.environment.platform;
  const workload = new LocalWorkload(
    `${name}-workload`,
    { pipeline: plan.name, tee, runtimeClass, steps: Object.fromEntries(steps), ...guestOf(args) },
    childOf(parent, { dependsOn: version }),
  );
  return workload.digest;
}
