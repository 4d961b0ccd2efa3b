export { checkSpec, validateSpec } from "./check";
export { type DefinedStep, defineStep, type InputFormats, type StepChanges, type StepDefinition } from "./define-step";
export { ModelError, type Problem, type ProblemCode, problemText, SpecError } from "./errors";
export type { GuestSettings, ImageSettings, RegistryMirror } from "./guest-settings";
export type { AnyHandle, AnyOutput, Handle } from "./handle";
export { type Outputs, type Pipeline, pipeline, type ReleaseOptions, type StepOptions } from "./pipeline";
export {
  compilePlan,
  type Plan,
  type PlanEdge,
  type PlanInput,
  type PlanRelease,
  type PlanStep,
  STEP_DEFAULTS,
} from "./plan";
export * from "./platforms";
export {
  type AzureSnpValues,
  type AzureTdxValues,
  type Hex,
  type MinimumTcb,
  podShapes,
  type ReferenceValueSet,
  type SnpLaunch,
  type SnpValues,
  type TdxValues,
} from "./reference-values";
export { dataset, type FolderImageOptions, image } from "./sources";
export type * from "./spec";
export { parseSpec } from "./spec-text";
export { VETTING, type Verdict, type VettedFeature } from "./vetting";
