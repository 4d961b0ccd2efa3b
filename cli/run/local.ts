/** The local backend: Job manifests of the deployed pipeline, run by the simulated node. */
import type { Backend } from "./backend";

export const localBackend: Backend = async () => {
  throw new Error("not wired yet");
};
