/** Where confidential pods may run: the capability matrix, and the rules that hold for each of its rows. */
export type * from "./args";
export { WORKER_LABEL } from "./check/cluster";
export { HOST_FLOORS, type HostFloor } from "./check/hosts";
export { componentOf, type PlatformComponent } from "./components";
export { platformsDocument } from "./document";
export { FAMILIES, familyOf, sizeOf } from "./families";
export { type DefaultPolicy, stockImageProblem, stockImageWarning } from "./guest-image";
export { INITDATA_CARRIERS, type InitdataCarrier, type InitdataRule, initdataAlgorithm } from "./initdata";
export {
  PLATFORMS,
  platformProblem,
  runtimeClassProblem,
  stepPlatformProblem,
  USABLE_RUNTIME_CLASSES,
  usablePlatform,
} from "./lookup";
export { creationOrder, deletionOrder, deletionProblems, type Needs, PARTS, type Part, partsOf } from "./order";
export { PlatformError, type PlatformProblem, type PlatformProblemCode, platformProblemText } from "./problems";
export { type AwsSweep, type AzureSweep, type Sweep, sweepCommands } from "./sweep";
export type { Cloud, InstanceFamily, InstanceSize, PlatformModel, PlatformRow, PlatformState } from "./types";
export { PEER_PODS_RUNTIME_CLASS } from "./usable";
export { ADAPTOR_RELEASE, requirePlatform, validatePlatform } from "./validate";
export { instanceFor, MACHINE_TYPE_ANNOTATION, type PlatformWiring, platformWiring } from "./wiring";
