/** Public interface of the package `sealflow`. */
export type { Backend, DeployedParts } from "./components/backend/backend";
export { localBackend } from "./components/backend/local-backend";
export {
  type Environment,
  type EnvironmentArgs,
  environment,
  type LocalEnvironmentArgs,
  localEnvironment,
} from "./components/environment";
export {
  type BrokerConfigArgs,
  brokerConfig,
  cosignPublicKey,
  type ImageSignature,
  imagePolicy,
  type RegistryLogin,
  registryCredentials,
  type SealedSecretArgs,
  type SignedImage,
  type SignedScope,
  sealingJwk,
  sealSecret,
  signImage,
} from "./components/guest-config";
export { ConfidentialPipeline, type ConfidentialPipelineArgs } from "./components/pipeline/confidential-pipeline";
export { fromStack, type ReleaseSource, type StackRelease } from "./components/pipeline/from-stack";
export { LocalPlatform, type LocalPlatformArgs } from "./components/platform/local-platform";
export type { GuestImage, Platform } from "./components/platform/platform";
export {
  RelyingParty,
  type RelyingPartyArgs,
  type RelyingPartyOutputs,
} from "./components/relying-party/relying-party";
export {
  EncryptedStorage,
  type EncryptedStorageArgs,
  type StorageOutputs,
} from "./components/storage/encrypted-storage";
export * from "./model";
export { KbsAdminKey, type KbsAdminKeyArgs } from "./resources/kbs-admin-key";
export { KbsPolicy, type KbsPolicyArgs } from "./resources/kbs-policy";
export { KbsReferenceValue, type KbsReferenceValueArgs } from "./resources/kbs-reference-value";
export { KbsResource, type KbsResourceArgs } from "./resources/kbs-resource";
export type { KeySource, KeysReference } from "./resources/keys-reference";
export { LedgerKeys } from "./resources/ledger-keys";
export { LocalWorkload, type LocalWorkloadArgs, type WorkloadStep } from "./resources/local-workload";
export { PipelineKeys, type PipelineKeysArgs } from "./resources/pipeline-keys";
export { PipelineVersion, type PipelineVersionArgs } from "./resources/pipeline-version";
export { ReferenceValues, type ReferenceValuesArgs } from "./resources/reference-values";
export type { RelyingPartyReference } from "./resources/relying-party-reference";
export { SealedDataset, type SealedDatasetArgs } from "./resources/sealed-dataset";
export { type ImageRegistry, SealedImage, type SealedImageArgs } from "./resources/sealed-image";
export { ServiceImage, type ServiceImageArgs } from "./resources/service-image";
export { type ImageFacts, StepIdentity, type StepIdentityArgs, type StepLimits } from "./resources/step-identity";
export { TlsCertificate, type TlsCertificateArgs } from "./resources/tls-certificate";
