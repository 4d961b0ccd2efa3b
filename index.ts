/** Public interface of the package `sealflow`. */
export * from "./model";
export { KbsResource, type KbsResourceArgs } from "./resources/kbs-resource";
export type { KeySource, KeysReference } from "./resources/keys-reference";
export { PipelineKeys, type PipelineKeysArgs } from "./resources/pipeline-keys";
export { PipelineVersion, type PipelineVersionArgs } from "./resources/pipeline-version";
export { type ImageFacts, StepIdentity, type StepIdentityArgs, type StepLimits } from "./resources/step-identity";
