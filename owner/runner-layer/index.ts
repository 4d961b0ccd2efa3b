export * from "./ensure";
export * from "./errors";
export type { RunnerLayer } from "./layer-cache";
