/** The WorkflowTemplates of one pipeline: one, or one for each part and one that starts them. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { PlanStep } from "../../../model";
import type { SealedImage } from "../../../resources/sealed-image";
import type { StepIdentity } from "../../../resources/step-identity";
import { childOf } from "../../options";
import type { Scope } from "../../pipeline/parts";
import { guestReference } from "../../relying-party/relying-party";
import type { DeployedParts } from "../backend";
import type { ArgoSettings } from "./args";
import { EXECUTOR_ACCOUNT } from "./namespace";
import { partName, pipelineLabels, templateName } from "./render/names";
import { partsOf } from "./render/parts";
import { type PlaceOfSteps, stepOfWorkflow } from "./render/step";
import {
  MAX_TEMPLATE_BYTES,
  type StepOfWorkflow,
  type WorkflowSettings,
  workflowOfParts,
  workflowOfSteps,
} from "./render/workflow";
import { createSchedules } from "./schedules";

/** Registered after the version: a Job that starts before finds nothing to run. @returns names of the templates. */
export function createTemplates(
  scope: Scope,
  deployed: DeployedParts,
  argo: ArgoSettings,
  { dependsOn, provider }: { dependsOn: pulumi.Resource[]; provider?: k8s.Provider },
): pulumi.Output<unknown> {
  const { namespace, keptSeconds, parallelism, stepsPerPart, instanceId } = argo;
  const { name, plan, parent } = scope;
  const stack = pulumi.getStack();
  const settings: WorkflowSettings = {
    pipeline: plan.name,
    serviceAccount: EXECUTOR_ACCOUNT,
    keptSeconds,
    parallelism,
  };
  const steps = new Map(plan.steps.map((step) => [step.name, stepOf(scope, deployed, step)]));
  const parts = partsOf(
    plan.steps.map(({ name, after, limits }) => ({ name, after, shards: limits.shards })),
    stepsPerPart,
  );
  const opts = childOf(parent, { dependsOn: [...dependsOn, deployed.version], ...(provider ? { provider } : {}) });
  const instance = instanceId === undefined ? {} : { "workflows.argoproj.io/controller-instanceid": instanceId };
  const template = (suffix: string, object: string, spec: pulumi.Input<object>) =>
    new k8s.apiextensions.CustomResource(
      `${name}-${suffix}`,
      {
        apiVersion: "argoproj.io/v1alpha1",
        kind: "WorkflowTemplate",
        metadata: { name: object, namespace, labels: { ...pipelineLabels(plan.name), ...instance } },
        spec,
      },
      opts,
    );
  const specOf = (names: readonly string[], part: boolean) =>
    pulumi
      .all(names.map((step) => steps.get(step) as pulumi.Output<StepOfWorkflow>))
      .apply((found) => fitting(plan.name, workflowOfSteps(found, settings, part)));
  const [only] = parts;
  if (parts.length === 1 && only) {
    const root = template("workflow", templateName(stack, plan.name), specOf(only.steps, false));
    createSchedules(scope, deployed, argo, instance, { ...opts, dependsOn: root });
    return root.metadata;
  }
  const nameOf = (part: number): string => partName(stack, plan.name, part);
  const made = parts.map(({ steps }, i) => template(`part-${i}`, nameOf(i), specOf(steps, true)));
  const root = template("workflow", templateName(stack, plan.name), workflowOfParts(parts, nameOf, settings));
  createSchedules(scope, deployed, argo, instance, { ...opts, dependsOn: [root, ...made] });
  return pulumi.all([root, ...made].map(({ metadata }) => metadata));
}

function stepOf(scope: Scope, deployed: DeployedParts, step: PlanStep): pulumi.Output<StepOfWorkflow> {
  const { platform, relyingParty } = scope.args.environment;
  const { name: pipeline } = scope.plan;
  // A name of a TEE that there is not is refused where initdata is made.
  const { tee, runtimeClass, guest } = platform;
  const place = { pipeline, tee: tee as PlaceOfSteps["tee"], runtimeClass, guest };
  const { id, identity } = deployed.identities[step.name] as StepIdentity;
  const { reference } = deployed.images[step.name] as SealedImage;
  const facts = { ...guestReference(relyingParty), resource: id, identity, imageReference: reference };
  return pulumi.output(facts).apply((granted) => stepOfWorkflow(step, place, granted));
}

/** @throws RunError before the API server or Argo does. */
function fitting(pipeline: string, spec: object): object {
  const bytes = Buffer.byteLength(JSON.stringify(spec));
  if (bytes <= MAX_TEMPLATE_BYTES) return spec;
  const remedy = "Lower argoBackend's stepsPerPart, or give the relying party a shorter certificate chain";
  throw new pulumi.RunError(
    `Pipeline "${pipeline}": a WorkflowTemplate would have ${bytes} bytes, at most ${MAX_TEMPLATE_BYTES}. ${remedy}`,
  );
}
