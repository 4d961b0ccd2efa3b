export { measurePodShapes, type PodShape, type RuntimeShape, type ShapeMeasurement, vcpusOf } from "./pod-shapes";
export { publishedPcr11 } from "./published";
export {
  CPU_MODELS,
  type CpuModel,
  cpuSignature,
  type DirectBoot,
  type SnpLaunchArgs,
  snpLaunchMeasurement,
  snpLaunchMeasurements,
} from "./snp/index";
export { checkGuestImage, type GuestImageArgs } from "./stock-image";
export {
  type AzureSnpValues,
  type AzureTdxValues,
  type DefaultPolicy,
  type MinimumTcb,
  NO_VALUES,
  PRODUCTION_TEES,
  type ReferenceValue,
  type ReferenceValueSet,
  referenceValueDiff,
  referenceValues,
  type SnpValues,
  type TdxValues,
} from "./values";
