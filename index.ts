/** Public interface of the package `sealflow`. */
export type { KeySource, KeysReference } from "./resources/keys-reference";
export { PipelineKeys, type PipelineKeysArgs } from "./resources/pipeline-keys";
