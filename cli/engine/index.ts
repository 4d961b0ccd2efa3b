export { cacheRoot } from "./cache";
export { type EnsureEngineOptions, ensureEngine } from "./engine";
export {
  type ProjectEnvironmentOptions,
  type PulumiResult,
  projectEnvironment,
  type RunPulumiOptions,
  runPulumi,
} from "./home";
export { packageRoot } from "./package-root";
export {
  type Engine,
  EngineError,
  type EngineProgress,
  type EngineSource,
  formatProgress,
  type OnProgress,
} from "./types";
