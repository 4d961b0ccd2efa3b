export * from "./run";
export { BackendError, readWorkload, type Workload } from "./workload";
